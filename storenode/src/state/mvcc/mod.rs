//! Every key at every retained revision: reading, writing, counting, forgetting, hashing.

pub(super) mod compaction;
pub(super) mod count;
pub(super) mod hash;
pub(super) mod history;
pub(super) mod overlay;
pub(super) mod range;
pub(super) mod revision;
pub(super) mod view;
pub(super) mod write;
