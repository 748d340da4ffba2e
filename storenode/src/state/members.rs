//! The members' own records.

use internal_proto::Member;

use super::workspace::Workspace;
use crate::engine::SmallKey;

impl Workspace<'_> {
    /// Writes a member's record. Whether it votes is decided by changes of the membership, never by the member.
    pub(super) fn publish_member(&mut self, member: &Member) {
        let key = SmallKey::Member(member.id);
        let mut member = member.clone();
        if let Some(known) = self.small(&key) {
            member.learner = Member::decode(known).expect("member records were checked when the state opened").learner;
        }
        self.set_small(key, Some(member.encode()));
    }
}
