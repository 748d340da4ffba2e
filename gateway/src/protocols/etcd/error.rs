//! The table from errors to gRPC codes and etcd's texts, and from gRPC codes to HTTP statuses.
//!
//! Clients of etcd recognize an error by its text, so the texts are part of the contract.
//!
//! Invariant: no other file of the gateway makes a gRPC status.

use http::StatusCode;
use internal_proto::{Error, Stamp};
use tonic::{Code, Status};

/// The status that clients of etcd get for an error.
#[must_use]
pub fn status(error: Error) -> Status {
    let (code, text) = wire(error);
    Status::new(code, text)
}

/// The gRPC code and etcd's text for an error.
#[must_use]
pub const fn wire(error: Error) -> (Code, &'static str) {
    (code(error), text(error))
}

const fn code(error: Error) -> Code {
    match error {
        Error::EmptyKey
        | Error::KeyNotFound
        | Error::ValueProvided
        | Error::LeaseProvided
        | Error::TooManyOperations
        | Error::DuplicateKey
        | Error::InvalidClientApiVersion
        | Error::InvalidSortOption
        | Error::MemberBadUrls
        | Error::RequestTooLarge
        | Error::UserEmpty
        | Error::RoleEmpty
        | Error::AuthFailed
        | Error::PermissionNotGiven
        | Error::InvalidAuthManagement
        | Error::AuthOldRevision
        | Error::WrongDowngradeVersionFormat
        | Error::InvalidDowngradeTarget => Code::InvalidArgument,
        Error::Compacted | Error::FutureRevision | Error::LeaseTtlTooLarge => Code::OutOfRange,
        Error::NoSpace => Code::ResourceExhausted,
        Error::LeaseNotFound | Error::MemberNotFound => Code::NotFound,
        Error::LeaseExists
        | Error::MemberExists
        | Error::PeerUrlExists
        | Error::MemberNotLearner
        | Error::LearnerNotReady
        | Error::TooManyLearners
        | Error::ClusterIdMismatch
        | Error::RootUserNotExist
        | Error::RootRoleNotExist
        | Error::UserExists
        | Error::UserNotFound
        | Error::RoleExists
        | Error::RoleNotFound
        | Error::RoleNotGranted
        | Error::PermissionNotGranted
        | Error::AuthNotEnabled
        | Error::NotCapable
        | Error::NotSupportedForLearner
        | Error::BadLeaderTransferee
        | Error::ClusterVersionUnavailable
        | Error::DowngradeInProgress
        | Error::NoDowngradeInProgress
        | Error::NotLeader { .. } => Code::FailedPrecondition,
        Error::WatchCanceled | Error::Canceled => Code::Cancelled,
        // etcd answers these with its client's type of error, which has no code.
        Error::NotEnoughStartedMembers | Error::TooManyRequests => Code::Unknown,
        Error::PermissionDenied => Code::PermissionDenied,
        Error::InvalidAuthToken => Code::Unauthenticated,
        Error::NoLeader
        | Error::LeaderChanged
        | Error::Stopped
        | Error::Timeout
        | Error::TimeoutLeaderFail
        | Error::TimeoutConnectionLost
        | Error::UnknownSession
        | Error::AnswerForgotten
        | Error::TimeoutWaitApplied
        | Error::Unhealthy => Code::Unavailable,
        Error::Corrupt => Code::DataLoss,
        Error::DeadlineExceeded => Code::DeadlineExceeded,
        Error::Unimplemented(_) => Code::Unimplemented,
    }
}

const CONNECTION_LOST: &str = "etcdserver: request timed out, possibly due to connection lost";

const fn text(error: Error) -> &'static str {
    match error {
        Error::EmptyKey => "etcdserver: key is not provided",
        Error::KeyNotFound => "etcdserver: key not found",
        Error::ValueProvided => "etcdserver: value is provided",
        Error::LeaseProvided => "etcdserver: lease is provided",
        Error::TooManyOperations => "etcdserver: too many operations in txn request",
        Error::DuplicateKey => "etcdserver: duplicate key given in txn request",
        Error::InvalidClientApiVersion => "etcdserver: invalid client api version",
        Error::InvalidSortOption => "etcdserver: invalid sort option",
        Error::Compacted => "etcdserver: mvcc: required revision has been compacted",
        Error::FutureRevision => "etcdserver: mvcc: required revision is a future revision",
        Error::NoSpace => "etcdserver: mvcc: database space exceeded",
        Error::LeaseNotFound => "etcdserver: requested lease not found",
        Error::LeaseExists => "etcdserver: lease already exists",
        Error::LeaseTtlTooLarge => "etcdserver: too large lease TTL",
        Error::WatchCanceled => "etcdserver: watch canceled",
        Error::MemberExists => "etcdserver: member ID already exist",
        Error::PeerUrlExists => "etcdserver: Peer URLs already exists",
        Error::NotEnoughStartedMembers => "etcdserver: re-configuration failed due to not enough started members",
        Error::MemberBadUrls => "etcdserver: given member URLs are invalid",
        Error::MemberNotFound => "etcdserver: member not found",
        Error::MemberNotLearner => "etcdserver: can only promote a learner member",
        Error::LearnerNotReady => "etcdserver: can only promote a learner member which is in sync with leader",
        Error::TooManyLearners => "etcdserver: too many learner members in cluster",
        Error::ClusterIdMismatch => "etcdserver: cluster ID mismatch",
        Error::RequestTooLarge => "etcdserver: request is too large",
        Error::TooManyRequests => "etcdserver: too many requests",
        Error::RootUserNotExist => "etcdserver: root user does not exist",
        Error::RootRoleNotExist => "etcdserver: root user does not have root role",
        Error::UserExists => "etcdserver: user name already exists",
        Error::UserEmpty => "etcdserver: user name is empty",
        Error::UserNotFound => "etcdserver: user name not found",
        Error::RoleExists => "etcdserver: role name already exists",
        Error::RoleNotFound => "etcdserver: role name not found",
        Error::RoleEmpty => "etcdserver: role name is empty",
        Error::AuthFailed => "etcdserver: authentication failed, invalid user ID or password",
        Error::PermissionNotGiven => "etcdserver: permission not given",
        Error::PermissionDenied => "etcdserver: permission denied",
        Error::RoleNotGranted => "etcdserver: role is not granted to the user",
        Error::PermissionNotGranted => "etcdserver: permission is not granted to the role",
        Error::AuthNotEnabled => "etcdserver: authentication is not enabled",
        Error::InvalidAuthToken => "etcdserver: invalid auth token",
        Error::InvalidAuthManagement => "etcdserver: invalid auth management",
        Error::AuthOldRevision => "etcdserver: revision of auth store is old",
        Error::NoLeader => "etcdserver: no leader",
        Error::LeaderChanged => "etcdserver: leader changed",
        Error::NotCapable => "etcdserver: not capable",
        Error::Stopped => "etcdserver: server stopped",
        Error::Timeout => "etcdserver: request timed out",
        Error::TimeoutLeaderFail => "etcdserver: request timed out, possibly due to previous leader failure",
        // What became of a write is as unknown to its client as if its connection had been lost.
        Error::TimeoutConnectionLost | Error::UnknownSession | Error::AnswerForgotten => CONNECTION_LOST,
        Error::TimeoutWaitApplied => "etcdserver: request timed out, waiting for the applied index took too long",
        Error::Unhealthy => "etcdserver: unhealthy cluster",
        Error::Corrupt => "etcdserver: corrupt cluster",
        Error::NotSupportedForLearner => "etcdserver: rpc not supported for learner",
        Error::BadLeaderTransferee => "etcdserver: bad leader transferee",
        Error::WrongDowngradeVersionFormat => "etcdserver: wrong downgrade target version format",
        Error::InvalidDowngradeTarget => "etcdserver: invalid downgrade target version",
        Error::ClusterVersionUnavailable => "etcdserver: cluster version not found during downgrade",
        Error::DowngradeInProgress => "etcdserver: cluster has a downgrade job in progress",
        Error::NoDowngradeInProgress => "etcdserver: no inflight downgrade job",
        Error::Canceled => "etcdserver: request canceled",
        Error::DeadlineExceeded => "etcdserver: context deadline exceeded",
        Error::NotLeader { .. } => "etcdserver: not leader",
        Error::Unimplemented(text) => text,
    }
}

/// A message larger than the server receives, in grpc-go's words. Sizes in bytes.
#[must_use]
pub fn message_too_large(size: usize, limit: usize) -> Status {
    Status::new(Code::ResourceExhausted, format!("grpc: received message larger than max ({size} vs. {limit})"))
}

/// A path that names no method, in grpc-go's words.
#[must_use]
pub fn unknown_method(service: &str, method: &str, service_is_known: bool) -> Status {
    let text = if service_is_known {
        format!("unknown method {method} for service {service}")
    } else {
        format!("unknown service {service}")
    };
    Status::new(Code::Unimplemented, text)
}

/// A path without service and method, in grpc-go's words.
#[must_use]
pub fn malformed_method(path: &str) -> Status {
    Status::new(Code::Unimplemented, format!("malformed method name: {path:?}"))
}

/// JSON that is no message. The text says where and why.
#[must_use]
pub fn invalid_json(text: String) -> Status {
    Status::new(Code::InvalidArgument, text)
}

/// An answer of an in-process service that the JSON gateway cannot read: a defect.
#[must_use]
pub fn unreadable_answer(problem: impl std::fmt::Display) -> Status {
    Status::new(Code::Internal, format!("the answer cannot be expressed in JSON: {problem}"))
}

/// The health service's answer about a service that it does not know.
#[must_use]
pub fn unknown_health_service() -> Status {
    Status::new(Code::NotFound, "unknown service")
}

/// The HTTP status that goes with a gRPC code.
#[must_use]
pub const fn http_status(code: Code) -> StatusCode {
    match code {
        Code::Ok => StatusCode::OK,
        Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange => StatusCode::BAD_REQUEST,
        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::AlreadyExists | Code::Aborted => StatusCode::CONFLICT,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        Code::Unimplemented => StatusCode::NOT_IMPLEMENTED,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::Cancelled => CLIENT_CLOSED_REQUEST,
        Code::Unknown | Code::Internal | Code::DataLoss => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// 499: what HTTP gateways answer when the client went away.
const CLIENT_CLOSED_REQUEST: StatusCode = match StatusCode::from_u16(499) {
    Ok(status) => status,
    Err(_) => StatusCode::BAD_REQUEST,
};

/// An answer to another question than was asked: a defect of the store.
#[must_use]
pub fn mismatched(stamp: Stamp) -> Status {
    tracing::error!(member = stamp.member.0, "the answer does not fit the request");
    Status::new(Code::Internal, "the answer does not fit the request")
}
