//! Whether the node behind this port can do its work, as etcd's `/health` decides it.

use std::collections::HashSet;

use bytes::Bytes;
use internal_proto::{KeyRange, RangeRequest, Request, Response, StatusResponse};
use proto::etcdserverpb::AlarmType;

use super::caller::Caller;
use super::{alarm, error};
use crate::protocols::operations::{Checking, Condition};
use crate::protocols::probes::Check;
use crate::stack::Handle;

impl<S: Handle> Condition for Caller<S> {
    fn health<'a>(&'a self, query: Option<&'a str>) -> Checking<'a> {
        Box::pin(check(self, HealthQuery::parse(query)))
    }

    fn liveness(&self) -> &'static [Check] {
        &[Check::SerializableRead]
    }

    fn readiness(&self) -> &'static [Check] {
        &[Check::DataCorruption, Check::SerializableRead, Check::LinearizableRead, Check::NonLearner]
    }

    fn check(&self, check: Check) -> Checking<'_> {
        Box::pin(async move {
            match check {
                Check::SerializableRead => read(self, true).await,
                Check::LinearizableRead => {
                    led(status(self).await.as_ref())?;
                    read(self, false).await
                }
                Check::DataCorruption => match status(self).await.map(|status| alarm::alarms(&status.errors)) {
                    Some(alarms) if alarms.iter().any(|alarm| alarm.alarm() == AlarmType::Corrupt) => {
                        Err("alarm activated: CORRUPT".to_owned())
                    }
                    _ => Ok(()),
                },
                Check::NonLearner => match status(self).await {
                    Some(status) if status.learner => Err("rpc not supported for learner".to_owned()),
                    _ => Ok(()),
                },
                Check::Leader => led(status(self).await.as_ref()),
                // Whoever serves clients is drained by its end.
                Check::NotDrained => Ok(()),
            }
        })
    }
}

async fn status<S: Handle>(caller: &Caller<S>) -> Option<StatusResponse> {
    match caller.ask(caller.background(), Request::Status).await.map(|answer| answer.response) {
        Ok(Response::Status(status)) => Some(status),
        _ => None,
    }
}

/// Where no node answers, no leader is known either; a linearizable read would wait for one.
fn led(status: Option<&StatusResponse>) -> Result<(), String> {
    const NO_LEADER: &str = "RAFT NO LEADER";
    if status.is_some_and(|status| status.leader.is_some()) { Ok(()) } else { Err(NO_LEADER.to_owned()) }
}

/// The error is in the words that a client would see.
async fn read<S: Handle>(caller: &Caller<S>, serializable: bool) -> Result<(), String> {
    let read = RangeRequest {
        range: KeyRange::single(Bytes::from_static(b"health")),
        limit: 1,
        keys_only: true,
        serializable,
        ..RangeRequest::default()
    };
    let outcome = caller.ask(caller.background(), Request::Range(read)).await;
    outcome.map(|_| ()).map_err(|failure| error::wire(failure).1.to_string())
}

/// Why the node is not healthy, if so: alarms first, then the leader, then a read.
async fn check<S: Handle>(caller: &Caller<S>, query: HealthQuery) -> Result<(), String> {
    let status = status(caller).await;
    for alarm in status.iter().flat_map(|status| alarm::alarms(&status.errors)) {
        if !query.exclude.contains(alarm.alarm().as_str_name()) {
            return Err(format!("ALARM {}", alarm_name(alarm.alarm())));
        }
    }
    if !query.serializable {
        led(status.as_ref())?;
    }
    read(caller, query.serializable).await.map_err(|reason| format!("RANGE ERROR:{reason}"))
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
