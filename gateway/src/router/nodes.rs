//! The storage nodes of this gateway: its own, if it shares a process with one, and those across the network.
//!
//! ```text
//!  members ──update──► nodes: connections made and dropped
//!  each node ──standing──► view: a snapshot with who leads, replaced whenever that changes
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use internal_proto::{MemberId, Standing, Store, WatchLink};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::connection::{Introduction, Remote};
use super::pipeline::Pipeline;
use super::topology::Topology;

/// One storage node.
#[derive(Clone)]
pub(super) struct Node {
    pub(super) id: MemberId,
    pub(super) store: Arc<dyn Store>,
    pub(super) pipeline: Arc<Pipeline>,
}

/// All nodes at one moment.
#[derive(Clone)]
pub(super) struct View {
    pub(super) topology: Topology,
    nodes: BTreeMap<MemberId, Node>,
    /// The node of this process, if it is the only one.
    sole: Option<Node>,
}

/// The storage nodes of one gateway.
pub struct Nodes {
    own: Option<MemberId>,
    view: Arc<watch::Sender<Arc<View>>>,
    members: Mutex<BTreeMap<MemberId, Connected>>,
    /// `None`: there are no other nodes, and never will be.
    introduction: Option<Introduction>,
    /// Which node is read at, where there is no own one.
    preference: AtomicUsize,
}

/// A node that is followed until this is dropped.
struct Connected {
    url: Option<String>,
    _following: JoinSet<()>,
}

impl Nodes {
    /// The node of this process alone.
    #[must_use]
    pub fn sole(store: Arc<dyn Store>) -> Self {
        Self::assemble(Some(store), None)
    }

    /// The node of this process, if there is one. Others join by [`Nodes::update`].
    #[must_use]
    pub fn new(own: Option<Arc<dyn Store>>, introduction: Introduction) -> Self {
        Self::assemble(own, Some(introduction))
    }

    fn assemble(own: Option<Arc<dyn Store>>, introduction: Option<Introduction>) -> Self {
        let id = own.as_ref().map(|store| store.member());
        let view = View { topology: Topology::new(id), nodes: BTreeMap::new(), sole: None };
        let nodes = Self {
            own: id,
            view: Arc::new(watch::Sender::new(Arc::new(view))),
            members: Mutex::default(),
            introduction,
            preference: AtomicUsize::new(rand::random::<u32>() as usize),
        };
        if let Some(store) = own {
            nodes.view.send_modify(|view| Arc::make_mut(view).insert(store));
        }
        nodes
    }

    /// The members of the cluster, as they are now: each with where its Store service is. The own node's is not used.
    /// Must be called within a tokio runtime.
    pub fn update(&self, members: &[(MemberId, String)]) {
        let Some(introduction) = &self.introduction else { return };
        let others = members.iter().filter(|(id, _)| Some(*id) != self.own);
        let wanted: BTreeMap<MemberId, &String> = others.map(|(id, url)| (*id, url)).collect();
        let mut connected = self.members.lock();
        connected.retain(|id, member| {
            let stays = Some(*id) == self.own || wanted.get(id).copied() == member.url.as_ref();
            if !stays {
                self.view.send_modify(|view| Arc::make_mut(view).remove(*id));
            }
            stays
        });
        for (id, url) in wanted {
            if !connected.contains_key(&id) {
                match Remote::new(id, url, introduction) {
                    Ok(remote) => self.connect(&mut connected, Arc::new(remote), Some(url.clone())),
                    Err(error) => tracing::warn!(member = %id, url, %error, "a member's address cannot be used"),
                }
            }
        }
        if let Some(own) = self.own
            && !connected.contains_key(&own)
            && !connected.is_empty()
            && let Some(node) = self.view().node(own)
        {
            // Alone it needs no following: whatever it says, it is the one to ask.
            self.connect(&mut connected, node.store, None);
        }
    }

    fn connect(&self, connected: &mut BTreeMap<MemberId, Connected>, store: Arc<dyn Store>, url: Option<String>) {
        let id = store.member();
        let mut standing = store.standing();
        let view = Arc::clone(&self.view);
        view.send_modify(|view| {
            let view = Arc::make_mut(view);
            view.insert(store);
            view.topology.say(id, *standing.borrow_and_update());
        });
        let mut following = JoinSet::new();
        following.spawn(async move {
            while standing.changed().await.is_ok() {
                let now = *standing.borrow_and_update();
                view.send_modify(|view| Arc::make_mut(view).topology.say(id, now));
            }
            view.send_modify(|view| Arc::make_mut(view).topology.say(id, Standing::default()));
        });
        connected.insert(id, Connected { url, _following: following });
    }

    /// Adds a node that is reached in a way of its own.
    #[cfg(test)]
    pub(super) fn add(&self, store: Arc<dyn Store>) {
        self.connect(&mut self.members.lock(), store, None);
    }

    pub(super) fn view(&self) -> Arc<View> {
        Arc::clone(&self.view.borrow())
    }

    pub(super) fn views(&self) -> watch::Receiver<Arc<View>> {
        self.view.subscribe()
    }

    /// A node to read at that was not tried yet.
    pub(super) fn reader(&self, view: &View, tried: &[MemberId]) -> Option<Node> {
        view.node(view.topology.reader(self.preference.load(Ordering::Relaxed), tried)?)
    }

    /// The node that is read at did not answer: the next one is preferred from here on.
    pub(super) fn prefer_another(&self) {
        self.preference.fetch_add(1, Ordering::Relaxed);
    }

    /// A link to the watch hub of the own node, or of another one as soon as one can be reached.
    pub(crate) async fn watch(&self) -> WatchLink {
        let mut views = self.views();
        loop {
            let view = Arc::clone(&views.borrow_and_update());
            if let Some(node) = self.reader(&view, &[]) {
                return node.store.watch();
            }
            if views.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

impl View {
    pub(super) fn node(&self, id: MemberId) -> Option<Node> {
        self.nodes.get(&id).cloned()
    }

    pub(super) fn has_own(&self) -> bool {
        self.topology.has_own()
    }

    /// The node of this process, if there is no other.
    pub(super) const fn sole(&self) -> Option<&Node> {
        self.sole.as_ref()
    }

    fn insert(&mut self, store: Arc<dyn Store>) {
        let id = store.member();
        let node = Node { id, pipeline: Arc::new(Pipeline::new(Arc::clone(&store))), store };
        self.nodes.entry(id).or_insert(node);
        self.topology.say(id, Standing { reachable: true, ..Standing::default() });
        self.find_sole();
    }

    fn remove(&mut self, id: MemberId) {
        self.nodes.remove(&id);
        self.topology.remove(id);
        self.find_sole();
    }

    fn find_sole(&mut self) {
        let own = |node: &&Node| self.topology.is_own(node.id);
        self.sole = if self.nodes.len() == 1 { self.nodes.values().find(own).cloned() } else { None };
    }
}
