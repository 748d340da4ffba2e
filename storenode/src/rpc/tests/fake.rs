//! A store that holds writes until the test answers them, and reads as long as asked for.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use internal_proto::{
    Answer, Barrier, Error, Freshness, KeyValue, KeyValueFields, MemberId, RangeResponse, Reply, Request, Response,
    Stamp, Standing, Store, WatchLink, Write,
};
use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};

pub(super) struct Fake {
    writes: Mutex<Vec<Write>>,
    read: AtomicUsize,
    pub(super) standing: watch::Sender<Standing>,
}

impl Default for Fake {
    fn default() -> Self {
        Self { writes: Mutex::default(), read: AtomicUsize::new(0), standing: watch::Sender::new(Standing::default()) }
    }
}

impl Fake {
    /// Writes that were submitted, as soon as there are so many.
    pub(super) async fn held(&self, count: usize) -> Vec<Write> {
        let held = async {
            while self.writes.lock().len() < count {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), held).await.expect("the writes come in time");
        std::mem::take(&mut *self.writes.lock())
    }

    /// Bytes of values that were read.
    pub(super) fn read_bytes(&self) -> usize {
        self.read.load(Ordering::Relaxed)
    }

    /// Waits until something was read, and nothing more is.
    pub(super) async fn settled(&self) {
        let mut last = 0;
        loop {
            tokio::time::sleep(Duration::from_millis(200)).await;
            let now = self.read_bytes();
            if now > 0 && now == last {
                return;
            }
            last = now;
        }
    }
}

impl Store for Fake {
    fn member(&self) -> MemberId {
        MemberId(1)
    }

    fn submit(&self, writes: Vec<Write>) {
        self.writes.lock().extend(writes);
    }

    fn barrier(&self) -> Reply<Result<Barrier, Error>> {
        Reply::ready(Err(Error::NotLeader { hint: Some(MemberId(9)) }))
    }

    fn query(&self, request: Request, _freshness: Freshness) -> Reply<Result<Answer, Error>> {
        let Request::Range(range) = request else { return Reply::ready(Err(Error::NotCapable)) };
        let value = vec![7; usize::try_from(range.limit).unwrap()];
        self.read.fetch_add(value.len(), Ordering::Relaxed);
        let kv = KeyValue::new(&KeyValueFields { key: b"k", value: &value, ..KeyValueFields::default() });
        let response = Response::Range(RangeResponse { kvs: vec![kv], ..RangeResponse::default() });
        Reply::ready(Ok(Answer { response, stamp: Stamp::default() }))
    }

    fn watch(&self) -> WatchLink {
        WatchLink { commands: mpsc::channel(1).0, batches: mpsc::channel(1).1 }
    }

    fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.subscribe()
    }
}
