//! The service over a store that answers as the test says, spoken to by a raw client.

mod fake;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use internal_proto::introduction::RECEIVER_KEY;
use internal_proto::wire::{
    AnswerFrame, Ask, Call, CallFrame, Joiner, MAX_FRAME_BYTES, MAX_PART_BYTES, Nothing, StoreClient, Told,
};
use internal_proto::{
    Answer, AuthRevision, Command, Error, Freshness, KeyRange, LeaseId, MemberId, Operation, RangeRequest, Request,
    Response, Standing, Term,
};
use prost::Message;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status, Streaming};

use fake::Fake;

async fn connect(store: &Arc<Fake>) -> StoreClient<Channel> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let service = super::service::service(Arc::clone(store) as _);
    tokio::spawn(async move {
        let incoming = TcpListenerStream::new(listener);
        tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming).await.unwrap();
    });
    StoreClient::new(Endpoint::from_shared(url).unwrap().connect().await.unwrap())
}

struct Caller {
    frames: mpsc::Sender<CallFrame>,
    answers: Streaming<AnswerFrame>,
    joiner: Joiner,
    ready: Vec<(u64, Result<Told, Error>)>,
}

impl Caller {
    async fn new(store: &Arc<Fake>) -> Self {
        let (frames, stream) = mpsc::channel(1);
        let answers = connect(store).await.calls(ReceiverStream::new(stream)).await.unwrap().into_inner();
        Self { frames, answers, joiner: Joiner::default(), ready: Vec::new() }
    }

    async fn send(&self, calls: impl IntoIterator<Item = (u64, Ask)>) {
        let calls = calls.into_iter().map(|(number, ask)| Call::new(number, &ask)).collect();
        self.frames.send(CallFrame { calls }).await.unwrap();
    }

    async fn frame(&mut self) -> Result<Option<AnswerFrame>, Status> {
        tokio::time::timeout(Duration::from_secs(20), self.answers.message()).await.expect("an answer comes in time")
    }

    async fn answer(&mut self) -> (u64, Result<Told, Error>) {
        loop {
            if let Some(answer) = self.ready.pop() {
                return answer;
            }
            for answered in self.frame().await.unwrap().unwrap().answered {
                self.ready.extend(self.joiner.take(answered).unwrap());
            }
        }
    }
}

fn write(lease: i64) -> Ask {
    let operation = Operation::LeaseRevoke(LeaseId(lease));
    Ask::Write(Command { origin: None, auth: AuthRevision::default(), operation })
}

/// Answered by the fake with as many bytes as the limit says.
fn range(bytes: usize, key: &'static str, end: &'static str) -> Ask {
    let range = KeyRange::from_wire(Bytes::from_static(key.as_bytes()), Bytes::from_static(end.as_bytes()));
    let limit = bytes as u64;
    Ask::Query(Request::Range(RangeRequest { range, limit, ..RangeRequest::default() }), Freshness::default())
}

#[tokio::test]
async fn answers_come_in_the_order_in_which_they_are_there() {
    let store = Arc::new(Fake::default());
    let mut caller = Caller::new(&store).await;
    caller.send((1..=3_u64).map(|number| (number, write(number.cast_signed())))).await;
    let mut held = store.held(3).await;
    held.remove(1).respond.send(Err(Error::LeaseNotFound));
    assert_eq!(caller.answer().await, (2, Err(Error::LeaseNotFound)));
    // One that is dropped unanswered has an unknown outcome.
    drop(held.remove(0));
    assert_eq!(caller.answer().await, (1, Err(Error::TimeoutConnectionLost)));
    caller.send([(4, Ask::Barrier)]).await;
    assert_eq!(caller.answer().await, (4, Err(Error::NotLeader { hint: Some(MemberId(9)) })));
}

#[tokio::test]
async fn a_long_answer_comes_in_parts_and_delays_no_other() {
    let store = Arc::new(Fake::default());
    let mut caller = Caller::new(&store).await;
    caller.send([(1, range(20 * MAX_PART_BYTES, "a", "z"))]).await;
    let mut frames = 0;
    while store.read_bytes() == 0 || frames == 0 {
        let frame = caller.frame().await.unwrap().unwrap();
        assert!(frame.encoded_len() <= MAX_FRAME_BYTES + MAX_PART_BYTES);
        frames += 1;
        for answered in frame.answered {
            caller.ready.extend(caller.joiner.take(answered).unwrap());
        }
    }
    caller.send([(2, range(10, "k", ""))]).await;
    assert_eq!(caller.answer().await.0, 2);
    let (call, long) = caller.answer().await;
    let Ok(Told::Answer(Answer { response: Response::Range(range), .. })) = long else { panic!("{long:?}") };
    assert_eq!((call, range.kvs[0].fields().value.len()), (1, 20 * MAX_PART_BYTES));
}

#[tokio::test]
async fn a_gateway_that_does_not_read_is_not_read_from() {
    /// Some five times what may wait for a gateway.
    const CALLS: u64 = 300;
    let store = Arc::new(Fake::default());
    let mut caller = Caller::new(&store).await;
    caller.send((0..CALLS).map(|number| (number, range(1 << 20, "k", "")))).await;
    store.settled().await;
    let bytes = store.read_bytes();
    assert!(bytes > 0 && bytes < 100 << 20, "{bytes} bytes wait for a gateway that does not read");
    for _ in 0..CALLS {
        assert!(caller.answer().await.1.is_ok());
    }
    assert_eq!(store.read_bytes(), usize::try_from(CALLS).unwrap() << 20);
}

#[tokio::test]
async fn what_is_no_call_ends_its_stream_with_the_reason_and_nothing_else() {
    let store = Arc::new(Fake::default());
    let mut caller = Caller::new(&store).await;
    caller.frames.send(CallFrame { calls: vec![Call { number: 1, ask: None }] }).await.unwrap();
    let refusal = caller.frame().await.unwrap_err();
    assert_eq!(refusal.code(), Code::InvalidArgument);
    assert!(refusal.message().contains("what a call asks is missing"), "{}", refusal.message());

    let mut caller = Caller::new(&store).await;
    caller.send([(1, Ask::Query(Request::LeaseRevoke(LeaseId(1)), Freshness::default()))]).await;
    let refusal = caller.frame().await.unwrap_err();
    assert!(refusal.message().contains("LeaseRevoke is no query"), "{}", refusal.message());

    let mut caller = Caller::new(&store).await;
    caller.send([(1, range(1, "k", ""))]).await;
    assert!(caller.answer().await.1.is_ok());
}

#[tokio::test]
async fn a_stream_that_is_meant_for_another_member_is_refused_by_name() {
    let mut client = connect(&Arc::new(Fake::default())).await;
    let mut request = tonic::Request::new(Nothing {});
    request.metadata_mut().insert(RECEIVER_KEY, "a1".parse().unwrap());
    let refusal = client.standing(request).await.unwrap_err();
    assert!(refusal.message().contains("this is member 1, not member a1"), "{}", refusal.message());
}

#[tokio::test]
async fn a_change_of_leaders_is_pushed() {
    let store = Arc::new(Fake::default());
    let mut standings = connect(&store).await.standing(Nothing {}).await.unwrap().into_inner();
    assert_eq!(standings.message().await.unwrap().unwrap().standing().leader, None);
    let standing = Standing { reachable: true, leader: Some(MemberId(2)), term: Term(5) };
    store.standing.send_replace(standing);
    assert_eq!(standings.message().await.unwrap().unwrap().standing(), standing);
}
