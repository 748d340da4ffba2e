//! The vocabulary that gateways and storage nodes share: what can be asked, logged, answered and watched.
//!
//! ```text
//!  Request ──► Call (gateway) ──► Write{Command, Responder} ──► Entry (log) ──► Applied ──► Answer{Response, Stamp}
//!                              └─► Query ───────────────────────────────────────────────► Answer
//!  WatchCommand ──► storage node's hub ──► WatchBatch{events, through}
//! ```
//!
//! Invariants: this crate depends on no other crate of the product; wire libraries but `prost` appear only in what
//! crosses machines ([`wire`], [`peer`]), never in the vocabulary; nothing here waits, and nothing here decides.

pub mod admin;
pub mod aside;
mod command;
mod convert;
mod error;
mod fault;
mod generated;
pub mod introduction;
mod key_range;
mod key_value;
pub mod peer;
mod range_index;
mod request;
mod response;
mod store;
mod types;
mod watch;
pub mod wire;

pub use command::{Command, Entry, EntryError, LeaseCheckpoint, Operation, Origin};
pub use error::Error;
pub use fault::Fault;
pub use key_range::{KeyRange, RangeEnd};
pub use key_value::{Event, EventKind, KeyValue, KeyValueFields, MalformedKeyValue};
pub use range_index::RangeIndex;
pub use request::{
    CompactRequest, Compare, CompareOperator, CompareTarget, DeleteRangeRequest, LeaseGrantRequest,
    LeaseTimeToLiveRequest, PutLease, PutRequest, PutValue, RangeRequest, Request, RevisionFilter, Route, Sort,
    SortOrder, SortTarget, TxnOperation, TxnRequest,
};
pub use response::{
    Answer, DeleteRangeResponse, LeaseGrantResponse, LeaseTimeToLiveResponse, PutResponse, RangeResponse, Response,
    Stamp, StatusResponse, TxnOperationResponse, TxnResponse,
};
pub use store::{Barrier, Freshness, Reply, Responder, Standing, Store, Write};
pub use types::{AuthRevision, ClusterId, LeaseId, LogIndex, Member, MemberId, Revision, SessionId, Term};
pub use watch::{FeedEvents, FeedId, NowId, PageContent, PageId, WatchBatch, WatchCommand, WatchLink, WatchPage};
