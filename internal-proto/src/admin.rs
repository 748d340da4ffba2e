//! What is asked of one storage node as such, between machines: `proto/admin.proto`.

pub use crate::generated::metastore::admin::{
    Greeting, NodeStatus, admin_client::AdminClient, admin_server::Admin as AdminService, admin_server::AdminServer,
};
pub use crate::generated::metastore::command::Nothing;
use crate::{ClusterId, Member, MemberId};

impl Greeting {
    /// What a member of a cluster says to a stranger: the members that it has applied, and those that it expects.
    #[must_use]
    pub fn new(cluster: ClusterId, member: MemberId, members: &[Member], expected: &[Member]) -> Self {
        let [members, expected] = [members, expected].map(|members| members.iter().map(Into::into).collect());
        Self { cluster: cluster.0, member: member.0, members, expected }
    }

    /// The members that the node has applied.
    pub fn applied(&self) -> impl Iterator<Item = Member> {
        self.members.iter().cloned().map(Into::into)
    }

    /// These, and those that it expects.
    pub fn all(&self) -> impl Iterator<Item = Member> {
        self.members.iter().chain(&self.expected).cloned().map(Into::into)
    }
}
