//! The ids of members and clusters, computed as etcd computes them: operators, backups and tests
//! compare the very numbers.
//!
//! ```text
//! member  = first 8 bytes of sha1( sorted peer URLs, joined | token )
//! cluster = first 8 bytes of sha1( sorted member ids, 8 bytes each )
//! ```
//!
//! Members added to a running cluster mix the time into their id; those ids come with the command
//! that adds them.

use internal_proto::{ClusterId, MemberId};
use sha1::{Digest, Sha1};

/// The id of one of a cluster's first members.
pub fn member_id(peer_urls: &[String], token: &str) -> MemberId {
    let mut sorted: Vec<&str> = peer_urls.iter().map(String::as_str).collect();
    sorted.sort_unstable();
    let mut digest = Sha1::new();
    for url in sorted {
        digest.update(url);
    }
    digest.update(token);
    MemberId(leading_number(digest))
}

/// The id of the cluster that these members found.
pub fn cluster_id(members: &[MemberId]) -> ClusterId {
    let mut sorted = members.to_vec();
    sorted.sort_unstable();
    let mut digest = Sha1::new();
    for member in sorted {
        digest.update(member.0.to_be_bytes());
    }
    ClusterId(leading_number(digest))
}

fn leading_number(digest: Sha1) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = <[u8; 20]>::from(digest.finalize());
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(urls: &[&str], token: &str) -> MemberId {
        let urls: Vec<_> = urls.iter().map(|&url| url.to_owned()).collect();
        member_id(&urls, token)
    }

    /// Each pair was read from `etcdctl member list -w json` of a real etcd 3.7.3.
    #[test]
    fn ids_of_a_lone_member_are_etcds() {
        for (urls, token, member_id, cluster) in [
            (&["http://localhost:2380"][..], "etcd-cluster", 10276657743932975437, 14841639068965178418),
            (&["http://127.0.0.1:12380"], "tkn", 8643565184801212986, 1183168174123788837),
            (
                &["http://127.0.0.1:12381", "http://127.0.0.1:12380"],
                "etcd-cluster",
                860034045465521880,
                18431201597906225372,
            ),
            (&["http://192.0.2.2:12380"], "etcd-cluster", 9295156889584910291, 16242399211517046809),
        ] {
            assert_eq!(member(urls, token), MemberId(member_id), "{urls:?}");
            assert_eq!(cluster_id(&[MemberId(member_id)]), ClusterId(cluster), "{urls:?}");
        }
    }

    /// From the log of a real etcd 3.7.3 started as one of three.
    #[test]
    fn ids_of_three_members_are_etcds() {
        let ids = ["http://127.0.0.1:2380", "http://127.0.0.1:3380", "http://127.0.0.1:4380"]
            .map(|url| member(&[url], "etcd-cluster"));
        let expected = [0xb71f75320dc06a6c, 0xd07d5325fff892c1, 0xb7bacd4212cc9323].map(MemberId);
        assert_eq!(sorted(ids), sorted(expected));
        assert_eq!(cluster_id(&ids), ClusterId(0xfaa58eec8e0b69b3));
    }

    fn sorted(mut ids: [MemberId; 3]) -> [MemberId; 3] {
        ids.sort_unstable();
        ids
    }
}
