//! Whether a founder that starts with an empty disk has been at work before.
//!
//! ```text
//!  empty disk ─► asks the other founders ─┬─ one knows it as a member ─► marked, joins again as if for the first time
//!  (its own callers are turned away)      ├─ one accepts, but is silent ─► it starts as well: asked again
//!                                         └─ none does, or none answers ─► founds the cluster with them
//! ```
//!
//! A member that has forgotten its votes and what it has acknowledged must do neither anew before it has a snapshot:
//! a second vote in a term makes two leaders, and an acknowledged write may be on too few disks. etcd refuses such a
//! start ("has already been bootstrapped") on the same evidence, that the member was published.
//!
//! Invariant: what was found out is durable before the first file of the log is: a start that was cut off is repeated
//! as it began.

use std::fs::File;
use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

use gateway::router::{Introduction, greet};
use tokio::task::JoinSet;

use crate::StartError;
use crate::config::Myself;

/// Says that this member joins again. It means nothing once there is a log, and goes with the disk.
const MARK: &str = "JOINS";
/// Far longer than a member takes to read its log.
const SILENT_FOR: Duration = Duration::from_secs(60);
/// Longer than it takes to find out that nobody is there.
const ANSWERS_WITHIN: Duration = Duration::from_millis(1_500);
const ASK_AGAIN: Duration = Duration::from_millis(200);

/// What another founder says.
enum Word {
    Knows,
    /// Or nobody is there, or it is as new as this one.
    DoesNot,
    /// It has a port, and is not at work yet.
    Silent,
}

/// Asks the others, unless there is data. Callers at `ports` are turned away meanwhile: founders that start together
/// ask each other, and would all wait for an answer that none has before it has asked.
///
/// # Errors
/// When another founder stays silent, or the answer cannot be written down.
pub(crate) async fn is_known_to_others(
    who: &Myself,
    data_dir: &Path,
    ports: &[TcpListener],
) -> Result<bool, StartError> {
    let has_log = std::fs::read_dir(data_dir.join("log")).is_ok_and(|mut entries| entries.next().is_some());
    let mark = data_dir.join(MARK);
    if has_log || mark.exists() {
        return Ok(mark.exists());
    }
    // Ends with the question.
    let _turning = turn_away(ports);
    let known = ask(who).await?;
    if known {
        File::create(&mark)?.sync_all()?;
        File::open(data_dir)?.sync_all()?;
    }
    Ok(known)
}

/// Whether one of the others knows this member.
async fn ask(who: &Myself) -> Result<bool, StartError> {
    let introduction = Introduction::new(Some(who.cluster_id), &who.token).of_member(who.member_id);
    let others = who.first_members.iter().filter(|member| member.id != who.member_id);
    let mut urls: Vec<String> = others.flat_map(|member| member.peer_urls.clone()).collect();
    let deadline = Instant::now() + SILENT_FOR;
    loop {
        let mut questions = JoinSet::new();
        for url in urls.drain(..) {
            let (who, introduction) = (who.clone(), introduction.clone());
            questions.spawn(async move { (word(&url, &introduction, &who).await, url) });
        }
        for (word, url) in questions.join_all().await {
            match word {
                Word::Knows => return Ok(true),
                Word::DoesNot => {}
                Word::Silent => urls.push(url),
            }
        }
        let Some(silent) = urls.first() else { return Ok(false) };
        if Instant::now() > deadline {
            return Err(StartError::SilentFounder(silent.clone()));
        }
        tracing::warn!(url = silent, "waiting for a member that starts: it may know this one, whose disk is empty");
        tokio::time::sleep(ASK_AGAIN).await;
    }
}

/// What the node at a peer URL says of this member.
async fn word(url: &str, introduction: &Introduction, who: &Myself) -> Word {
    match tokio::time::timeout(ANSWERS_WITHIN, greet(url, introduction)).await {
        Ok(Ok(greeting)) => {
            let is_ours = greeting.cluster == who.cluster_id.0;
            let knows = is_ours && greeting.applied().any(|member| member.id == who.member_id);
            if knows { Word::Knows } else { Word::DoesNot }
        }
        Ok(Err(_)) => Word::DoesNot,
        Err(_) => Word::Silent,
    }
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

    fn who(member_id: MemberId, first_members: &[Member]) -> Myself {
        let (name, token) = (String::new(), String::new());
        Myself { cluster_id: ClusterId(1), member_id, name, token, first_members: first_members.to_vec() }
    }

    #[tokio::test]
    async fn founders_that_start_together_do_not_wait_for_each_other() {
        let ports: Vec<_> = (0..2).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let member = |(id, port): (u64, &TcpListener)| Member {
            id: MemberId(id),
            peer_urls: vec![format!("http://{}", port.local_addr().unwrap())],
            ..Member::default()
        };
        let first_members: Vec<_> = (1..).zip(&ports).map(member).collect();
        let _asking = turn_away(&ports);
        let asked = tokio::time::timeout(AT_ONCE, ask(&who(MemberId(1), &first_members))).await;
        assert!(!asked.unwrap().unwrap());
    }

    #[tokio::test]
    async fn a_founder_that_starts_slowly_is_waited_for() {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", silent.local_addr().unwrap());
        let introduction = Introduction::new(Some(ClusterId(1)), "");
        let who = who(MemberId(1), &[]);
        assert!(matches!(word(&url, &introduction, &who).await, Word::Silent));
        drop(silent);
        assert!(matches!(word(&url, &introduction, &who).await, Word::DoesNot));
    }

    #[tokio::test]
    async fn a_start_that_was_cut_off_is_repeated_as_it_began() {
        let data_dir = tempfile::tempdir().unwrap();
        let who = who(MemberId(1), &[]);
        File::create(data_dir.path().join(MARK)).unwrap();
        assert!(is_known_to_others(&who, data_dir.path(), &[]).await.unwrap());
        std::fs::create_dir(data_dir.path().join("log")).unwrap();
        File::create(data_dir.path().join("log/half a segment")).unwrap();
        assert!(is_known_to_others(&who, data_dir.path(), &[]).await.unwrap());
        std::fs::remove_file(data_dir.path().join(MARK)).unwrap();
        assert!(!is_known_to_others(&who, data_dir.path(), &[]).await.unwrap());
    }
}
