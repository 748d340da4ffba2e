//! Everything that can go wrong with a request, in the words of the domain.
//!
//! Each wire has one exhaustive table from this enum to its own codes and texts. A refusal is a result that every
//! node reaches alike; an engine or disk failure is no variant here, because it stops the node.

use crate::MemberId;

/// Why a request was not answered as asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Error {
    /// A key is required.
    #[error("a key is required")]
    EmptyKey,
    /// The key does not exist.
    #[error("the key does not exist")]
    KeyNotFound,
    /// A value was given although the stored one is to be kept.
    #[error("a value was given although the stored one is to be kept")]
    ValueProvided,
    /// A lease was given although the stored one is to be kept.
    #[error("a lease was given although the stored one is to be kept")]
    LeaseProvided,
    /// The transaction has too many operations.
    #[error("the transaction has too many operations")]
    TooManyOperations,
    /// The transaction changes a key twice.
    #[error("the transaction changes a key twice")]
    DuplicateKey,
    /// The client's API version is not valid text.
    #[error("the client's API version is not valid text")]
    InvalidClientApiVersion,
    /// The sort order or target is unknown.
    #[error("the sort order or target is unknown")]
    InvalidSortOption,
    /// The revision has been compacted.
    #[error("the revision has been compacted")]
    Compacted,
    /// The revision is in the future.
    #[error("the revision is in the future")]
    FutureRevision,
    /// The store has reached its quota or its disk is full.
    #[error("the store has reached its quota or its disk is full")]
    NoSpace,
    /// The lease does not exist.
    #[error("the lease does not exist")]
    LeaseNotFound,
    /// The lease exists already.
    #[error("the lease exists already")]
    LeaseExists,
    /// The lease's time to live is too large.
    #[error("the lease's time to live is too large")]
    LeaseTtlTooLarge,
    /// The watch stream was canceled.
    #[error("the watch stream was canceled")]
    WatchCanceled,
    /// The member id exists already.
    #[error("the member id exists already")]
    MemberExists,
    /// A member has the peer URL already.
    #[error("a member has the peer URL already")]
    PeerUrlExists,
    /// Too few members are started for the change.
    #[error("too few members are started for the change")]
    NotEnoughStartedMembers,
    /// The member's URLs are not valid.
    #[error("the member's URLs are not valid")]
    MemberBadUrls,
    /// The member does not exist.
    #[error("the member does not exist")]
    MemberNotFound,
    /// Only a learner can be promoted.
    #[error("only a learner can be promoted")]
    MemberNotLearner,
    /// The learner is not in sync with the leader.
    #[error("the learner is not in sync with the leader")]
    LearnerNotReady,
    /// The cluster has as many learners as it may have.
    #[error("the cluster has as many learners as it may have")]
    TooManyLearners,
    /// The request is for another cluster.
    #[error("the request is for another cluster")]
    ClusterIdMismatch,
    /// The request is too large.
    #[error("the request is too large")]
    RequestTooLarge,
    /// Too many requests are waiting.
    #[error("too many requests are waiting")]
    TooManyRequests,
    /// The root user does not exist.
    #[error("the root user does not exist")]
    RootUserNotExist,
    /// The root user does not have the root role.
    #[error("the root user does not have the root role")]
    RootRoleNotExist,
    /// The user exists already.
    #[error("the user exists already")]
    UserExists,
    /// A user name is required.
    #[error("a user name is required")]
    UserEmpty,
    /// The user does not exist.
    #[error("the user does not exist")]
    UserNotFound,
    /// The role exists already.
    #[error("the role exists already")]
    RoleExists,
    /// The role does not exist.
    #[error("the role does not exist")]
    RoleNotFound,
    /// A role name is required.
    #[error("a role name is required")]
    RoleEmpty,
    /// The user or the password is wrong.
    #[error("the user or the password is wrong")]
    AuthFailed,
    /// A permission is required.
    #[error("a permission is required")]
    PermissionNotGiven,
    /// Permission denied.
    #[error("permission denied")]
    PermissionDenied,
    /// The user does not have the role.
    #[error("the user does not have the role")]
    RoleNotGranted,
    /// The role does not have the permission.
    #[error("the role does not have the permission")]
    PermissionNotGranted,
    /// Authentication is not enabled.
    #[error("authentication is not enabled")]
    AuthNotEnabled,
    /// The token is unknown or has expired.
    #[error("the token is unknown or has expired")]
    InvalidAuthToken,
    /// The change would lock the root user out.
    #[error("the change would lock the root user out")]
    InvalidAuthManagement,
    /// The request was authorized by outdated permissions.
    #[error("the request was authorized by outdated permissions")]
    AuthOldRevision,
    /// The cluster has no leader.
    #[error("the cluster has no leader")]
    NoLeader,
    /// The leader changed while the request waited.
    #[error("the leader changed while the request waited")]
    LeaderChanged,
    /// The cluster's version does not support the request.
    #[error("the cluster's version does not support the request")]
    NotCapable,
    /// The server is stopping.
    #[error("the server is stopping")]
    Stopped,
    /// The request timed out.
    #[error("the request timed out")]
    Timeout,
    /// The request timed out, possibly because the leader failed.
    #[error("the request timed out, possibly because the leader failed")]
    TimeoutLeaderFail,
    /// The request timed out, possibly because a connection was lost: it may have been applied.
    #[error("the request timed out, possibly because a connection was lost: it may have been applied")]
    TimeoutConnectionLost,
    /// The write's session is unknown: the write was not applied now.
    #[error("the write's session is unknown")]
    UnknownSession,
    /// The write was decided over before, and its answer is no longer kept.
    #[error("the write was decided over before, and its answer is no longer kept")]
    AnswerForgotten,
    /// The node did not catch up in time.
    #[error("the node did not catch up in time")]
    TimeoutWaitApplied,
    /// The cluster is unhealthy.
    #[error("the cluster is unhealthy")]
    Unhealthy,
    /// The cluster's members disagree.
    #[error("the cluster's members disagree")]
    Corrupt,
    /// A learner does not serve this.
    #[error("a learner does not serve this")]
    NotSupportedForLearner,
    /// The member cannot become leader.
    #[error("the member cannot become leader")]
    BadLeaderTransferee,
    /// The downgrade's target version is malformed.
    #[error("the downgrade's target version is malformed")]
    WrongDowngradeVersionFormat,
    /// The downgrade's target version is not allowed.
    #[error("the downgrade's target version is not allowed")]
    InvalidDowngradeTarget,
    /// The cluster's version is not known.
    #[error("the cluster's version is not known")]
    ClusterVersionUnavailable,
    /// A downgrade is in progress.
    #[error("a downgrade is in progress")]
    DowngradeInProgress,
    /// No downgrade is in progress.
    #[error("no downgrade is in progress")]
    NoDowngradeInProgress,
    /// The request was canceled.
    #[error("the request was canceled")]
    Canceled,
    /// The request's deadline passed.
    #[error("the request's deadline passed")]
    DeadlineExceeded,
    /// The node does not lead; the hint names who it believes does.
    #[error("the node is not the leader")]
    NotLeader {
        /// The leader, where one is known.
        hint: Option<MemberId>,
    },
    /// The request is part of the interface, but this build does not serve it.
    #[error("not implemented: {0}")]
    Unimplemented(&'static str),
}
