//! How a gateway that knows addresses and nothing else finds its cluster.
//!
//! ```text
//!  addresses ──greet──► cluster's id, members ──► follow the members ──► no node for a while ──► greet again
//! ```
//!
//! Invariant: once a cluster is found, nodes of another one are left alone.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use internal_proto::admin::Greeting;
use internal_proto::{ClusterId, Member, MemberId};
use tokio::task::JoinSet;

use super::connection::{Introduction, greet};
use super::membership::follow_members;
use super::nodes::Nodes;

/// Between two rounds of greetings: short beside the start of a storage node.
const INTERVAL: Duration = Duration::from_millis(200);
/// Members that could not be reached for so long may have moved as a whole.
const LOST_AFTER: Duration = Duration::from_secs(10);

/// Keeps the nodes as the members of the cluster that these addresses belong to, until its task is aborted. `cluster`
/// is set before the first node is.
pub async fn follow_seeds(
    nodes: Arc<Nodes>,
    seeds: Vec<String>,
    introduction: Introduction,
    cluster: Arc<OnceLock<ClusterId>>,
) {
    let mut silence = Silence::default();
    loop {
        let known = greet_all(&seeds, &introduction, &cluster, &mut silence).await;
        if known.is_empty() {
            tokio::time::sleep(INTERVAL).await;
            continue;
        }
        tokio::select! {
            () = follow_members(Arc::clone(&nodes), known) => {}
            () = lost(&nodes) => tracing::warn!("no storage node can be reached: asking at --storenodes again"),
        }
    }
}

/// Asks at all addresses at once; the members found.
async fn greet_all(
    seeds: &[String],
    introduction: &Introduction,
    cluster: &OnceLock<ClusterId>,
    silence: &mut Silence,
) -> Vec<Member> {
    let mut greetings = JoinSet::new();
    for seed in seeds {
        let (seed, introduction) = (seed.clone(), introduction.clone());
        greetings.spawn(async move { (greet(&seed, &introduction).await, seed) });
    }
    let mut known = Vec::new();
    let mut reasons = Vec::new();
    for (greeting, seed) in greetings.join_all().await {
        match greeting.map_err(|status| status.message().to_owned()).and_then(|greeting| judge(greeting, cluster)) {
            Ok(greeting) => known.extend(members(&greeting, &seed)),
            Err(reason) => reasons.push(format!("{seed}: {reason}")),
        }
    }
    if known.is_empty() {
        silence.note(reasons);
    }
    known
}

fn judge(greeting: Greeting, cluster: &OnceLock<ClusterId>) -> Result<Greeting, String> {
    let found = ClusterId(greeting.cluster);
    let wanted = *cluster.get_or_init(|| found);
    if found == wanted { Ok(greeting) } else { Err(format!("it belongs to cluster {found}, not to {wanted}")) }
}

/// Who answered, at the address where it did, and whom it knows.
fn members(greeting: &Greeting, seed: &str) -> Vec<Member> {
    let id = MemberId(greeting.member);
    let mut members: Vec<_> = greeting.all().collect();
    if !members.iter().any(|member| member.id == id) {
        members.push(Member { id, peer_urls: vec![seed.to_owned()], ..Member::default() });
    }
    members
}

/// Over when no node could be reached for a while.
async fn lost(nodes: &Nodes) {
    let mut views = nodes.views();
    loop {
        let reached = views.wait_for(|view| nodes.reader(view, &[]).is_some());
        if tokio::time::timeout(LOST_AFTER, reached).await.is_err() {
            return;
        }
        // The other end is `nodes` itself.
        let _ = views.wait_for(|view| nodes.reader(view, &[]).is_none()).await;
    }
}

/// Why nobody answers, said when it changes.
#[derive(Debug, Default)]
struct Silence(Vec<String>);

impl Silence {
    fn note(&mut self, mut reasons: Vec<String>) {
        reasons.sort_unstable();
        if reasons != self.0 {
            let said = reasons.join("; ");
            tracing::warn!(reason = said, "no storage node serves this gateway");
            self.0 = reasons;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn greeting(cluster: u64, member: u64, members: &[u64]) -> Greeting {
        let members: Vec<_> = members.iter().map(|id| Member { id: MemberId(*id), ..Member::default() }).collect();
        Greeting::new(ClusterId(cluster), MemberId(member), &members, &[])
    }

    #[test]
    fn the_first_cluster_found_is_the_only_one() {
        let cluster = OnceLock::new();
        assert!(judge(greeting(1, 2, &[]), &cluster).is_ok());
        assert!(judge(greeting(1, 3, &[]), &cluster).is_ok());
        let other = judge(greeting(9, 2, &[]), &cluster);
        assert_eq!(other.map(drop), Err("it belongs to cluster 9, not to 1".to_owned()));
    }

    #[test]
    fn who_has_not_published_itself_is_known_by_its_seed() {
        let known = members(&greeting(1, 2, &[3]), "http://seed:2380");
        let known: Vec<_> = known.iter().map(|member| (member.id.0, member.peer_urls.clone())).collect();
        assert_eq!(known, [(3, vec![]), (2, vec!["http://seed:2380".to_owned()])]);
        assert_eq!(members(&greeting(1, 2, &[2, 3]), "http://seed:2380").len(), 2);
    }
}
