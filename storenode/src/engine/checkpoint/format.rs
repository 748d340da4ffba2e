//! Checkpoint files on disk.

use internal_proto::LogIndex;

/// The format this release writes, and the newest it reads.
pub(super) const FORMAT_VERSION: u32 = 1;

/// The part of a checkpoint's file name after its index.
const SUFFIX: &str = ".checkpoint";

/// The file of the checkpoint at an index.
pub(super) fn checkpoint_name(index: LogIndex) -> String {
    format!("{:016x}{SUFFIX}", index.0)
}
