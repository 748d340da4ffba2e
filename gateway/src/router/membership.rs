//! Follows the cluster's members: whoever joins is connected to, whoever leaves is forgotten, without a restart.
//!
//! ```text
//!  founders ─────────────────────────────┐ until they have published themselves
//!  applied members, asked of a node ─────┴─► nodes
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use internal_proto::{Answer, Freshness, Member, MemberId, Request, Response};

use super::nodes::Nodes;

/// Between two looks at the members: they change by an operator's hand.
const INTERVAL: Duration = Duration::from_secs(2);

/// Where a member's Store service is: at a URL of its own, or where its peers reach it.
fn address(member: &Member) -> Option<(MemberId, String)> {
    let url = member.store_urls.first().or_else(|| member.peer_urls.first())?;
    Some((member.id, url.clone()))
}

/// Who is a member, as far as this gateway has heard.
#[derive(Debug)]
struct Membership {
    founders: BTreeMap<MemberId, String>,
    /// Members that have published themselves: when they are gone from the list, they have left.
    published: BTreeSet<MemberId>,
}

impl Membership {
    fn new(founders: &[Member]) -> Self {
        Self { founders: founders.iter().filter_map(address).collect(), published: BTreeSet::new() }
    }

    /// All members with their addresses, given the applied ones.
    fn update(&mut self, applied: &[Member]) -> Vec<(MemberId, String)> {
        self.published.extend(applied.iter().map(|member| member.id));
        let mut members: BTreeMap<_, _> = applied.iter().filter_map(address).collect();
        for (id, url) in &self.founders {
            if !self.published.contains(id) {
                members.insert(*id, url.clone());
            }
        }
        members.into_iter().collect()
    }
}

/// Keeps the nodes as the members that a node has applied, until its task is aborted. The founders are the members
/// known so far.
pub async fn follow_members(nodes: Arc<Nodes>, founders: Vec<Member>) {
    let mut membership = Membership::new(&founders);
    nodes.update(&membership.update(&[]));
    loop {
        let view = nodes.view();
        if let Some(node) = nodes.reader(&view, &[]) {
            let request = Request::MemberList { serializable: true };
            if let Ok(Answer { response: Response::MemberList(members), .. }) =
                node.store.query(request, Freshness::default()).await
            {
                nodes.update(&membership.update(&members));
            }
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(id: u64, url: &str) -> Member {
        Member { id: MemberId(id), peer_urls: vec![url.to_owned()], ..Member::default() }
    }

    fn ids(members: &[(MemberId, String)]) -> Vec<(u64, &str)> {
        members.iter().map(|(id, url)| (id.0, url.as_str())).collect()
    }

    #[test]
    fn a_founder_is_a_member_until_it_has_published_itself_and_left() {
        let mut membership = Membership::new(&[member(1, "a"), member(2, "b")]);
        assert_eq!(ids(&membership.update(&[])), [(1, "a"), (2, "b")]);
        assert_eq!(ids(&membership.update(&[member(1, "a")])), [(1, "a"), (2, "b")]);
        assert_eq!(ids(&membership.update(&[member(1, "a"), member(2, "moved")])), [(1, "a"), (2, "moved")]);
        assert_eq!(ids(&membership.update(&[member(1, "a")])), [(1, "a")]);
    }

    #[test]
    fn a_store_address_of_its_own_goes_first() {
        let store_urls = vec!["store".to_owned()];
        let mut membership = Membership::new(&[Member { store_urls, ..member(1, "peer") }]);
        assert_eq!(ids(&membership.update(&[])), [(1, "store")]);
    }
}
