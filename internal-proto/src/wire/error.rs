//! Errors by number. A number never changes its meaning.

use crate::generated::metastore::store as wire;
use crate::{Error, MemberId};

macro_rules! numbers {
    ($($name:ident = $number:literal,)*) => {
        /// Every error without a field has its own number.
        const fn number(error: &Error) -> u32 {
            match error {
                $(Error::$name => $number,)*
                Error::NotLeader { .. } => NOT_LEADER,
                Error::Unimplemented(_) => UNIMPLEMENTED,
            }
        }

        const fn plain(number: u32) -> Option<Error> {
            match number {
                $($number => Some(Error::$name),)*
                _ => None,
            }
        }

        #[cfg(test)]
        pub(super) const PLAIN: &[Error] = &[$(Error::$name,)*];
    };
}

const NOT_LEADER: u32 = 101;
const UNIMPLEMENTED: u32 = 102;

numbers! {
    EmptyKey = 1, KeyNotFound = 2, ValueProvided = 3, LeaseProvided = 4, TooManyOperations = 5, DuplicateKey = 6,
    InvalidClientApiVersion = 7, InvalidSortOption = 8, Compacted = 9, FutureRevision = 10, NoSpace = 11,
    LeaseNotFound = 12, LeaseExists = 13, LeaseTtlTooLarge = 14, WatchCanceled = 15, MemberExists = 16,
    PeerUrlExists = 17, NotEnoughStartedMembers = 18, MemberBadUrls = 19, MemberNotFound = 20, MemberNotLearner = 21,
    LearnerNotReady = 22, TooManyLearners = 23, ClusterIdMismatch = 24, RequestTooLarge = 25, TooManyRequests = 26,
    RootUserNotExist = 27, RootRoleNotExist = 28, UserExists = 29, UserEmpty = 30, UserNotFound = 31, RoleExists = 32,
    RoleNotFound = 33, RoleEmpty = 34, AuthFailed = 35, PermissionNotGiven = 36, PermissionDenied = 37,
    RoleNotGranted = 38, PermissionNotGranted = 39, AuthNotEnabled = 40, InvalidAuthToken = 41,
    InvalidAuthManagement = 42, AuthOldRevision = 43, NoLeader = 44, LeaderChanged = 45, NotCapable = 46, Stopped = 47,
    Timeout = 48, TimeoutLeaderFail = 49, TimeoutConnectionLost = 50, UnknownSession = 51, AnswerForgotten = 52,
    TimeoutWaitApplied = 53, Unhealthy = 54, Corrupt = 55, NotSupportedForLearner = 56, BadLeaderTransferee = 57,
    WrongDowngradeVersionFormat = 58, InvalidDowngradeTarget = 59, ClusterVersionUnavailable = 60,
    DowngradeInProgress = 61, NoDowngradeInProgress = 62, Canceled = 63, DeadlineExceeded = 64,
}

impl From<&Error> for wire::Error {
    fn from(error: &Error) -> Self {
        let hint = if let Error::NotLeader { hint } = error { hint.map(|member| member.0) } else { None };
        Self { number: number(error), hint }
    }
}

impl From<wire::Error> for Error {
    /// An error that only a newer node knows leaves the outcome open.
    fn from(error: wire::Error) -> Self {
        match error.number {
            NOT_LEADER => Self::NotLeader { hint: error.hint.map(MemberId) },
            UNIMPLEMENTED => Self::Unimplemented("by this storage node"),
            number => plain(number).unwrap_or(Self::TimeoutConnectionLost),
        }
    }
}
