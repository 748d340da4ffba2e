//! The containers under load, while gateways come and go, one of each tier is killed, and all are taken down and up.
#![allow(clippy::unwrap_used)]
#![allow(clippy::print_stdout)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use proto::etcdserverpb::PutRequest;
use tests::client::Client;
use tests::compose::{Compose, Container, docker};
use tests::history::follow::{self, Follower};
use tests::history::load::{self, Errors, Record};
use tests::history::{Change, checker};
use tests::http;
use tokio::task::{JoinHandle, JoinSet};

const PORT: u16 = 23_790;
const WRITES: usize = 1_000;
/// For anything that takes as long as containers need.
const PATIENCE: Duration = Duration::from_secs(90);
const POLL_EVERY: Duration = Duration::from_millis(100);

/// Clients of the balancer that connect again when their connection breaks.
struct Traffic {
    record: Arc<Record>,
    errors: Arc<Errors>,
    /// Milliseconds between two acknowledgements.
    pause: Arc<AtomicU64>,
    watchman: JoinHandle<()>,
    writers: JoinSet<()>,
    watched: Arc<Mutex<Vec<Change>>>,
    watcher: JoinHandle<()>,
}

impl Traffic {
    fn start(address: SocketAddr) -> Self {
        let record = Arc::new(Record::default());
        let errors = Arc::<Errors>::default();
        let watched = Arc::<Mutex<Vec<Change>>>::default();
        let writers = load::start_persistent(address, &record, &errors);
        let watcher = tokio::spawn(watch(address, Arc::clone(&watched)));
        let pause = Arc::<AtomicU64>::default();
        let watchman = tokio::spawn(longest_pause(Arc::clone(&record), Arc::clone(&pause)));
        Self { record, errors, pause, watchman, writers, watched, watcher }
    }

    /// Waits for acknowledged writes; what clients have noticed since the last call.
    async fn goes_on(&self) -> String {
        let began = Instant::now();
        within(self.record.acknowledged(WRITES)).await;
        let (pause, errors) = (self.pause.swap(0, Ordering::Relaxed), std::mem::take(&mut *self.errors.lock()));
        let took = began.elapsed();
        format!("longest pause {pause} ms; {WRITES} writes in {took:.1?}; errors: {errors:?}")
    }

    /// Ends it, and judges what was told: nothing lost, nothing twice, the watch complete and in order.
    async fn judge(self, address: SocketAddr) -> String {
        self.record.stop();
        self.writers.join_all().await;
        let client = Client::connect(address).await.unwrap();
        // A write that was cut off may still be on its way; the last one is behind it.
        let last = PutRequest { key: "last".into(), value: "last".into(), ..PutRequest::default() };
        let end = client.kv.clone().put(last).await.unwrap().into_inner().header.unwrap().revision;
        let mut history = follow::changes(&client, 2, end).await.unwrap();
        until(|| async { self.watched.lock().last().filter(|change| change.revision >= end).map(drop) }).await;
        self.watcher.abort();
        self.watchman.abort();
        assert!(*self.watched.lock() == history, "the watch has seen something else");
        history.retain(|change| change.revision < end);
        let writes = self.record.writes.lock();
        checker::check(&writes, &history, end - 1).unwrap_or_else(|found| panic!("{found}"));
        format!("{} writes, revision {end}: none lost, none twice; watch complete and in order", writes.len())
    }
}

/// Raises `longest` to the longest time without an acknowledgement.
async fn longest_pause(record: Arc<Record>, longest: Arc<AtomicU64>) {
    loop {
        let began = Instant::now();
        record.acknowledged(1).await;
        longest.fetch_max(u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

/// As etcd's own client does: after a broken stream another one, from the next revision on.
async fn watch(address: SocketAddr, watched: Arc<Mutex<Vec<Change>>>) {
    loop {
        let from = watched.lock().last().map_or(2, |change| change.revision + 1);
        if let Ok(client) = Client::connect(address).await
            && let Ok(follower) = Follower::start(&client, from).await
        {
            let seen = follower.ended().await;
            watched.lock().extend(seen);
        }
        tokio::time::sleep(POLL_EVERY).await;
    }
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("it happens in time")
}

async fn until<T, F: Future<Output = Option<T>>>(mut ask: impl FnMut() -> F) -> T {
    within(async {
        loop {
            if let Some(found) = ask().await {
                return found;
            }
            tokio::time::sleep(POLL_EVERY).await;
        }
    })
    .await
}

/// The containers, and what is said about them.
struct Stage {
    compose: Compose,
    began: Instant,
}

impl Stage {
    fn say(&self, what: &str, seen: &str) {
        println!("{:>5.1} s  {what:<28} {seen}", self.began.elapsed().as_secs_f64());
    }

    async fn up(&self, gateways: usize) {
        let scale = format!("gateway={gateways}");
        self.compose.run(&["up", "--detach", "--wait", "--scale", &scale]).unwrap();
        until(|| async { self.leader().await }).await;
    }

    /// The storage node that leads.
    async fn leader(&self) -> Option<Container> {
        for service in ["storenode-1", "storenode-2", "storenode-3"] {
            for node in self.compose.containers(service).unwrap() {
                if metric(node.port(9091), "etcd_server_is_leader").await == Some(1.0) {
                    return Some(node);
                }
            }
        }
        None
    }

    /// Requests that each gateway has served.
    async fn served(&self) -> Vec<f64> {
        let mut served = Vec::new();
        for gateway in self.compose.containers("gateway").unwrap() {
            served.push(metric(gateway.port(9090), "metastore_requests_total").await.unwrap_or_default());
        }
        served
    }
}

/// A metric as the process tells it now.
async fn metric(address: SocketAddr, name: &str) -> Option<f64> {
    http::metric(&http::get(address, "/metrics").await.ok()?.text(), name)
}

#[tokio::test(flavor = "multi_thread")]
async fn containers_come_and_go_under_load() {
    let compose = Compose::new("metastore-test", PORT, &[("MAX_CONNECTION_AGE", "3s")]);
    compose.run(&["down", "--volumes"]).unwrap();
    let stage = Stage { compose, began: Instant::now() };
    stage.up(2).await;
    stage.say("up", &format!("leader {}", stage.leader().await.unwrap().name));
    let traffic = Traffic::start(stage.compose.client());
    stage.say("under load", &traffic.goes_on().await);

    scaled(&stage, &traffic).await;
    killed(&stage, &traffic).await;
    let targets = until(|| async { scraped(&stage).await }).await;
    stage.say("Prometheus", &format!("{targets} targets, all up"));
    let memory = docker(&["stats", "--no-stream", "--format", "{{.Name}} {{.MemUsage}}"]).unwrap();
    memory.lines().filter(|line| line.starts_with("metastore-test")).for_each(|line| stage.say("memory", line));

    stage.compose.run(&["down"]).unwrap();
    stage.up(2).await;
    stage.say("down and up, data kept", &traffic.goes_on().await);
    let judged = traffic.judge(stage.compose.client()).await;
    stage.say("judged", &judged);
    stage.compose.run(&["down", "--volumes"]).unwrap();
    assert!(stage.compose.containers("gateway").unwrap().is_empty());
    stage.say("down, data removed", "");
}

/// More gateways get their share of long-lived connections; fewer take all of them.
async fn scaled(stage: &Stage, traffic: &Traffic) {
    stage.up(4).await;
    let before = stage.served().await;
    let shares = until(|| async {
        let shares: Vec<f64> = stage.served().await.iter().zip(&before).map(|(now, before)| now - before).collect();
        (shares.len() == 4 && shares.iter().all(|&share| share > 100.0)).then_some(shares)
    });
    stage.say("gateways 2 -> 4", &format!("requests served by each since: {:?}", shares.await));
    stage.say("gateways 2 -> 4", &traffic.goes_on().await);
    stage.up(1).await;
    stage.say("gateways 4 -> 1", &traffic.goes_on().await);
    stage.up(2).await;
}

/// One of each tier.
async fn killed(stage: &Stage, traffic: &Traffic) {
    let leader = stage.leader().await.unwrap();
    leader.kill().unwrap();
    stage.say("leader killed", &traffic.goes_on().await);
    leader.start().unwrap();
    for service in ["gateway", "balancer", "monitor"] {
        let [victim, ..] = &stage.compose.containers(service).unwrap()[..] else { panic!("no {service}") };
        victim.kill().unwrap();
        if service == "balancer" {
            victim.start().unwrap();
        }
        stage.say(&format!("{service} killed"), &traffic.goes_on().await);
        if service != "balancer" {
            victim.start().unwrap();
        }
    }
    stage.up(2).await;
}

/// How many targets Prometheus scrapes, once all of them are up: nodes, gateways, the balancer and itself.
async fn scraped(stage: &Stage) -> Option<usize> {
    let monitor = stage.compose.containers("monitor").unwrap().pop()?;
    let answer = http::get(monitor.port(9090), "/api/v1/targets?state=active").await.ok()?;
    let answer: serde_json::Value = serde_json::from_slice(&answer.body).ok()?;
    let targets = answer["data"]["activeTargets"].as_array()?;
    (targets.len() == 7 && targets.iter().all(|target| target["health"] == "up")).then_some(targets.len())
}
