//! Data many times larger than the memory it is served from: loaded, read at random, counted, and found again after a
//! kill without a walk over the keys.
#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use proto::etcdserverpb::{PutRequest, RangeRequest};
use rand::rngs::StdRng;
use rand::{Rng, RngCore, SeedableRng};
use tests::binary::{Program, amount, etcd_stands_in};
use tests::client::Client;
use tests::memory_group::MemoryGroup;
use tests::process::Server;
use tests::requirement::is_long_run;

const VALUE: usize = 4_000;
const WRITERS: usize = 64;
const SAMPLES: usize = 500;
/// The data is so many times as large as the memory.
const TIMES: u64 = 16;
/// The cache, all buffers and as much again for the rest of the process, where no limit can be set.
const CACHE: &str = "--rocksdb-cache-mb=64";
const RESIDENT: u64 = 320 << 20;
/// What a start may take on a machine that is busy with other tests; alone it takes a fraction of a second.
const START: Duration = Duration::from_secs(5);

/// Numbered keys, in an order that is not theirs.
fn key(number: usize) -> Vec<u8> {
    format!("large/{:08x}", (number as u32).wrapping_mul(0x9e37_79b1)).into_bytes()
}

/// Nothing that compresses, and another for each key.
fn value(number: usize) -> Vec<u8> {
    let mut value = vec![0; VALUE];
    StdRng::seed_from_u64(number as u64).fill_bytes(&mut value);
    value
}

async fn load(client: &Client, keys: usize) {
    let mut writers = tokio::task::JoinSet::new();
    for first in 0..WRITERS {
        let mut kv = client.kv.clone();
        writers.spawn(async move {
            for number in (first..keys).step_by(WRITERS) {
                let (key, value) = (key(number).into(), value(number).into());
                kv.put(PutRequest { key, value, ..PutRequest::default() }).await.unwrap();
            }
        });
    }
    while let Some(done) = writers.join_next().await {
        done.unwrap();
    }
}

async fn check(client: &Client, keys: usize, random: &mut StdRng) {
    let mut kv = client.kv.clone();
    for _ in 0..SAMPLES {
        let number = random.random_range(0..keys);
        let found = kv.range(RangeRequest { key: key(number).into(), ..RangeRequest::default() }).await.unwrap();
        assert_eq!(found.into_inner().kvs[0].fields().value, value(number), "key {number}");
    }
    let (start, range_end) = (b"large/".as_slice(), b"large0".as_slice());
    let page = RangeRequest { key: start.into(), range_end: range_end.into(), limit: 100, ..RangeRequest::default() };
    let page = kv.range(page).await.unwrap().into_inner();
    assert_eq!((page.kvs.len(), page.count, page.more), (100, keys as i64, true));
    assert!(page.kvs.windows(2).all(|pair| pair[0].key() < pair[1].key()));
}

#[tokio::test(flavor = "multi_thread")]
async fn data_larger_than_memory_is_served_and_found_again() {
    if etcd_stands_in() {
        return;
    }
    let bytes = amount(256 << 20, 2 << 30);
    let keys = bytes / VALUE;
    // Few programs fit into a sixteenth of the little that is loaded every day.
    let limit = is_long_run().then(|| MemoryGroup::new(bytes as u64 / TIMES)).flatten();
    let is_limited = limit.is_some();
    let started = match limit {
        Some(memory) => Server::start_within(memory, Program::MetaStoreOnDisk, &[]).await,
        None => Server::start(Program::MetaStoreOnDisk, &[CACHE]).await,
    };
    let mut server = started.unwrap();
    let client = Client::connect(server.client()).await.unwrap();
    let mut random = StdRng::seed_from_u64(1);
    load(&client, keys).await;
    check(&client, keys, &mut random).await;
    let resident = server.resident().unwrap();
    assert!(resident < RESIDENT, "{resident} bytes are resident for {keys} keys");

    server.kill();
    let start = Instant::now();
    server.restart().await.unwrap();
    let took = start.elapsed();
    assert!(took < START, "the start took {took:?}");
    eprintln!("{bytes} bytes, limited to a sixteenth: {is_limited}; {resident} bytes resident, started in {took:?}");
    let client = Client::connect(server.client()).await.unwrap();
    check(&client, keys, &mut random).await;
    let resident = server.resident().unwrap();
    assert!(resident < RESIDENT, "{resident} bytes are resident after the start");
}
