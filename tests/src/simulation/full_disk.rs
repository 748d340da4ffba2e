//! One node whose disk fills up and is given space again, without a restart.
//!
//! ```text
//!   writes accepted ─► disk full ─► NoSpace; reads, DeleteRange, Compact, LeaseRevoke go on ─► space ─► accepted
//! ```

use std::sync::Arc;

use bytes::Bytes;
use internal_proto::{
    Answer, CompactRequest, DeleteRangeRequest, Error, Freshness, KeyRange, LeaseGrantRequest, LeaseId, MemberId,
    Operation, PutLease, PutRequest, PutValue, RangeRequest, Request, Revision, Store as _,
};
use storenode::{NoPeers, Tuning};

use super::cluster::LONG_LOGS;
use super::machine::{Machine, TICK};
use super::pending::Pending;

/// Large enough for the reserve that ends a full disk, small enough to fill quickly.
const TUNING: Tuning =
    Tuning { segment_bytes: 2 << 20, bytes_between_checkpoints: 6 << 20, election_ticks: Some(100), ..LONG_LOGS };
const VALUE_BYTES: usize = 32 << 10;

/// A machine whose disk can be filled.
pub struct FullDisk {
    machine: Machine,
    puts: u32,
}

impl FullDisk {
    /// A node at work on an empty disk.
    ///
    /// # Errors
    /// Why it cannot start.
    pub fn start(seed: u64) -> Result<Self, String> {
        let member = MemberId(1);
        let mut machine = Machine::new(member, &[member], seed, TUNING, Arc::new(NoPeers));
        machine.start()?;
        Ok(Self { machine, puts: 0 })
    }

    /// Performs one command; `None` if it is not answered within a few passes.
    ///
    /// # Errors
    /// Why the node stopped.
    pub fn perform(&mut self, operation: &Operation) -> Result<Option<Result<Answer, Error>>, String> {
        /// A physical compaction takes two.
        const PASSES: u32 = 4;
        let mut answer = self.machine.submit(std::slice::from_ref(operation)).pop().ok_or("no answer to wait for")?;
        for _ in 0..PASSES {
            self.machine.pass()?;
            if let Some(answer) = answer.poll() {
                return Ok(Some(answer));
            }
        }
        Ok(None)
    }

    /// Puts a new key with a large value.
    ///
    /// # Errors
    /// Why the node stopped.
    pub fn put(&mut self) -> Result<Option<Result<Answer, Error>>, String> {
        self.puts += 1;
        let value = PutValue::Set(Bytes::from(vec![b'x'; VALUE_BYTES]));
        let lease = PutLease::Set(LeaseId(0));
        self.perform(&Operation::Put(PutRequest { key: key(self.puts), value, lease, prev_kv: false }))
    }

    /// Lets time pass, so that the node looks after its log.
    ///
    /// # Errors
    /// Why the node stopped.
    pub fn rest(&mut self, ticks: u32) -> Result<(), String> {
        for _ in 0..ticks {
            self.machine.clock.advance(TICK);
            self.machine.pass()?;
        }
        Ok(())
    }

    /// No file grows any more; with `false` all may again.
    pub fn fill(&self, full: bool) {
        self.machine.disk.set_capacity(full.then(|| self.machine.disk.used()));
    }

    /// Puts until the node refuses; how many were accepted.
    ///
    /// # Errors
    /// When the node stops, or never refuses, or refuses for another reason.
    pub fn put_until_refused(&mut self) -> Result<u32, String> {
        /// More than several segments hold.
        const MOST: u32 = 1_000;
        for accepted in 0..MOST {
            match self.put()? {
                Some(Ok(_)) => self.rest(1)?,
                Some(Err(Error::NoSpace)) => return Ok(accepted),
                other => return Err(format!("put {accepted} got {other:?}")),
            }
        }
        Err("a full disk took everything".to_owned())
    }

    /// How many keys there are.
    ///
    /// # Errors
    /// When the node does not answer.
    pub fn count(&self) -> Result<u64, String> {
        let node = self.machine.node().ok_or("the node does not run")?;
        let all = RangeRequest { range: KeyRange::all(), count_only: true, ..RangeRequest::default() };
        match Pending::new(node.query(Request::Range(all), Freshness::default())).poll() {
            Some(Ok(Answer { response: internal_proto::Response::Range(range), .. })) => Ok(range.count),
            other => Err(format!("a count got {other:?}")),
        }
    }

    /// The power goes, and the node starts again.
    ///
    /// # Errors
    /// Why it cannot start.
    pub fn lose_power(&mut self) -> Result<(), String> {
        self.machine.lose_power();
        self.machine.start()
    }
}

fn key(number: u32) -> Bytes {
    Bytes::from(format!("key {number:05}"))
}

/// Grants lease 1.
#[must_use]
pub fn grant() -> Operation {
    Operation::LeaseGrant(LeaseGrantRequest { id: LeaseId(1), ttl: 100_000 })
}

/// The commands that a full disk must still take, as they bring space back.
#[must_use]
pub fn freeing() -> Vec<Operation> {
    vec![
        Operation::DeleteRange(DeleteRangeRequest { range: KeyRange::single(key(1)), prev_kv: false }),
        Operation::Compact(CompactRequest { revision: Revision(5), physical: true }),
        Operation::LeaseRevoke(LeaseId(1)),
    ]
}
