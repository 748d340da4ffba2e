//! kill -9 at any moment: what was acknowledged is there after the restart, once, at its revision.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::Arc;

use proto::etcdserverpb::{CompactionRequest, LeaseTimeToLiveRequest, RangeRequest};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tests::binary::{Program, amount, etcd_stands_in};
use tests::client::Client;
use tests::history::load::{self, Record};
use tests::history::model::{self, Version};
use tests::history::{Change, checker, follow};
use tests::process::Server;
use tonic::{Code, Status};

const SEED: u64 = 3;
/// A server is killed after one to this many acknowledged writes of its life.
const LIFE: usize = 300;
/// Ranges at old revisions after each restart.
const SAMPLES: usize = 4;

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_writes_survive_kills() {
    survive_kills(Program::MetaStore).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_writes_survive_kills_on_disk() {
    if etcd_stands_in() {
        return;
    }
    survive_kills(Program::MetaStoreOnDisk).await;
}

async fn survive_kills(program: Program) {
    let mut random = StdRng::seed_from_u64(SEED);
    let mut server = Server::start(program, &[]).await.unwrap();
    let record = Arc::new(Record::default());
    let mut changes: Vec<Change> = Vec::new();
    let mut compacted = 1;
    for life in 0..amount(10, 200) {
        let mut writers = load::start(server.client(), &record, life as u64);
        record.acknowledged(random.random_range(1..LIFE)).await;
        server.kill();
        while writers.join_next().await.is_some() {}
        server.restart().await.unwrap();

        let client = Client::connect(server.client()).await.unwrap();
        let next = changes.last().map_or(2, |change| change.revision + 1);
        let current = follow::current(&client).await.unwrap();
        changes.extend(follow::changes(&client, next, current).await.unwrap());
        checker::check(&record.writes.lock(), &changes, current).unwrap_or_else(|found| panic!("life {life}: {found}"));
        for _ in 0..SAMPLES {
            let revision = random.random_range(compacted..=current);
            let expected = model::at(&changes, revision);
            assert_eq!(keys(&client, revision).await.unwrap(), expected, "life {life} at {revision}");
        }
        if compacted > 1 {
            assert_eq!(keys(&client, compacted - 1).await.unwrap_err().code(), Code::OutOfRange, "life {life}");
        }
        check_leases(&client, &record).await;
        if compacted < current && random.random_ratio(1, 3) {
            compacted = random.random_range(compacted + 1..=current);
            let request = CompactionRequest { revision: compacted, physical: random.random() };
            client.kv.clone().compact(request).await.unwrap();
        }
    }
    let client = Client::connect(server.client()).await.unwrap();
    let end = changes.last().unwrap().revision;
    // A compaction leaves of the revision itself what is still alive.
    let kept: Vec<Change> = changes.into_iter().filter(|change| change.revision > compacted).collect();
    assert_eq!(follow::changes(&client, compacted + 1, end).await.unwrap(), kept, "the past has changed");
}

async fn keys(client: &Client, revision: i64) -> Result<BTreeMap<String, Version>, Status> {
    let everything: bytes::Bytes = vec![0].into();
    let request = RangeRequest { key: everything.clone(), range_end: everything, revision, ..RangeRequest::default() };
    let answer = client.kv.clone().range(request).await?.into_inner();
    let entry = |kv: &internal_proto::KeyValue| {
        let fields = kv.fields();
        let version = Version {
            value: String::from_utf8_lossy(fields.value).into_owned(),
            create_revision: fields.create_revision.0,
            mod_revision: fields.mod_revision.0,
            version: fields.version,
        };
        (String::from_utf8_lossy(fields.key).into_owned(), version)
    };
    Ok(answer.kvs.iter().map(entry).collect())
}

/// Acknowledged grants are still there.
async fn check_leases(client: &Client, record: &Record) {
    let leases = record.leases.lock().clone();
    for id in leases {
        let request = LeaseTimeToLiveRequest { id, keys: false };
        let answer = client.lease.clone().lease_time_to_live(request).await.unwrap().into_inner();
        assert!(answer.ttl > 0, "{answer:?}");
    }
}
