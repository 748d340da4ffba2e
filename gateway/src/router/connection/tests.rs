//! A client of nodes that do not behave: garbage is a clear error and never more.

use std::sync::Arc;
use std::time::Duration;

use internal_proto::wire::{
    AnswerFrame, Answered, BatchFrame, CallFrame, Nothing, StoreServer, StoreService, WatchCommands, WireStanding,
};
use internal_proto::{Error, Freshness, MemberId, Request, Standing, Store, Term};
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::{Response, Status, Streaming};

use super::{Introduction, Remote};

/// How a node answers each call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manners {
    /// With an answer that says nothing.
    Empty,
    /// With an answer to another call.
    Confused,
    /// By ending the stream.
    Hasty,
    /// Not at all.
    Silent,
}

struct Hostile(Arc<Mutex<Manners>>);

type Frames<T> = ReceiverStream<Result<T, Status>>;

#[tonic::async_trait]
impl StoreService for Hostile {
    type CallsStream = Frames<AnswerFrame>;
    type StandingStream = Frames<WireStanding>;
    type WatchStream = Frames<BatchFrame>;

    async fn calls(
        &self,
        request: tonic::Request<Streaming<CallFrame>>,
    ) -> Result<Response<Self::CallsStream>, Status> {
        let (frames, stream) = mpsc::channel(1);
        let manners = Arc::clone(&self.0);
        tokio::spawn(async move {
            let mut calls = request.into_inner();
            while let Ok(Some(frame)) = calls.message().await {
                let manners = *manners.lock();
                for call in frame.calls {
                    let call = match manners {
                        Manners::Empty => call.number,
                        Manners::Confused => call.number + 1000,
                        Manners::Hasty => return,
                        Manners::Silent => continue,
                    };
                    let outcome = Answered { call, ..Answered::default() };
                    let _ = frames.send(Ok(AnswerFrame { answered: vec![outcome] })).await;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn standing(&self, _: tonic::Request<Nothing>) -> Result<Response<Self::StandingStream>, Status> {
        let (said, stream) = mpsc::channel(1);
        let standing = Standing { reachable: true, leader: Some(MemberId(1)), term: Term(3) };
        tokio::spawn(async move {
            let _ = said.send(Ok(WireStanding::new(MemberId(1), standing))).await;
            said.closed().await;
        });
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn watch(&self, _: tonic::Request<Streaming<WatchCommands>>) -> Result<Response<Self::WatchStream>, Status> {
        let (frames, stream) = mpsc::channel(1);
        let _ = frames.try_send(Ok(BatchFrame::default()));
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}

/// A hostile node, and a client of it.
async fn node(manners: Manners) -> (Remote, Arc<Mutex<Manners>>, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let manners = Arc::new(Mutex::new(manners));
    let service = StoreServer::new(Hostile(Arc::clone(&manners)));
    let server = tokio::spawn(async move {
        let incoming = TcpListenerStream::new(listener);
        let _ = tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming).await;
    });
    (Remote::new(MemberId(1), &url, &Introduction::new(None, "")).unwrap(), manners, server)
}

#[tokio::test]
async fn an_answer_that_is_none_ends_the_connection_and_leaves_the_outcome_open() {
    for manners in [Manners::Empty, Manners::Confused, Manners::Hasty] {
        let (remote, _, server) = node(manners).await;
        let answer = remote.query(Request::Status, Freshness::default()).await;
        assert_eq!(answer, Err(Error::TimeoutConnectionLost), "{manners:?}");
        server.abort();
    }
}

#[tokio::test]
async fn a_node_that_comes_to_its_senses_is_asked_again() {
    let (remote, manners, server) = node(Manners::Hasty).await;
    assert_eq!(remote.barrier().await, Err(Error::NoLeader));
    *manners.lock() = Manners::Silent;
    let asked = async {
        // Refused for a moment after the failure, then sent.
        while tokio::time::timeout(Duration::from_millis(300), remote.barrier()).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), asked).await.unwrap();
    server.abort();
}

#[tokio::test]
async fn a_node_that_cannot_be_reached_refuses_at_once_and_says_so() {
    let (remote, _, server) = node(Manners::Silent).await;
    let mut standing = remote.standing();
    let known = *standing.wait_for(|standing| standing.reachable).await.unwrap();
    assert_eq!(known, Standing { reachable: true, leader: Some(MemberId(1)), term: Term(3) });
    server.abort();
    let unreachable = Remote::new(MemberId(1), "http://127.0.0.1:1", &Introduction::new(None, "")).unwrap();
    assert_eq!(unreachable.query(Request::Status, Freshness::default()).await, Err(Error::NoLeader));
    assert!(!unreachable.standing().borrow().reachable);
}

#[tokio::test]
async fn a_batch_that_is_none_ends_the_link() {
    let (remote, _, server) = node(Manners::Silent).await;
    assert_eq!(remote.watch().batches.recv().await, None);
    server.abort();
}

#[tokio::test]
async fn an_address_that_is_none_is_refused() {
    assert!(Remote::new(MemberId(1), "no address", &Introduction::new(None, "")).is_err());
}
