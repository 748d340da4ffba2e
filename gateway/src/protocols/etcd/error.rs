//! The table from errors to gRPC codes and etcd's texts, and from gRPC codes to HTTP statuses.
//!
//! Clients of etcd recognize an error by its text, so the texts are part of the contract.
//!
//! Invariant: no other file of the gateway makes a gRPC status.

use http::StatusCode;
use internal_proto::{Answer, Error};
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
    match error {
        Error::EmptyKey => (Code::InvalidArgument, "etcdserver: key is not provided"),
        Error::KeyNotFound => (Code::InvalidArgument, "etcdserver: key not found"),
        Error::ValueProvided => (Code::InvalidArgument, "etcdserver: value is provided"),
        Error::LeaseProvided => (Code::InvalidArgument, "etcdserver: lease is provided"),
        Error::TooManyOperations => (Code::InvalidArgument, "etcdserver: too many operations in txn request"),
        Error::DuplicateKey => (Code::InvalidArgument, "etcdserver: duplicate key given in txn request"),
        Error::InvalidClientApiVersion => (Code::InvalidArgument, "etcdserver: invalid client api version"),
        Error::InvalidSortOption => (Code::InvalidArgument, "etcdserver: invalid sort option"),
        Error::Compacted => (Code::OutOfRange, "etcdserver: mvcc: required revision has been compacted"),
        Error::FutureRevision => (Code::OutOfRange, "etcdserver: mvcc: required revision is a future revision"),
        Error::NoSpace => (Code::ResourceExhausted, "etcdserver: mvcc: database space exceeded"),
        Error::LeaseNotFound => (Code::NotFound, "etcdserver: requested lease not found"),
        Error::LeaseExists => (Code::FailedPrecondition, "etcdserver: lease already exists"),
        Error::LeaseTtlTooLarge => (Code::OutOfRange, "etcdserver: too large lease TTL"),
        Error::WatchCanceled => (Code::Cancelled, "etcdserver: watch canceled"),
        Error::MemberExists => (Code::FailedPrecondition, "etcdserver: member ID already exist"),
        Error::PeerUrlExists => (Code::FailedPrecondition, "etcdserver: Peer URLs already exists"),
        // etcd answers this one and TooManyRequests with its client's error type, which has no code.
        Error::NotEnoughStartedMembers => {
            (Code::Unknown, "etcdserver: re-configuration failed due to not enough started members")
        }
        Error::MemberBadUrls => (Code::InvalidArgument, "etcdserver: given member URLs are invalid"),
        Error::MemberNotFound => (Code::NotFound, "etcdserver: member not found"),
        Error::MemberNotLearner => (Code::FailedPrecondition, "etcdserver: can only promote a learner member"),
        Error::LearnerNotReady => {
            (Code::FailedPrecondition, "etcdserver: can only promote a learner member which is in sync with leader")
        }
        Error::TooManyLearners => (Code::FailedPrecondition, "etcdserver: too many learner members in cluster"),
        Error::ClusterIdMismatch => (Code::FailedPrecondition, "etcdserver: cluster ID mismatch"),
        Error::RequestTooLarge => (Code::InvalidArgument, "etcdserver: request is too large"),
        Error::TooManyRequests => (Code::Unknown, "etcdserver: too many requests"),
        Error::NoLeader => (Code::Unavailable, "etcdserver: no leader"),
        Error::NotLeader { .. } => (Code::FailedPrecondition, "etcdserver: not leader"),
        Error::LeaderChanged => (Code::Unavailable, "etcdserver: leader changed"),
        Error::NotCapable => (Code::FailedPrecondition, "etcdserver: not capable"),
        Error::Stopped => (Code::Unavailable, "etcdserver: server stopped"),
        Error::Timeout => (Code::Unavailable, "etcdserver: request timed out"),
        Error::TimeoutLeaderFail => {
            (Code::Unavailable, "etcdserver: request timed out, possibly due to previous leader failure")
        }
        Error::TimeoutConnectionLost => {
            (Code::Unavailable, "etcdserver: request timed out, possibly due to connection lost")
        }
        Error::TimeoutWaitApplied => {
            (Code::Unavailable, "etcdserver: request timed out, waiting for the applied index took too long")
        }
        Error::Unhealthy => (Code::Unavailable, "etcdserver: unhealthy cluster"),
        Error::Corrupt => (Code::DataLoss, "etcdserver: corrupt cluster"),
        Error::NotSupportedForLearner => (Code::FailedPrecondition, "etcdserver: rpc not supported for learner"),
        Error::BadLeaderTransferee => (Code::FailedPrecondition, "etcdserver: bad leader transferee"),
        Error::WrongDowngradeVersionFormat => {
            (Code::InvalidArgument, "etcdserver: wrong downgrade target version format")
        }
        Error::InvalidDowngradeTarget => (Code::InvalidArgument, "etcdserver: invalid downgrade target version"),
        Error::ClusterVersionUnavailable => {
            (Code::FailedPrecondition, "etcdserver: cluster version not found during downgrade")
        }
        Error::DowngradeInProgress => (Code::FailedPrecondition, "etcdserver: cluster has a downgrade job in progress"),
        Error::NoDowngradeInProgress => (Code::FailedPrecondition, "etcdserver: no inflight downgrade job"),
        Error::Canceled => (Code::Cancelled, "etcdserver: request canceled"),
        Error::DeadlineExceeded => (Code::DeadlineExceeded, "etcdserver: context deadline exceeded"),
        Error::Unimplemented(text) => (Code::Unimplemented, text),
        Error::RootUserNotExist
        | Error::RootRoleNotExist
        | Error::UserExists
        | Error::UserEmpty
        | Error::UserNotFound
        | Error::RoleExists
        | Error::RoleNotFound
        | Error::RoleEmpty
        | Error::AuthFailed
        | Error::PermissionNotGiven
        | Error::PermissionDenied
        | Error::RoleNotGranted
        | Error::PermissionNotGranted
        | Error::AuthNotEnabled
        | Error::InvalidAuthToken
        | Error::InvalidAuthManagement
        | Error::AuthOldRevision => wire_auth(error),
    }
}

/// The errors of users, roles and permissions.
const fn wire_auth(error: Error) -> (Code, &'static str) {
    match error {
        Error::RootUserNotExist => (Code::FailedPrecondition, "etcdserver: root user does not exist"),
        Error::RootRoleNotExist => (Code::FailedPrecondition, "etcdserver: root user does not have root role"),
        Error::UserExists => (Code::FailedPrecondition, "etcdserver: user name already exists"),
        Error::UserEmpty => (Code::InvalidArgument, "etcdserver: user name is empty"),
        Error::UserNotFound => (Code::FailedPrecondition, "etcdserver: user name not found"),
        Error::RoleExists => (Code::FailedPrecondition, "etcdserver: role name already exists"),
        Error::RoleNotFound => (Code::FailedPrecondition, "etcdserver: role name not found"),
        Error::RoleEmpty => (Code::InvalidArgument, "etcdserver: role name is empty"),
        Error::AuthFailed => (Code::InvalidArgument, "etcdserver: authentication failed, invalid user ID or password"),
        Error::PermissionNotGiven => (Code::InvalidArgument, "etcdserver: permission not given"),
        Error::RoleNotGranted => (Code::FailedPrecondition, "etcdserver: role is not granted to the user"),
        Error::PermissionNotGranted => (Code::FailedPrecondition, "etcdserver: permission is not granted to the role"),
        Error::AuthNotEnabled => (Code::FailedPrecondition, "etcdserver: authentication is not enabled"),
        Error::InvalidAuthToken => (Code::Unauthenticated, "etcdserver: invalid auth token"),
        Error::InvalidAuthManagement => (Code::InvalidArgument, "etcdserver: invalid auth management"),
        Error::AuthOldRevision => (Code::InvalidArgument, "etcdserver: revision of auth store is old"),
        _ => (Code::PermissionDenied, "etcdserver: permission denied"),
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
pub fn mismatched(answer: &Answer) -> Status {
    tracing::error!(member = answer.stamp.member.0, "the answer does not fit the request");
    Status::new(Code::Internal, "the answer does not fit the request")
}
