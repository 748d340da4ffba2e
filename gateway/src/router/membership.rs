//! Follows the cluster's members: whoever joins is connected to, whoever leaves is forgotten, without a restart.

use std::sync::Arc;
use std::time::Duration;

use internal_proto::{Answer, Freshness, Member, Request, Response};

use super::nodes::Nodes;

/// Between two looks at the members: they change by an operator's hand.
const INTERVAL: Duration = Duration::from_secs(2);

/// Where a member's Store service is: at a URL of its own, or where its peers reach it.
#[must_use]
pub fn store_address(member: &Member) -> Option<&String> {
    member.store_urls.first().or_else(|| member.peer_urls.first())
}

/// Keeps the nodes as the members that a node has applied, until its task is aborted.
pub async fn follow_members(nodes: Arc<Nodes>) {
    loop {
        tokio::time::sleep(INTERVAL).await;
        let view = nodes.view();
        let Some(node) = nodes.reader(&view, &[]) else { continue };
        let request = Request::MemberList { serializable: true };
        if let Ok(Answer { response: Response::MemberList(members), .. }) =
            node.store.query(request, Freshness::default()).await
        {
            let addresses = members.iter().filter_map(|member| Some((member.id, store_address(member)?.clone())));
            let addresses: Vec<_> = addresses.collect();
            if !addresses.is_empty() {
                nodes.update(&addresses);
            }
        }
    }
}
