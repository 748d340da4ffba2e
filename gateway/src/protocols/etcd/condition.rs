//! Whether the node behind this port can do its work, as etcd's `/health` decides it.

use std::collections::HashSet;

use bytes::Bytes;
use internal_proto::{KeyRange, RangeRequest, Request, Response};
use proto::etcdserverpb::AlarmType;

use super::caller::Caller;
use super::{alarm, error};
use crate::protocols::operations::{Checking, Condition};
use crate::stack::Handle;

impl<S: Handle> Condition for Caller<S> {
    fn health<'a>(&'a self, query: Option<&'a str>) -> Checking<'a> {
        Box::pin(check(self, HealthQuery::parse(query)))
    }
}

/// Why the node is not healthy, if so: alarms first, then the leader, then a read.
async fn check<S: Handle>(caller: &Caller<S>, query: HealthQuery) -> Result<(), String> {
    const NO_LEADER: &str = "RAFT NO LEADER";
    let status = match caller.ask(caller.background(), Request::Status).await.map(|answer| answer.response) {
        Ok(Response::Status(status)) => Some(status),
        _ => None,
    };
    for alarm in status.iter().flat_map(|status| alarm::alarms(&status.errors)) {
        if !query.exclude.contains(alarm.alarm().as_str_name()) {
            return Err(format!("ALARM {}", alarm_name(alarm.alarm())));
        }
    }
    // Where no node answers, no leader is known either; the read below would wait for one.
    if !query.serializable && status.is_none_or(|status| status.leader.is_none()) {
        return Err(NO_LEADER.to_owned());
    }
    let read = RangeRequest {
        range: KeyRange::single(Bytes::from_static(b"health")),
        limit: 1,
        keys_only: true,
        serializable: query.serializable,
        ..RangeRequest::default()
    };
    let outcome = caller.ask(caller.background(), Request::Range(read)).await;
    outcome.map(|_| ()).map_err(|failure| format!("RANGE ERROR:{}", error::wire(failure).1))
}

const fn alarm_name(alarm: AlarmType) -> &'static str {
    match alarm {
        AlarmType::Nospace => "NOSPACE",
        AlarmType::Corrupt => "CORRUPT",
        AlarmType::None => "UNKNOWN",
    }
}

/// What a health check looks at.
struct HealthQuery {
    exclude: HashSet<String>,
    serializable: bool,
}

impl HealthQuery {
    fn parse(query: Option<&str>) -> Self {
        let pairs = || query.unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
        let exclude = pairs().filter(|(name, _)| *name == "exclude").map(|(_, value)| value.to_owned()).collect();
        let first = pairs().find(|(name, _)| *name == "serializable");
        Self { exclude, serializable: first.is_some_and(|(_, value)| value == "true") }
    }
}
