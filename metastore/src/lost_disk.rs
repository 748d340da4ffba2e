//! Whether a founder that starts with an empty disk has been at work before.
//!
//! ```text
//!  empty disk ─► asks the other founders ─┬─ one knows it as a member ─► joins again, as if for the first time
//!                                         └─ none does, or none answers ─► founds the cluster with them
//! ```
//!
//! A member that has forgotten its votes and what it has acknowledged must do neither anew before it has a snapshot:
//! a second vote in a term makes two leaders, and an acknowledged write may be on too few disks. etcd refuses such a
//! start ("has already been bootstrapped") on the same evidence, that the member was published.

use internal_proto::{ClusterId, MemberId};
use storenode::config::Config;
use tokio::task::JoinSet;

use gateway::router::{Introduction, greet};

/// Asks the others, unless there is data.
pub(crate) async fn is_known_to_others(config: &Config, token: &str) -> bool {
    let log = config.data_dir.join("log");
    let has_log = std::fs::read_dir(log).is_ok_and(|mut entries| entries.next().is_some());
    if has_log {
        return false;
    }
    let (cluster, myself) = (config.cluster_id, config.member_id);
    let mut questions = JoinSet::new();
    for other in config.members.iter().filter(|member| member.id != myself) {
        for url in other.peer_urls.clone() {
            let introduction = Introduction::new(Some(cluster), token).of_member(myself);
            questions.spawn(async move { knows(&url, &introduction, cluster, myself).await });
        }
    }
    while let Some(answer) = questions.join_next().await {
        if answer.unwrap_or(false) {
            return true;
        }
    }
    false
}

/// Whether the node at a peer URL has this member in its state. One that does not answer does not.
async fn knows(url: &str, introduction: &Introduction, cluster: ClusterId, myself: MemberId) -> bool {
    match greet(url, introduction).await {
        Ok(greeting) if greeting.cluster == cluster.0 => {
            greeting.into_members().iter().any(|member| member.id == myself)
        }
        Ok(_) | Err(_) => false,
    }
}
