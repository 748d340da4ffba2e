//! This process towards the cluster's other members: what it calls, and the port where it is called.
//!
//! ```text
//!  node ─► peers ═══► other members' ports
//!  node ◄─ server ◄── other members, through one check
//! ```

use std::net::TcpListener;
use std::sync::Arc;

use storenode::{Admission, Introduction, Node, Peers, Recipient, peer, server};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::config::Myself;

/// The connections with other members.
pub(crate) struct Members {
    peers: Arc<Peers>,
    server: JoinHandle<()>,
    shutdown: oneshot::Sender<()>,
}

/// What the node sends through. Nothing leaves before [`connect`].
pub(crate) fn peers(myself: &Myself) -> Arc<Peers> {
    let introduction = Introduction::new(myself.member_id, myself.cluster_id, &myself.token);
    Arc::new(Peers::new(introduction, &myself.first_members))
}

/// Serves other members and connects to them.
///
/// # Errors
/// When a bound socket cannot be served.
pub(crate) fn connect(peers: Arc<Peers>, node: &Arc<Node>, sockets: Vec<TcpListener>) -> std::io::Result<Members> {
    let recipient = Arc::clone(node) as Arc<dyn Recipient>;
    let sockets = sockets.into_iter().map(tokio::net::TcpListener::from_std).collect::<Result<_, _>>()?;
    let Introduction { cluster, token, .. } = peers.introduction();
    let admission = Arc::new(Admission::new(*cluster, token));
    let routes = server::Routes::new(peer::service(Arc::clone(&peers), Arc::clone(&recipient)));
    let (shutdown, asked) = oneshot::channel();
    let asked = async move {
        // A dropped sender asks for the end as well.
        let _ = asked.await;
    };
    let work = async move {
        if let Err(error) = server::serve(sockets, admission, routes, asked).await {
            tracing::error!(%error, "other members cannot be served any more");
        }
    };
    let server = tokio::spawn(work);
    peers.connect(&recipient);
    Ok(Members { peers, server, shutdown })
}

impl Members {
    /// Ends all connections.
    pub(crate) async fn disconnect(self) {
        self.peers.disconnect();
        let _ = self.shutdown.send(());
        // A panic in it changes nothing here.
        let _ = self.server.await;
    }
}
