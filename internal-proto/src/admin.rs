//! What is asked of one storage node as such, between machines: `proto/admin.proto`.

pub use crate::generated::metastore::admin::{
    Greeting, NodeStatus, admin_client::AdminClient, admin_server::Admin as AdminService, admin_server::AdminServer,
};
pub use crate::generated::metastore::command::Nothing;
use crate::{ClusterId, Member, MemberId};

impl Greeting {
    /// What a member of a cluster says to a stranger.
    #[must_use]
    pub fn new(cluster: ClusterId, member: MemberId, members: &[Member]) -> Self {
        Self { cluster: cluster.0, member: member.0, members: members.iter().map(Into::into).collect() }
    }

    /// The members that the node has applied.
    #[must_use]
    pub fn into_members(self) -> Vec<Member> {
        self.members.into_iter().map(Into::into).collect()
    }
}
