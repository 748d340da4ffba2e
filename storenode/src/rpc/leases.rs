//! Leases' deadlines, as only the leader knows them.
//!
//! Invariants: a keepalive renews only after the node has applied what was committed when it came, counted from then;
//! while a lease's end is in the log it waits for what becomes of that.

use std::time::Instant;

use internal_proto::{
    Answer, Error, Freshness, LeaseId, LeaseTimeToLiveRequest, LeaseTimeToLiveResponse, Reply, Response,
};

use super::Query;
use crate::leader::lease_expiry::Renewal;

/// Renews a lease: at once where nothing stands in the way.
pub(super) fn keep_alive(query: Query, id: LeaseId, freshness: Freshness) -> Reply<Result<Answer, Error>> {
    let start = (query.clock)();
    if query.is_fresh(freshness)
        && let Some(answer) = renew(&query, id, start)
    {
        return Reply::ready(answer);
    }
    Reply::later(async move {
        query.wait(freshness).await?;
        let mut applied = query.shared.watch_applied();
        loop {
            if let Some(answer) = renew(&query, id, start) {
                return answer;
            }
            applied.changed().await.map_err(|_| Error::Stopped)?;
        }
    })
}

/// `None` while the lease's end is under way.
fn renew(query: &Query, id: LeaseId, now: Instant) -> Option<Result<Answer, Error>> {
    // etcd's header is as of before the renewal.
    let stamp = query.stamp();
    let ttl = match query.lessor.lock().renew(id, now) {
        Renewal::Renewed(ttl) => ttl,
        Renewal::Unknown => 0,
        Renewal::NotLeading => return Some(Err(Error::NotLeader { hint: query.shared.role().leader })),
        Renewal::Revoking => return None,
    };
    Some(Ok(Answer { response: Response::LeaseKeepAlive { ttl }, stamp }))
}

pub(super) fn time_to_live(query: &Query, request: LeaseTimeToLiveRequest) -> Result<Response, Error> {
    let lessor = query.lessor.lock();
    if !lessor.is_active() {
        return Err(Error::NotLeader { hint: query.shared.role().leader });
    }
    let times = lessor.time_to_live(request.id, (query.clock)());
    drop(lessor);
    let (ttl, granted_ttl) = times.unwrap_or((-1, 0));
    let keys = if request.keys && times.is_some() { query.reader.lease_keys(request.id) } else { Vec::new() };
    Ok(Response::LeaseTimeToLive(LeaseTimeToLiveResponse { id: request.id, ttl, granted_ttl, keys }))
}

/// The leases in the order in which they end. Keepalives wait for a copy at most, not for the order.
pub(super) fn all(query: &Query) -> Result<Response, Error> {
    let lessor = query.lessor.lock();
    if !lessor.is_active() {
        return Err(Error::NotLeader { hint: query.shared.role().leader });
    }
    let mut ends = lessor.ends();
    drop(lessor);
    ends.sort_unstable();
    Ok(Response::LeaseLeases(ends.into_iter().map(|(_, id)| id).collect()))
}
