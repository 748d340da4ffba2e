//! The wiring of each program: which parts it has, and the order in which they start and stop.
//!
//! ```text
//!                 storage      front      operations (a listener of its own, where asked for)
//!  metastore         ×           ×            ×
//!  storenode         ×                        ×
//!  gateway                       ×            ×
//!
//!  start: storage ─► operations ─► published ─► clients       stop: hand over ─► clients ─► storage ─► operations
//! ```

use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;

use gateway::protocols::listener::Options;
use gateway::protocols::operations::{Checking, Condition, Operations};
use gateway::protocols::probes::Check;
use prometheus::Registry;
use storenode::Node;

use crate::StartError;
use crate::config::{Config, Myself};
use crate::front::{self, Front};
use crate::server::Server;
use crate::storage::{self, Storage};

/// Listening sockets, bound before anything starts.
pub(crate) struct Sockets {
    /// For clients.
    pub(crate) clients: Vec<TcpListener>,
    /// Of the storage node.
    pub(crate) storage: storage::Sockets,
    /// For operators.
    pub(crate) operations: Vec<TcpListener>,
}

/// A process's parts, running.
pub(crate) struct Serving {
    storage: Option<Storage>,
    front: Option<front::Serving>,
    operations: Server,
}

/// Starts the parts of `config`'s program; `who` is the member whose data this process has, with the place of the data.
pub(crate) async fn serve(
    config: &Config,
    who: Option<(&Myself, &Path)>,
    sockets: Sockets,
) -> Result<Serving, StartError> {
    let registry = Registry::new();
    let storage = match who {
        Some((who, place)) => {
            let node = config.storenode(who, place);
            let store_urls = config.store_urls.clone();
            Some(Storage::start(node, who, store_urls, sockets.storage, registry.clone()).await?)
        }
        None => None,
    };
    let settings = front::Settings { gateway: &config.gateway, election_timeout: config.election_timeout };
    let front = match (&storage, who) {
        _ if !config.role.has_clients() => None,
        (Some(storage), Some((who, _))) => Some(Front::of_member(who, storage.node(), &settings, &registry)?),
        _ => Some(Front::apart(config.storenodes.clone(), &config.bootstrap.token, &settings, &registry)?),
    };
    let operations = match (&front, &storage) {
        (Some(front), _) => front.operations().clone(),
        (None, Some(storage)) => Operations::new(Arc::new(NodeCondition(Arc::clone(storage.node()))), registry)?,
        (None, None) => unreachable!("every program has storage or clients"),
    };
    let operations = Server::start(sockets.operations, operations.routes(), Options::from(&config.gateway))?;
    if let Some(storage) = &storage {
        storage.publish().await?;
    }
    let front = front.map(|front| front.serve(sockets.clients)).transpose()?;
    Ok(Serving { storage, front, operations })
}

/// A storage node's condition.
struct NodeCondition(Arc<Node>);

impl Condition for NodeCondition {
    fn health<'a>(&'a self, _: Option<&'a str>) -> Checking<'a> {
        self.check(Check::Leader)
    }

    /// A node that cannot go on ends its process.
    fn liveness(&self) -> &'static [Check] {
        &[]
    }

    fn readiness(&self) -> &'static [Check] {
        &[Check::Leader, Check::NotDrained]
    }

    fn check(&self, check: Check) -> Checking<'_> {
        let reason = match check {
            Check::NotDrained if self.0.is_drained() => Some("drained: ready again after a restart"),
            Check::Leader if self.0.status().leader.is_none() => Some("RAFT NO LEADER"),
            _ => None,
        };
        Box::pin(std::future::ready(reason.map_or(Ok(()), |reason| Err(reason.to_owned()))))
    }
}

impl Serving {
    /// Waits until a part cannot go on, and returns why.
    pub(crate) async fn failed(&mut self) -> String {
        let node = async {
            match &self.storage {
                Some(storage) => storage.node().failed().await,
                None => std::future::pending().await,
            }
        };
        let front = async {
            match &mut self.front {
                Some(front) => front.ended().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            reason = node => reason,
            () = front => "the listener ended".to_owned(),
        }
    }

    /// Gives leadership away, stops accepting, drains, then stops the node.
    pub(crate) async fn stop(self) {
        if let Some(storage) = &self.storage {
            storage.node().hand_over().await;
        }
        if let Some(front) = self.front {
            front.stop().await;
        }
        if let Some(storage) = self.storage {
            storage.stop().await;
        }
        self.operations.stop().await;
    }
}
