//! What a server says about itself, and about what it does not do yet.
#![allow(clippy::unwrap_used)]

use proto::etcdserverpb::auth_client::AuthClient;
use proto::etcdserverpb::{AuthEnableRequest, HashRequest, MemberListRequest, StatusRequest};
use proto::grpc::health::v1::HealthCheckRequest;
use proto::grpc::health::v1::health_check_response::ServingStatus;
use proto::grpc::health::v1::health_client::HealthClient;
use tests::binary::{Program, etcd_stands_in};
use tests::client::Client;
use tests::oracle::settled::settled;
use tests::process::Server;
use tests::requirement;
use tonic::Code;

async fn start(program: Program) -> (Server, Client) {
    let server = Server::start(program, &[]).await.unwrap();
    let client = Client::connect(server.client()).await.unwrap();
    (server, client)
}

fn programs() -> Vec<Program> {
    let etcd = requirement::etcd().map(|_| Program::Etcd);
    [Program::MetaStore].into_iter().chain(etcd).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn status_names_this_member_and_its_sizes() {
    for program in programs() {
        let (server, client) = start(program).await;
        settled(server.client()).await.unwrap();
        let status = client.maintenance.clone().status(StatusRequest::default()).await.unwrap().into_inner();
        let header = status.header.unwrap();
        assert_eq!((status.version.as_str(), status.storage_version.as_str()), ("3.7.3", "3.7.0"), "{program:?}");
        assert_eq!((header.revision, header.member_id), (1, status.leader), "{program:?}");
        assert_eq!(header.raft_term, status.raft_term, "{program:?}");
        assert!(status.raft_applied_index > 0 && status.raft_applied_index <= status.raft_index, "{status:?}");
        assert!(status.db_size > 0 && status.db_size_in_use <= status.db_size, "{status:?}");
        assert!(!status.is_learner && status.errors.is_empty(), "{status:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_only_member_is_listed_with_its_urls() {
    for program in programs() {
        let (server, client) = start(program).await;
        for linearizable in [true, false] {
            let request = MemberListRequest { linearizable };
            let list = client.cluster.clone().member_list(request).await.unwrap().into_inner();
            let header = list.header.unwrap();
            assert_eq!(header.revision, 0, "{program:?}: cluster calls have no revision");
            let [member] = &list.members[..] else { panic!("{program:?}: {:?}", list.members) };
            assert_eq!((member.id, member.name.as_str()), (header.member_id, "one"), "{program:?}");
            assert_eq!(member.client_ur_ls, [format!("http://{}", server.client())], "{program:?}");
            assert_eq!(member.peer_ur_ls.len(), 1, "{program:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_known_for_the_whole_server_only() {
    for program in programs() {
        let (_server, client) = start(program).await;
        let mut health = HealthClient::new(client.channel.clone());
        let answer = health.check(HealthCheckRequest::default()).await.unwrap().into_inner();
        assert_eq!(answer.status(), ServingStatus::Serving, "{program:?}");
        let unknown = health.check(HealthCheckRequest { service: "nothing".to_owned() }).await.unwrap_err();
        assert_eq!((unknown.code(), unknown.message()), (Code::NotFound, "unknown service"), "{program:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_later_says_so() {
    if etcd_stands_in() {
        return;
    }
    let (_server, client) = start(Program::MetaStore).await;
    let mut auth = AuthClient::new(client.channel.clone());
    let enable = auth.auth_enable(AuthEnableRequest::default()).await.unwrap_err();
    let hash = client.maintenance.clone().hash(HashRequest::default()).await.unwrap_err();
    for status in [enable, hash] {
        assert_eq!(status.code(), Code::Unimplemented, "{status:?}");
        assert!(!status.message().is_empty(), "{status:?}");
    }
}
