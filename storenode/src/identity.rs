//! Whose data it is: every file that a member writes says so, and no other member takes it for its own.

use std::path::Path;

use internal_proto::{ClusterId, MemberId};

/// One member of one cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// The cluster.
    pub cluster: ClusterId,
    /// The member.
    pub member: MemberId,
}

/// The way out when data of this member is lost; `file` is what is damaged.
pub(crate) fn replace_member(file: &Path) -> String {
    let dir = file.parent().unwrap_or(file).display();
    format!(
        "move the data directory that holds {dir} away and start this member with an empty one to copy \
         the data from the other members, or restore a backup"
    )
}
