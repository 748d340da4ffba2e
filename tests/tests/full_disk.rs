//! A full disk refuses writes and nothing else, and what it refused was never done.

use internal_proto::Error;
use tests::simulation::full_disk::{FullDisk, freeing, grant};

#[test]
fn a_full_disk_refuses_writes_until_there_is_space() {
    let mut node = FullDisk::start(1).unwrap();
    assert!(node.perform(&grant()).unwrap().unwrap().is_ok());
    for _ in 0..10 {
        assert!(node.put().unwrap().unwrap().is_ok());
        node.rest(1).unwrap();
    }
    node.fill(true);
    let accepted = node.put_until_refused().unwrap();
    assert_eq!(node.count().unwrap(), 10 + u64::from(accepted), "reads go on, and what was refused was not done");
    for operation in freeing() {
        let answer = node.perform(&operation).unwrap().unwrap();
        assert!(answer.is_ok(), "{operation:?} got {answer:?}");
    }
    assert_eq!(node.count().unwrap(), 9 + u64::from(accepted));
    assert_eq!(node.put().unwrap(), Some(Err(Error::NoSpace)));
    node.fill(false);
    node.rest(100).unwrap();
    assert!(node.put().unwrap().unwrap().is_ok(), "space came back, and writes are still refused");
    node.lose_power().unwrap();
    assert_eq!(node.count().unwrap(), 10 + u64::from(accepted));
}

#[test]
fn a_node_that_starts_on_a_full_disk_refuses_writes_and_goes_on() {
    let mut node = FullDisk::start(2).unwrap();
    node.rest(1).unwrap();
    node.fill(true);
    let accepted = node.put_until_refused().unwrap();
    node.lose_power().unwrap();
    assert_eq!(node.count().unwrap(), u64::from(accepted));
    // Before the first tick nobody has looked whether the disk is full.
    let again = (0..100).map(|_| node.put().unwrap().unwrap()).take_while(Result::is_ok).count() as u64;
    assert_eq!(node.put().unwrap(), Some(Err(Error::NoSpace)));
    assert_eq!(node.count().unwrap(), u64::from(accepted) + again);
    node.fill(false);
    node.rest(100).unwrap();
    assert!(node.put().unwrap().unwrap().is_ok());
}
