//! What stops a node: after any of these it could not keep its promises.

use internal_proto::EntryError;

use crate::engine::checkpoint::CheckpointError;
use crate::log::LogError;
use crate::storage::SaveError;

/// Why the node stopped.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fatal {
    /// The log cannot be written or read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A committed entry cannot be applied.
    #[error(transparent)]
    Entry(#[from] EntryError),
    /// The data cannot be made durable.
    #[error(transparent)]
    Save(#[from] SaveError),
    /// A snapshot that was installed cannot take the old data's place.
    #[error(transparent)]
    Install(#[from] CheckpointError),
    /// A committed membership change does not fit the members.
    #[error("the log holds a membership change that cannot be applied: {0}")]
    Membership(String),
}
