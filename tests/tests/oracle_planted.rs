//! The oracle can fail: differences planted into one of two real etcds are found, and shortened.
#![allow(clippy::unwrap_used)]

use tests::binary::Program;
use tests::deployment::Form;
use tests::oracle::fault::Fault;
use tests::oracle::generator::{Generator, KeySpace};
use tests::oracle::operation::Operation;
use tests::oracle::run::Pair;
use tests::oracle::shrink;
use tests::requirement;

const SEED: u64 = 7;
/// As many as one seed of the suite that compares the product.
const OPERATIONS: usize = 2_500;

fn operations() -> Vec<Operation> {
    let mut generator = Generator::new(SEED, KeySpace::whole());
    (0..OPERATIONS).map(|_| generator.operation()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_planted_difference_is_found() {
    if requirement::etcd().is_none() {
        return;
    }
    for fault in Fault::ALL {
        let mut pair = Pair::start(Form::Alone(Program::Etcd), Some(fault)).await.unwrap();
        pair.hurry();
        let found = pair.run(&operations()).await;
        assert!(found.is_err(), "{fault:?} was not found");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_difference_is_shortened_to_the_operations_that_show_it() {
    if requirement::etcd().is_none() {
        return;
    }
    let report = shrink::check(Form::Alone(Program::Etcd), Some(Fault::OtherText), &operations()).await.unwrap_err();
    assert!(report.contains("shortened to 1 operations"), "{report}");
    assert!(report.contains("duplicated key given"), "{report}");
}
