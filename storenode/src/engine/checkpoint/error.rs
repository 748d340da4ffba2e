//! Why a checkpoint is refused or cannot be written: each variant is a sentence with the file and the way out.

use std::path::PathBuf;

use internal_proto::LogIndex;

use super::format::checkpoint_name;
use crate::files::FileError;
use crate::identity::replace_member;

/// An error of a checkpoint. [`NoDisk`](Self::NoDisk) leaves the checkpoints as they were; after any other the node
/// must not go on: the log below a checkpoint is trimmed, so nothing else holds its data.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// There is no space for the checkpoint; what was written of it is removed again.
    #[error(
        "no space left on the disk of {} for a checkpoint; \
         free some or enlarge it: the log is trimmed when a later checkpoint succeeds", .dir.display()
    )]
    NoDisk {
        /// The checkpoints' directory.
        dir: PathBuf,
    },

    /// The file is not as it was written.
    #[error("{}: the checkpoint is damaged at offset {offset}; {}", .file.display(), replace_member(.file))]
    Damaged {
        /// The checkpoint.
        file: PathBuf,
        /// Where its first bad chunk starts, or where a chunk is missing.
        offset: u64,
    },

    /// The file has the name of another checkpoint, or of none.
    #[error(
        "{}: the file holds the checkpoint at log index {found}, so files were renamed or exchanged; \
         give it its name {} back, or {}", .file.display(), checkpoint_name(*.found), replace_member(.file)
    )]
    WrongName {
        /// The misnamed file.
        file: PathBuf,
        /// The applied index in its header.
        found: LogIndex,
    },

    /// The file is another's, is newer, or the operating system refused.
    #[error(transparent)]
    File(#[from] FileError),
}

impl CheckpointError {
    /// Whether the disk was full: a condition that an operator can end, and no reason to stop.
    #[must_use]
    pub const fn is_no_disk(&self) -> bool {
        matches!(self, Self::NoDisk { .. })
    }
}
