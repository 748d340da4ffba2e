//! Scripts in `testscripts/log`, one behaviour a file, and random power losses.
mod power_loss;
mod real_disk;
mod script;

use bytes::Bytes;
use internal_proto::{ClusterId, LogIndex, MemberId, Term};

use super::{Entry, EntryKind, Identity};

const IDENTITY: Identity = Identity { cluster: ClusterId(0xc1), member: MemberId(0xa1) };

fn entry(index: u64, term: u64, data: impl Into<Bytes>) -> Entry {
    Entry { index: LogIndex(index), term: Term(term), kind: EntryKind::Normal, data: data.into() }
}
