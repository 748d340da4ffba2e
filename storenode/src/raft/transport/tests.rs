//! Members on loopback sockets, with recipients that only write down what reaches them.

#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use internal_proto::{ClusterId, Member, MemberId};
use parking_lot::Mutex;
use raft::eraftpb::{Entry, Message, MessageType};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::lane::{Link, Standing};
use super::queue::Queue;
use super::wire::Lane;
use super::{Content, Introduction, PeerMessage, Peers, Recipient, Transport};
use crate::rpc::admission::Admission;
use crate::rpc::{peer, server};

const CLUSTER: ClusterId = ClusterId(0xc1);
const TOKEN: &str = "secret";
/// Far more than any step takes.
const DEADLINE: Duration = Duration::from_secs(30);

#[derive(Clone, Debug, PartialEq)]
enum Seen {
    Message(MessageType, u64),
    Unreachable(MemberId),
    Gone(MemberId),
}

#[derive(Default)]
struct Notes(Mutex<Vec<Seen>>);

impl Recipient for Notes {
    fn deliver(&self, message: PeerMessage) {
        if let Content::Raft(message) = message.0 {
            self.0.lock().push(Seen::Message(message.get_msg_type(), message.index));
        }
    }

    fn unreachable(&self, peer: MemberId) {
        self.0.lock().push(Seen::Unreachable(peer));
    }

    fn gone(&self, peer: MemberId) {
        self.0.lock().push(Seen::Gone(peer));
    }
}

struct Node {
    peers: Arc<Peers>,
    notes: Arc<Notes>,
    stop: Option<oneshot::Sender<()>>,
}

impl Node {
    /// A member that is served at `listener` and knows all `members`.
    fn start(id: u64, token: &str, listener: TcpListener, members: &[Member]) -> Self {
        let peers = Arc::new(Peers::new(Introduction::new(MemberId(id), CLUSTER, token), members));
        let notes = Arc::new(Notes::default());
        let recipient = Arc::clone(&notes) as Arc<dyn Recipient>;
        let routes = server::Routes::new(peer::service(Arc::clone(&peers), Arc::clone(&recipient)));
        let (stop, asked) = oneshot::channel();
        let asked = async move {
            let _ = asked.await;
        };
        tokio::spawn(server::serve(vec![listener], Arc::new(Admission::new(CLUSTER, token)), routes, asked));
        peers.connect(&recipient);
        Self { peers, notes, stop: Some(stop) }
    }

    fn stop(mut self) {
        self.peers.disconnect();
        let _ = self.stop.take().unwrap().send(());
    }

    fn send(&self, kind: MessageType, to: u64, index: u64) {
        let from = self.peers.introduction().member.0;
        let mut message = Message { from, to, index, ..Message::default() };
        message.set_msg_type(kind);
        message.entries = vec![Entry { data: "data".into(), ..Entry::default() }].into();
        self.peers.send(vec![PeerMessage::from_raft(message)]);
    }

    /// Sends again until it arrives: what is sent into a connection that is not there is lost.
    async fn send_until_it_arrives(&self, kind: MessageType, to: &Self, index: u64) {
        let receiver = to.peers.introduction().member.0;
        let arrives = async {
            while !to.has_seen(&Seen::Message(kind, index)) {
                self.send(kind, receiver, index);
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(DEADLINE, arrives).await.unwrap();
    }

    fn has_seen(&self, what: &Seen) -> bool {
        self.notes.0.lock().contains(what)
    }

    async fn sees(&self, what: Seen) {
        let seen = async {
            while !self.has_seen(&what) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        assert!(tokio::time::timeout(DEADLINE, seen).await.is_ok(), "{what:?} not in {:?}", self.notes.0.lock());
    }
}

async fn listener(address: SocketAddr) -> TcpListener {
    TcpListener::bind(address).await.unwrap()
}

async fn two_members() -> (Vec<Member>, [TcpListener; 2]) {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let listeners = [listener(any).await, listener(any).await];
    let member = |(id, listener): (u64, &TcpListener)| Member {
        id: MemberId(id),
        peer_urls: vec![format!("http://{}", listener.local_addr().unwrap())],
        ..Member::default()
    };
    ((1..).zip(&listeners).map(member).collect(), listeners)
}

#[tokio::test]
async fn messages_travel_on_both_lanes_in_both_directions() {
    let (members, [first, second]) = two_members().await;
    let (one, two) = (Node::start(1, TOKEN, first, &members), Node::start(2, TOKEN, second, &members));
    for kind in [MessageType::MsgHeartbeat, MessageType::MsgAppend] {
        one.send_until_it_arrives(kind, &two, 7).await;
        two.send_until_it_arrives(kind, &one, 8).await;
    }
    // What does not travel is dropped, whoever it is for.
    one.send(MessageType::MsgSnapshot, 2, 9);
    one.send(MessageType::MsgHeartbeat, 3, 9);
    one.send_until_it_arrives(MessageType::MsgHeartbeat, &two, 10).await;
    assert!(!two.has_seen(&Seen::Message(MessageType::MsgSnapshot, 9)));
}

#[tokio::test]
async fn an_ended_process_is_told_of_and_found_again() {
    let (members, [first, second]) = two_members().await;
    let address = second.local_addr().unwrap();
    let (one, two) = (Node::start(1, TOKEN, first, &members), Node::start(2, TOKEN, second, &members));
    one.send_until_it_arrives(MessageType::MsgAppend, &two, 1).await;
    two.send_until_it_arrives(MessageType::MsgAppend, &one, 1).await;
    assert!(!one.has_seen(&Seen::Gone(MemberId(2))));
    two.stop();
    one.sees(Seen::Unreachable(MemberId(2))).await;
    one.sees(Seen::Gone(MemberId(2))).await;
    let again = Node::start(2, TOKEN, listener(address).await, &members);
    one.send_until_it_arrives(MessageType::MsgAppend, &again, 2).await;
}

/// Why the second member refuses somebody who introduces itself so, calling for member `receiver`.
async fn refusal(introduction: Introduction, receiver: u64) -> String {
    let (mut members, [_, second]) = two_members().await;
    let url = members[1].peer_urls[0].clone();
    let node = Node::start(2, TOKEN, second, &members);
    // Calls do not depend on what the list says of the receiver.
    members[1].id = MemberId(receiver);
    let link = Link {
        peer: MemberId(receiver),
        lane: Lane::Control,
        urls: vec![url.clone()],
        metadata: introduction.metadata(MemberId(receiver)),
        queue: Arc::new(Queue::default()),
        recipient: Arc::new(Notes::default()),
        inbound: Arc::default(),
    };
    let refused = link.open(&url).await.map(|_| ()).unwrap_err();
    node.stop();
    match refused {
        Standing::Refused(reason) => reason,
        other => panic!("not refused but {other:?}"),
    }
}

fn introduction(member: u64, cluster: ClusterId, token: &str) -> Introduction {
    Introduction::new(MemberId(member), cluster, token)
}

#[tokio::test]
async fn strangers_are_refused_by_name() {
    let wrong_token = refusal(introduction(1, CLUSTER, "guess"), 2).await;
    assert!(wrong_token.starts_with("wrong cluster token"), "{wrong_token}");
    let wrong_cluster = refusal(introduction(1, ClusterId(0xc2), TOKEN), 2).await;
    assert_eq!(wrong_cluster, "wrong cluster: this node belongs to c1, the caller to c2");
    let unknown = refusal(introduction(3, CLUSTER, TOKEN), 2).await;
    assert_eq!(unknown, "unknown member: 3 is not in this cluster");
    let own_id = refusal(introduction(2, CLUSTER, TOKEN), 2).await;
    assert!(own_id.starts_with("duplicate member: 2 is this node's own id"), "{own_id}");
    let wrong_receiver = refusal(introduction(1, CLUSTER, TOKEN), 3).await;
    assert!(wrong_receiver.starts_with("wrong member: this is 2"), "{wrong_receiver}");
}
