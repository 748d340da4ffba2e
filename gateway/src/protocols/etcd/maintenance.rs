//! etcd's Maintenance service.

use internal_proto::{Error, Request, Response};
use proto::etcdserverpb as wire;
use tonic::Status;
use wire::alarm_request::AlarmAction;

use super::caller::Caller;
use super::later::later;
use super::{STORAGE_VERSION, VERSION, alarm, answer, error};
use crate::stack::Handle;

const ALARM_CHANGES: Error =
    Error::Unimplemented("etcdserver: raising and clearing alarms is not available in this version");
const DEFRAGMENTATION: &str = "etcdserver: defragmentation is not available in this version";
const HASHES: &str = "etcdserver: hashes of the store are not available in this version";
const SNAPSHOTS: &str = "etcdserver: snapshots are not available in this version";
const HAND_OVER: &str = "etcdserver: moving the leader is not available in this version";
const DOWNGRADES: &str = "etcdserver: downgrades are not available in this version";

/// Serves Maintenance through a stack.
pub(super) struct Maintenance<S>(Caller<S>);

impl<S: Handle> Maintenance<S> {
    /// Calls go through `caller`.
    #[must_use]
    pub(super) const fn new(caller: Caller<S>) -> Self {
        Self(caller)
    }
}

#[tonic::async_trait]
impl<S: Handle> wire::maintenance_server::Maintenance for Maintenance<S> {
    type SnapshotStream = tokio_stream::Empty<Result<wire::SnapshotResponse, Status>>;

    async fn status(
        &self,
        request: tonic::Request<wire::StatusRequest>,
    ) -> Result<tonic::Response<wire::StatusResponse>, Status> {
        let context = self.0.context(request.metadata());
        let answer = self.0.call(context, Request::Status).await?;
        let Response::Status(status) = answer.response else { return Err(error::mismatched(answer.stamp)) };
        Ok(tonic::Response::new(wire::StatusResponse {
            header: Some(self.0.header(&answer.stamp, answer.stamp.revision)),
            version: VERSION.to_owned(),
            db_size: answer::signed(status.db_size),
            leader: status.leader.map_or(0, |leader| leader.0),
            raft_index: status.committed.0,
            raft_term: answer.stamp.term.0,
            raft_applied_index: status.applied.0,
            errors: status.errors,
            db_size_in_use: answer::signed(status.db_size_in_use),
            is_learner: status.learner,
            storage_version: STORAGE_VERSION.to_owned(),
            db_size_quota: answer::signed(status.quota),
            downgrade_info: Some(wire::DowngradeInfo::default()),
        }))
    }

    async fn alarm(
        &self,
        request: tonic::Request<wire::AlarmRequest>,
    ) -> Result<tonic::Response<wire::AlarmResponse>, Status> {
        let context = self.0.context(request.metadata());
        if request.get_ref().action() != AlarmAction::Get {
            return Err(error::status(ALARM_CHANGES));
        }
        let wanted = request.get_ref().alarm();
        let answer = self.0.call(context, Request::Status).await?;
        let Response::Status(status) = answer.response else { return Err(error::mismatched(answer.stamp)) };
        let mut alarms = alarm::alarms(&status.errors);
        alarms.retain(|alarm| wanted == wire::AlarmType::None || alarm.alarm() == wanted);
        let header = Some(self.0.header(&answer.stamp, answer.stamp.revision));
        Ok(tonic::Response::new(wire::AlarmResponse { header, alarms }))
    }

    later! { DEFRAGMENTATION; defragment(wire::DefragmentRequest) -> wire::DefragmentResponse; }
    later! { HASHES;
        hash(wire::HashRequest) -> wire::HashResponse;
        hash_kv(wire::HashKvRequest) -> wire::HashKvResponse;
    }
    later! { SNAPSHOTS; snapshot(wire::SnapshotRequest) -> Self::SnapshotStream; }
    later! { HAND_OVER; move_leader(wire::MoveLeaderRequest) -> wire::MoveLeaderResponse; }
    later! { DOWNGRADES; downgrade(wire::DowngradeRequest) -> wire::DowngradeResponse; }
}
