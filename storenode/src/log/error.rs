//! Why the log refuses: each variant is a sentence with the file, the place and the way out.

use std::path::PathBuf;

use internal_proto::LogIndex;

use crate::files::FileError;
use crate::identity::replace_member;

/// An error of the log.
///
/// After [`File`](Self::File) or [`Failed`](Self::Failed) the node must stop. What an append or a read is
/// refused for otherwise leaves the log as it was; the rest keeps it from being opened.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Data that was acknowledged cannot be read any more.
    #[error(
        "{}: acknowledged data is damaged at offset {offset}; {}", .file.display(), replace_member(.file)
    )]
    Damaged {
        /// The damaged segment.
        file: PathBuf,
        /// Where its first bad byte range starts.
        offset: u32,
    },

    /// A segment between two others does not exist.
    #[error("{}: this log segment is missing; put it back, or {}", .file.display(), replace_member(.file))]
    Missing {
        /// The name it should have.
        file: PathBuf,
    },

    /// A file has the name of one segment and the content of another.
    #[error(
        "{}: the file holds log segment {found:016x}, so files were renamed or exchanged; \
         give them their names back, or {}", .file.display(), replace_member(.file)
    )]
    WrongSegment {
        /// The misnamed file.
        file: PathBuf,
        /// The segment number in its header.
        found: u64,
    },

    /// There is no space for the next segment; nothing was written.
    #[error(
        "no space left on the disk of {} for a log segment of {bytes} bytes; \
         free some or enlarge it: writes resume by themselves", .dir.display()
    )]
    NoDisk {
        /// The log's directory.
        dir: PathBuf,
        /// The space a segment needs.
        bytes: u32,
    },

    /// One entry does not fit into a segment of its own.
    #[error("log entry {index} of {bytes} bytes is larger than the {limit} bytes that fit into a segment")]
    EntryTooLarge {
        /// The entry.
        index: LogIndex,
        /// Its encoded size.
        bytes: usize,
        /// What fits.
        limit: usize,
    },

    /// A record other than entries does not fit into a segment of its own.
    #[error("a log record of {bytes} bytes is larger than the {limit} bytes that fit into a segment")]
    RecordTooLarge {
        /// Its encoded size.
        bytes: usize,
        /// What fits.
        limit: usize,
    },

    /// Entries were appended that do not continue the log.
    #[error("log entry {index} does not continue a log that holds {first} to {last}")]
    Gap {
        /// The entry in the wrong place.
        index: LogIndex,
        /// The first entry of the log.
        first: LogIndex,
        /// The last one.
        last: LogIndex,
    },

    /// The entry has been trimmed; only a snapshot can replace it.
    #[error("log entry {index} has been trimmed: the log begins at {first}")]
    Trimmed {
        /// The entry asked for.
        index: LogIndex,
        /// The first entry that is still there.
        first: LogIndex,
    },

    /// The log does not reach that far.
    #[error("log entry {index} does not exist: the log ends at {last}")]
    Beyond {
        /// The entry asked for.
        index: LogIndex,
        /// The last entry.
        last: LogIndex,
    },

    /// The file is another's, is newer, or the operating system refused.
    #[error(transparent)]
    File(#[from] FileError),

    /// An earlier write or sync failed; it is never retried.
    #[error("an earlier write to the log failed; the node must be restarted")]
    Failed,
}
