//! Generated sequences of KV, Watch and Lease operations give the same answers as a real etcd.

use tests::binary::{Program, amount};
use tests::oracle::generator::{Generator, KeySpace};
use tests::oracle::operation::Operation;
use tests::oracle::shrink;
use tests::requirement;

/// The operations of one pair of fresh servers: short enough to be shortened further, long enough for history.
const PER_SEED: usize = 2_500;
const FIRST_SEED: u64 = 1;

#[tokio::test(flavor = "multi_thread")]
async fn generated_operations_have_etcds_answers() {
    if requirement::etcd().is_none() {
        return;
    }
    for seed in (FIRST_SEED..).take(amount(2, 42)) {
        let mut generator = Generator::new(seed, KeySpace::whole());
        let operations: Vec<Operation> = (0..PER_SEED).map(|_| generator.operation()).collect();
        if let Err(report) = shrink::check(Program::MetaStore, None, &operations).await {
            panic!("seed {seed}: {report}");
        }
    }
}
