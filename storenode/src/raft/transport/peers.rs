//! All peers of a member: a queue and a task for each peer and lane.

use std::collections::BTreeMap;
use std::sync::Arc;

use internal_proto::introduction::{BOOT_KEY, CLUSTER_KEY, FORMAT, FORMAT_KEY, MEMBER_KEY, RECEIVER_KEY, TOKEN_KEY};
use internal_proto::{ClusterId, Member, MemberId};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tonic::metadata::{MetadataMap, MetadataValue};

use super::inbound::Inbound;
use super::lane::Link;
use super::queue::Queue;
use super::wire::{self, Lane};
use super::{PeerMessage, Recipient, Transport};

/// How a member presents itself to its peers.
#[derive(Clone, Debug)]
pub struct Introduction {
    /// The member itself.
    pub member: MemberId,
    /// Its cluster.
    pub cluster: ClusterId,
    /// What all of the cluster know.
    pub token: String,
    /// Drawn anew by every process, so that two of them with one id are told apart.
    pub boot: u64,
}

/// The transport of a member that has peers.
#[derive(Debug)]
pub struct Peers {
    introduction: Introduction,
    peers: BTreeMap<MemberId, Peer>,
    inbound: Arc<Inbound>,
    tasks: Mutex<JoinSet<()>>,
    closed: watch::Sender<bool>,
}

#[derive(Debug)]
struct Peer {
    urls: Vec<String>,
    lanes: BTreeMap<Lane, Arc<Queue>>,
}

impl Peers {
    /// The peers among `members`. Messages wait in their queues until [`Peers::connect`].
    #[must_use]
    pub fn new(introduction: Introduction, members: &[Member]) -> Self {
        let peer = |member: &Member| Peer {
            urls: member.peer_urls.clone(),
            lanes: Lane::ALL.map(|lane| (lane, Arc::default())).into(),
        };
        let others = members.iter().filter(|member| member.id != introduction.member);
        let peers = others.map(|member| (member.id, peer(member))).collect();
        let (inbound, tasks) = (Arc::default(), Mutex::default());
        Self { introduction, peers, inbound, tasks, closed: watch::Sender::new(false) }
    }

    /// Connects to every peer, for ever again, and brings what comes to `recipient`. Needs a runtime.
    pub fn connect(&self, recipient: &Arc<dyn Recipient>) {
        let mut tasks = self.tasks.lock();
        for (id, peer) in &self.peers {
            for (lane, queue) in &peer.lanes {
                let link = Link {
                    peer: *id,
                    lane: *lane,
                    urls: peer.urls.clone(),
                    metadata: self.introduction.metadata(*id),
                    queue: Arc::clone(queue),
                    recipient: Arc::clone(recipient),
                    inbound: Arc::clone(&self.inbound),
                };
                tasks.spawn(link.run());
            }
        }
    }

    /// Ends all connections, those of the peers included.
    pub fn disconnect(&self) {
        self.closed.send_replace(true);
        self.tasks.lock().abort_all();
    }

    /// How this member presents itself.
    #[must_use]
    pub const fn introduction(&self) -> &Introduction {
        &self.introduction
    }

    pub(crate) fn knows(&self, member: MemberId) -> bool {
        self.peers.contains_key(&member)
    }

    pub(crate) const fn inbound(&self) -> &Arc<Inbound> {
        &self.inbound
    }

    /// Is over when the connections are to end.
    pub(crate) fn closed(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut closed = self.closed.subscribe();
        async move {
            // A sender that is gone means the same.
            let _ = closed.wait_for(|closed| *closed).await;
        }
    }
}

impl Transport for Peers {
    fn send(&self, messages: Vec<PeerMessage>) {
        for message in messages {
            let queue = Lane::of(&message.0).and_then(|lane| self.peers.get(&message.to())?.lanes.get(&lane));
            match queue {
                Some(queue) => queue.push(wire::encode(message.0)),
                None => tracing::debug!(to = %message.to(), "a message does not travel"),
            }
        }
    }
}

impl Introduction {
    /// How this process presents itself.
    #[must_use]
    pub fn new(member: MemberId, cluster: ClusterId, token: &str) -> Self {
        Self { member, cluster, token: token.to_owned(), boot: rand::random() }
    }

    /// What every call to a peer begins with.
    pub(super) fn metadata(&self, receiver: MemberId) -> MetadataMap {
        let mut metadata = MetadataMap::new();
        let mut insert = |key, value: String| {
            metadata.insert(key, value.parse().expect("digits are always valid metadata"));
        };
        insert(FORMAT_KEY, FORMAT.to_string());
        insert(CLUSTER_KEY, self.cluster.to_string());
        insert(MEMBER_KEY, self.member.to_string());
        insert(RECEIVER_KEY, receiver.to_string());
        insert(BOOT_KEY, self.boot.to_string());
        metadata.insert_bin(TOKEN_KEY, MetadataValue::from_bytes(self.token.as_bytes()));
        metadata
    }
}
