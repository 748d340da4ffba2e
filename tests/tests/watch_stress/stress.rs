//! The run of one seed: a world of clients between a model history and a checker of what each must see.
//!
//! ```text
//!  model history ──publish──► storenode hub ──link (slow, drops)──► gateway hub ──► streams ──► checker
//!        └────────────────────────── what must arrive, exactly ───────────────────────────────────┘
//! ```
//! `WATCH_SEED=n` runs one seed alone.

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use gateway::watch::{Create, Filter, Hub, Requests, StreamRequest, WatchStream};
use internal_proto::{KeyRange, RangeEnd, Revision};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::checker::{self, Checker};
use crate::history::{self, History};
use crate::link::{Faults, NodeStore};

const SEEDS: u64 = 250;
const STREAMS: usize = 3;
const STEPS: usize = 100;
/// Ranges that get a feed of their own, one world each: none, some that come and go past it, and all.
const OWN_FEEDS: [usize; 5] = [0, 2, 6, 8, 10_000];

struct Client {
    stream: WatchStream,
    requests: Requests,
    checker: Checker,
}

struct World {
    random: StdRng,
    history: Arc<History>,
    node: storenode::watch::Hub,
    faults: Arc<Faults>,
    hub: Hub,
    own_feeds: usize,
    clients: Vec<Client>,
    seen: checker::Seen,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_client_gets_exactly_what_happened() {
    let one = std::env::var("WATCH_SEED").ok().map(|seed| seed.parse().unwrap());
    let seeds = one.map_or(0..SEEDS, |seed| seed..seed + 1);
    let mut seen = checker::Seen::default();
    // Worlds wait more than they work: many share the two threads.
    let worlds: Vec<_> = seeds.map(|seed| (seed, tokio::spawn(run(seed)))).collect();
    for (seed, world) in worlds {
        seen.add(&world.await.unwrap_or_else(|_| panic!("seed {seed} failed: WATCH_SEED={seed} runs it alone")));
    }
    if one.is_none() {
        // A run in which nothing interesting happened would prove nothing.
        assert!(seen.events > 1000 && seen.progress > 50 && seen.compacted > 20 && seen.late > 100, "{seen:?}");
        assert!(seen.lagging_feeds > 10 && seen.slow_watches > 10, "{seen:?}");
        assert!(seen.covered > 1000 && seen.uncovered > 30, "{seen:?}");
    }
}

async fn run(seed: u64) -> checker::Seen {
    let mut world = World::new(seed);
    for _ in 0..STEPS {
        world.step().await;
    }
    world.finish().await
}

impl World {
    fn new(seed: u64) -> Self {
        let random = StdRng::seed_from_u64(seed);
        let history = Arc::new(History::new(seed as usize % 7 + 1));
        let node = storenode::watch::Hub::new(history::Shared(Arc::clone(&history)));
        let faults = Arc::new(Faults::default());
        let store = NodeStore { hub: node.clone(), faults: Arc::clone(&faults) };
        let own_feeds = OWN_FEEDS[seed as usize % OWN_FEEDS.len()];
        let hub = Hub::with_own_feeds(Arc::new(store), Arc::default(), own_feeds);
        let (clients, seen) = (Vec::new(), checker::Seen::default());
        let mut world = Self { random, history, node, faults, hub, own_feeds, clients, seen };
        for _ in 0..STREAMS {
            world.connect();
        }
        world
    }

    fn connect(&mut self) {
        let (stream, requests) = self.hub.open();
        self.clients.push(Client { stream, requests, checker: Checker::new(Arc::clone(&self.history)) });
    }

    async fn step(&mut self) {
        self.seen.lagging_feeds += self.node.counts().lagging;
        self.look_at_feeds();
        let client = self.random.random_range(0..self.clients.len());
        match self.random.random_range(0..100) {
            0..35 => self.write().await,
            35..38 => self.compact(),
            38..52 => {
                let create = self.create();
                self.request(client, StreamRequest::Create(create));
            }
            52..56 => {
                let id = self.random.random_range(0..8);
                self.request(client, StreamRequest::Cancel(id));
            }
            56..61 => self.request(client, StreamRequest::Progress),
            61..64 => self.request(client, StreamRequest::Tick),
            64..66 => self.faults.drop_link(),
            66..70 => self.faults.pause(self.random.random_bool(0.5)),
            70..83 => self.poll(client, 3).await,
            83..87 => self.poll(client, usize::MAX).await,
            87..89 => {
                self.disconnect(client);
                self.connect();
            }
            89..94 => tokio::task::yield_now().await,
            _ => tokio::time::sleep(Duration::from_millis(1)).await,
        }
    }

    fn look_at_feeds(&mut self) {
        let counts = self.hub.counts();
        self.seen.slow_watches += counts.slow_watches;
        self.seen.covered += usize::from(counts.covered > 0);
        assert!(counts.ranges - counts.covered <= self.own_feeds, "{counts:?}");
    }

    /// One entry with a few revisions of a few keys; now and then a large value, which fills links.
    async fn write(&mut self) {
        let mut changes = Vec::new();
        for _ in 0..self.random.random_range(1..4) {
            changes.push(self.history.apply(&mut self.random));
        }
        if self.random.random_bool(0.2) {
            // Applied, but not published yet: reads of the history run ahead of the hub.
            tokio::task::yield_now().await;
        }
        self.node.publish(self.history.published(), &changes, None);
    }

    fn compact(&mut self) {
        let current = self.history.revision().0;
        let revision = Revision(self.random.random_range(1..=current));
        if self.history.compact(revision) {
            self.node.publish(self.history.published(), &[], Some(revision));
        }
    }

    fn create(&mut self) -> Create {
        let random = &mut self.random;
        let key = |number: i32| Bytes::from(format!("k{number}"));
        let start = random.random_range(0..8);
        let end = match random.random_range(0..3) {
            0 => RangeEnd::Single,
            1 => RangeEnd::Unbounded,
            _ => RangeEnd::Before(key(random.random_range(start + 1..=8))),
        };
        let current = self.history.revision().0;
        let first = match random.random_range(0..4) {
            0 => Some(Revision(random.random_range(1..=current))),
            1 => Some(Revision(random.random_range(current..current + 8))),
            _ => None,
        };
        Create {
            watch_id: random.random_range(-2..6).max(0),
            range: KeyRange { start: key(start), end },
            start: first,
            prev_kv: random.random_bool(0.3),
            progress_notify: random.random_bool(0.5),
            fragment: false,
            filter: Filter { puts: random.random_bool(0.9), deletes: random.random_bool(0.9) },
        }
    }

    fn request(&mut self, client: usize, request: StreamRequest) {
        let client = &mut self.clients[client];
        client.checker.asked(&request);
        client.requests.push(request);
    }

    async fn poll(&mut self, client: usize, count: usize) {
        let Client { stream, checker, .. } = &mut self.clients[client];
        for _ in 0..count {
            let next = std::future::poll_fn(|context| match stream.poll_next(context) {
                Poll::Ready(output) => Poll::Ready(output),
                Poll::Pending => Poll::Ready(None),
            });
            let Some(output) = next.await else { return };
            checker.check(&output);
        }
    }

    /// Everything that is still to come arrives, and nothing else: also to the few watches that are left at the end.
    async fn finish(mut self) -> checker::Seen {
        self.faults.pause(false);
        self.settle().await;
        let covered = self.hub.counts().covered > 0;
        for _ in 1..self.clients.len() {
            self.disconnect(0);
        }
        for id in self.clients[0].checker.ids().skip(self.own_feeds / 2).collect::<Vec<_>>() {
            self.request(0, StreamRequest::Cancel(id));
        }
        // The ranges that are left get their own feeds with one of the next batches.
        for _ in 0..1_000 {
            self.write().await;
            self.settle().await;
            if self.hub.counts().covered == 0 || self.own_feeds < 2 {
                break;
            }
        }
        assert!(self.hub.counts().covered == 0 || self.own_feeds < 2, "{:?}", self.hub.counts());
        self.seen.uncovered += usize::from(covered && self.own_feeds > 1 && self.hub.counts().ranges > 0);
        // What comes over the feeds that the rest got is complete too.
        self.write().await;
        self.settle().await;
        self.disconnect(0);
        // The streams are gone, and nothing of them is left.
        assert_eq!(self.hub.counts(), gateway::watch::Counts::default());
        for _ in 0..1_000 {
            if self.node.counts().feeds == 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(self.node.counts().feeds, 0);
        self.seen
    }

    /// Takes what is sent until every client has what it must have.
    async fn settle(&mut self) {
        for _ in 0..5_000 {
            for client in 0..self.clients.len() {
                self.poll(client, usize::MAX).await;
            }
            if self.clients.iter().all(|client| client.checker.is_complete()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.clients.iter().for_each(|client| client.checker.assert_complete());
    }

    fn disconnect(&mut self, client: usize) {
        let client = self.clients.remove(client);
        self.seen.add(&client.checker.seen);
    }
}
