//! What every kind of file can be refused for: each variant is a sentence with the file and the way out.

use std::io;
use std::path::{Path, PathBuf};

use crate::identity::Identity;

/// An error of a file that this member wrote, or should have written.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The file was written by a newer release.
    #[error(
        "{}: format version {found} is newer than version {known}, the newest this release can read; \
         start the release that wrote it, or a later one", .file.display()
    )]
    NewerFormat {
        /// The file.
        file: PathBuf,
        /// Its format version.
        found: u32,
        /// The newest version this release knows.
        known: u32,
    },

    /// The file belongs to somebody else.
    #[error(
        "{}: the {content} belongs to member {} of cluster {}, but this is member {} of cluster {}; \
         start with the data directory of this member, or with an empty one",
        .file.display(), .found.member, .found.cluster, .expected.member, .expected.cluster
    )]
    OtherMember {
        /// What the file holds: the log, a checkpoint.
        content: &'static str,
        /// The file that says so.
        file: PathBuf,
        /// Whose it is.
        found: Identity,
        /// Who opened it.
        expected: Identity,
    },

    /// The operating system refused; what a failed write or sync left on the disk is unknown.
    #[error("{}: cannot {action}: {source}", .file.display())]
    System {
        /// What was tried.
        action: &'static str,
        /// On which file or directory.
        file: PathBuf,
        /// The operating system's answer.
        source: io::Error,
    },
}

/// Adds what was tried, and on which file, to an error of the file layer.
pub(crate) trait Attempt<T> {
    fn attempt(self, action: &'static str, file: &Path) -> Result<T, FileError>;
}

impl<T> Attempt<T> for io::Result<T> {
    fn attempt(self, action: &'static str, file: &Path) -> Result<T, FileError> {
        self.map_err(|source| FileError::System { action, file: file.to_owned(), source })
    }
}
