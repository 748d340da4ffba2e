//! Why a checkpoint is refused or cannot be written: each variant is a sentence with the file and the way out.

use std::io;
use std::path::{Path, PathBuf};

use internal_proto::LogIndex;

use super::format::{FORMAT_VERSION, checkpoint_name};
use crate::identity::{Identity, replace_member};

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

    /// The file was written by a newer release.
    #[error(
        "{}: format version {found} is newer than version {FORMAT_VERSION}, the newest this release can read; \
         start the release that wrote it, or a later one", .file.display()
    )]
    NewerFormat {
        /// The checkpoint.
        file: PathBuf,
        /// Its format version.
        found: u32,
    },

    /// The checkpoint belongs to somebody else.
    #[error(
        "{}: the checkpoint belongs to member {} of cluster {}, but this is member {} of cluster {}; \
         start with the data directory of this member, or with an empty one",
        .file.display(), .found.member, .found.cluster, .expected.member, .expected.cluster
    )]
    OtherMember {
        /// The checkpoint.
        file: PathBuf,
        /// Whose it is.
        found: Identity,
        /// Who opened it.
        expected: Identity,
    },

    /// The operating system refused.
    #[error("{}: cannot {action}: {source}", .file.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// On which file or directory.
        file: PathBuf,
        /// The operating system's answer.
        source: io::Error,
    },
}

impl CheckpointError {
    /// Whether the disk was full: a condition that an operator can end, and no reason to stop.
    #[must_use]
    pub const fn is_no_disk(&self) -> bool {
        matches!(self, Self::NoDisk { .. })
    }
}

/// Adds what was tried, and on which file, to an error of the file layer.
pub(super) trait Attempt<T> {
    fn attempt(self, action: &'static str, file: &Path) -> Result<T, CheckpointError>;
}

impl<T> Attempt<T> for io::Result<T> {
    fn attempt(self, action: &'static str, file: &Path) -> Result<T, CheckpointError> {
        self.map_err(|source| CheckpointError::File { action, file: file.to_owned(), source })
    }
}
