//! Answers from the node's own state: ranges, read-only transactions, leases, members, status.
//!
//! Invariants: an answer's stamp is taken before the state is read, so no header claims a revision that the answer
//! does not cover; a long read holds up no other, and there are as many at a time as processors.

use std::sync::Arc;
use std::time::Duration;

use internal_proto::aside::aside;
use internal_proto::{Answer, Error, Freshness, LogIndex, Reply, Request, Response, Stamp, StatusResponse};
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use super::leases;
use crate::leader::lease_expiry::Lessor;
use crate::raft::member::Clock;
use crate::raft::shared::Shared;
use crate::state::Reader;

/// How long a read waits for the node to catch up; etcd waits as long for an entry to be applied.
const MAX_WAIT: Duration = Duration::from_secs(1);

/// Keys of a long read: some tenths of a millisecond.
const LONG: u64 = 1_000;

/// Reads of one node.
#[derive(Clone)]
pub(crate) struct Query {
    pub(crate) reader: Reader,
    pub(crate) shared: Arc<Shared>,
    pub(crate) lessor: Arc<Mutex<Lessor>>,
    pub(crate) clock: Clock,
    pub(crate) quota_bytes: u64,
    /// Whose turn it is to read for long.
    pub(crate) long_reads: Arc<Semaphore>,
}

impl Query {
    /// Turns for long reads: one a processor, and never only one.
    pub(crate) fn turns() -> Arc<Semaphore> {
        Arc::new(Semaphore::new(std::thread::available_parallelism().map_or(2, |cores| cores.get().max(2))))
    }

    /// Answers at once if the node is fresh enough and that takes no time, otherwise later.
    pub(crate) fn answer(&self, request: Request, freshness: Freshness) -> Reply<Result<Answer, Error>> {
        if let Request::LeaseKeepAlive(id) = request {
            return leases::keep_alive(self.clone(), id, freshness);
        }
        if self.is_fresh(freshness) && !self.is_long(&request) {
            return Reply::ready(self.now(&request));
        }
        let query = self.clone();
        Reply::later(async move {
            query.wait(freshness).await?;
            // Only now: while it waited, there may have come more to read.
            if !query.is_long(&request) {
                return query.now(&request);
            }
            let _turn = query.long_reads.acquire().await.map_err(|_| Error::Stopped)?;
            // Whoever has begun this beside other work goes on with that first.
            tokio::task::yield_now().await;
            aside(|| query.now(&request))
        })
    }

    /// Whether answering may keep a processor for longer than others should wait.
    fn is_long(&self, request: &Request) -> bool {
        match request {
            Request::Range(range) => self.reader.weight_of_range(range) > LONG,
            Request::Txn(txn) => self.reader.weight_of_txn(txn) > LONG,
            Request::LeaseTimeToLive(request) if request.keys => self.reader.attached(request.id, LONG + 1) > LONG,
            Request::LeaseLeases => true,
            _ => false,
        }
    }

    /// Where and when an answer was given.
    pub(super) fn stamp(&self) -> Stamp {
        Stamp {
            member: self.shared.member(),
            revision: self.reader.revision(),
            term: self.shared.role().term,
            auth: self.reader.auth(),
        }
    }

    pub(super) fn is_fresh(&self, freshness: Freshness) -> bool {
        self.reader.applied().0 >= freshness.applied && self.reader.revision() >= freshness.revision
    }

    /// Waits until the node is fresh. A serializable read asks for no index and is content with what there is.
    pub(super) async fn wait(&self, freshness: Freshness) -> Result<(), Error> {
        let mut applied = self.shared.watch_applied();
        let caught_up = applied.wait_for(|_| self.is_fresh(freshness));
        match tokio::time::timeout(MAX_WAIT, caught_up).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => Err(Error::Stopped),
            Err(_) if freshness.applied == LogIndex::default() => Ok(()),
            Err(_) => Err(Error::TimeoutWaitApplied),
        }
    }

    fn now(&self, request: &Request) -> Result<Answer, Error> {
        let mut stamp = self.stamp();
        let response = match request {
            Request::Range(range) => {
                let response = self.reader.range(range)?;
                stamp.revision = response.revision;
                Response::Range(response)
            }
            Request::Txn(txn) => {
                let response = self.reader.txn(txn)?;
                stamp.revision = response.revision;
                Response::Txn(response)
            }
            Request::LeaseTimeToLive(request) => leases::time_to_live(self, *request)?,
            Request::LeaseLeases => leases::all(self)?,
            Request::MemberList { .. } => Response::MemberList(self.reader.members()),
            Request::Status => Response::Status(self.status()),
            Request::Put(_)
            | Request::DeleteRange(_)
            | Request::Compact(_)
            | Request::LeaseGrant(_)
            | Request::LeaseRevoke(_)
            | Request::LeaseKeepAlive(_) => unreachable!("{} is not answered from the state", request.name()),
        };
        Ok(Answer { response, stamp })
    }

    pub(crate) fn status(&self) -> StatusResponse {
        let sizes = self.reader.sizes();
        let role = self.shared.role();
        let errors = if role.leader.is_none() { vec!["etcdserver: no leader".to_owned()] } else { Vec::new() };
        StatusResponse {
            db_size: sizes.total,
            db_size_in_use: sizes.in_use,
            quota: self.quota_bytes,
            leader: role.leader,
            committed: self.shared.committed(),
            applied: self.reader.applied().0,
            learner: false,
            errors,
        }
    }
}
