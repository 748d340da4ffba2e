//! Whether a founder that starts with an empty disk has been at work before.
//!
//! ```text
//!  empty disk ─► asks the other founders ─┬─ one knows it as a member ─► joins again, as if for the first time
//!  (its own callers are turned away)      └─ none does, or none answers ─► founds the cluster with them
//! ```
//!
//! A member that has forgotten its votes and what it has acknowledged must do neither anew before it has a snapshot:
//! a second vote in a term makes two leaders, and an acknowledged write may be on too few disks. etcd refuses such a
//! start ("has already been bootstrapped") on the same evidence, that the member was published.

use std::net::TcpListener;
use std::path::Path;

use gateway::router::{Introduction, greet};
use tokio::task::JoinSet;

use crate::config::Myself;

/// Asks the others, unless there is data. Callers at `ports` are turned away meanwhile: founders that start together
/// ask each other, and would all wait for an answer that none has before it has asked.
pub(crate) async fn is_known_to_others(who: &Myself, data_dir: &Path, ports: &[TcpListener]) -> bool {
    let has_log = std::fs::read_dir(data_dir.join("log")).is_ok_and(|mut entries| entries.next().is_some());
    if has_log {
        return false;
    }
    // Ends with the question.
    let _turning = turn_away(ports);
    let introduction = Introduction::new(Some(who.cluster_id), &who.token).of_member(who.member_id);
    let mut questions = JoinSet::new();
    for other in who.first_members.iter().filter(|member| member.id != who.member_id) {
        for url in other.peer_urls.clone() {
            let (who, introduction) = (who.clone(), introduction.clone());
            questions.spawn(async move { knows(&url, &introduction, &who).await });
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
async fn knows(url: &str, introduction: &Introduction, who: &Myself) -> bool {
    let greeting = greet(url, introduction).await;
    greeting.is_ok_and(|greeting| {
        greeting.cluster == who.cluster_id.0 && greeting.applied().any(|member| member.id == who.member_id)
    })
}

/// Ends every connection that is made to these ports. One that cannot be shared keeps its callers waiting for a while,
/// no more.
fn turn_away(ports: &[TcpListener]) -> JoinSet<()> {
    let mut turning = JoinSet::new();
    for port in ports {
        let shared =
            port.set_nonblocking(true).and_then(|()| port.try_clone()).and_then(tokio::net::TcpListener::from_std);
        if let Ok(port) = shared {
            turning.spawn(async move { while port.accept().await.is_ok() {} });
        }
    }
    turning
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::Duration;

    use internal_proto::{ClusterId, Member, MemberId};

    use super::*;

    /// Below the time that a question waits for its answer.
    const AT_ONCE: Duration = Duration::from_secs(1);

    #[tokio::test]
    async fn founders_that_start_together_do_not_wait_for_each_other() {
        let ports: Vec<_> = (0..2).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let member = |(id, port): (u64, &TcpListener)| Member {
            id: MemberId(id),
            peer_urls: vec![format!("http://{}", port.local_addr().unwrap())],
            ..Member::default()
        };
        let first_members: Vec<_> = (1..).zip(&ports).map(member).collect();
        let who = |member_id| Myself {
            cluster_id: ClusterId(1),
            member_id,
            name: String::new(),
            token: String::new(),
            first_members: first_members.clone(),
        };
        let empty = tempfile::tempdir().unwrap();
        let (first, second) = (who(MemberId(1)), who(MemberId(2)));
        let asked = async {
            tokio::join!(
                is_known_to_others(&first, empty.path(), &ports[..1]),
                is_known_to_others(&second, empty.path(), &ports[1..])
            )
        };
        assert_eq!(tokio::time::timeout(AT_ONCE, asked).await, Ok((false, false)));
    }
}
