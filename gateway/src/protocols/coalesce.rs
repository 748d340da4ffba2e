//! Writes that wait until their connection has nothing more to say for now: one system call for many answers.
//!
//! ```text
//!  h2 ──frame, frame, frame──► Coalescing ──copied──► pending ──► socket, once the connection was polled,
//!                                         │                       or once the worker has nothing else to do
//!                                         └─much at once────────► socket, behind what is pending
//! ```
//!
//! h2 hands over the payload of every message for itself: left alone, ten small answers on a connection are ten
//! packets, and ten more with their trailers. And answers to writes come many at a time, each from a task that wakes
//! the connection: while others wait, what one of them has brought waits until the worker would sleep.
//!
//! Invariants: bytes leave in their order; nothing is kept for longer than the worker has other work, except what the
//! socket does not take; what is pending is bounded.

use std::future::Future;
use std::io::{self, IoSlice};
use std::mem;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker, ready};

use parking_lot::Mutex;
use pin_project_lite::pin_project;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::eager::Eager;

/// What is pending at most.
const PENDING_MAX: usize = 64 << 10;
/// So much at once is worth a system call, and not worth copying.
const MUCH: usize = 16 << 10;
/// What a connection keeps for its next answers; ten thousand idle ones add up.
const KEPT_MAX: usize = 4 << 10;

/// A stream as its connection has it.
pub(super) struct Coalescing<S>(Arc<Mutex<Outgoing<S>>>);

struct Outgoing<S> {
    stream: S,
    pending: Vec<u8>,
    /// How much of it the stream has taken.
    taken: usize,
    /// Whether something came in since the last poll.
    has_read: bool,
}

pin_project! {
    /// A connection, and the stream under it.
    pub(super) struct Coalesced<C, S> {
        #[pin]
        connection: C,
        outgoing: Arc<Mutex<Outgoing<S>>>,
        requests: Eager,
        pause: Option<Arc<Pause>>,
    }
}

impl<C, S> Coalesced<C, S> {
    /// Lets `serve` make a connection of a stream, whose requests are run by `requests`.
    pub(super) fn new(stream: S, requests: Eager, serve: impl FnOnce(Coalescing<S>) -> C) -> Self {
        let outgoing = Arc::new(Mutex::new(Outgoing { stream, pending: Vec::new(), taken: 0, has_read: false }));
        Self { connection: serve(Coalescing(Arc::clone(&outgoing))), outgoing, requests, pause: None }
    }

    /// The connection itself.
    pub(super) fn connection(self: Pin<&mut Self>) -> Pin<&mut C> {
        self.project().connection
    }
}

impl<C: Future, S: AsyncWrite + Unpin> Future for Coalesced<C, S> {
    type Output = C::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<C::Output> {
        let this = self.project();
        let polled = this.connection.poll(context);
        let mut outgoing = this.outgoing.lock();
        // Whoever has just asked is answered with all that was asked together. Otherwise one of many may have been
        // answered, and the next ones be about to.
        let may_wait = !mem::take(&mut outgoing.has_read) && polled.is_pending() && this.requests.waiting() > 1;
        match this.pause {
            Some(pause) if may_wait && !pause.is_over() => return polled,
            None if may_wait && !outgoing.pending.is_empty() => {
                *this.pause = Some(Pause::begin(context.waker()));
                return polled;
            }
            _ => *this.pause = None,
        }
        // A broken stream is told to the connection when it reads or writes.
        let _ = outgoing.poll_send(context);
        polled
    }
}

/// Wakes a connection when its worker has nothing else to do.
struct Pause {
    connection: Waker,
    over: AtomicBool,
}

impl Pause {
    fn begin(connection: &Waker) -> Arc<Self> {
        let pause = Arc::new(Self { connection: connection.clone(), over: AtomicBool::new(false) });
        let waker = Waker::from(Arc::clone(&pause));
        // It keeps the waker for when it would sleep.
        let _ = pin!(tokio::task::yield_now()).poll(&mut Context::from_waker(&waker));
        pause
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }
}

impl Wake for Pause {
    fn wake(self: Arc<Self>) {
        self.over.store(true, Ordering::Relaxed);
        self.connection.wake_by_ref();
    }
}

impl<S: AsyncWrite + Unpin> Outgoing<S> {
    /// Lets the stream take all that is pending.
    fn poll_send(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.taken < self.pending.len() {
            match ready!(Pin::new(&mut self.stream).poll_write(context, &self.pending[self.taken..]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                taken => self.taken += taken,
            }
        }
        self.pending.clear();
        self.pending.shrink_to(KEPT_MAX);
        self.taken = 0;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Coalescing<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut outgoing = self.0.lock();
        let length = slices.iter().map(|slice| slice.len()).sum::<usize>();
        if outgoing.pending.len() + length > PENDING_MAX || length > MUCH {
            ready!(outgoing.poll_send(context))?;
        }
        if length > MUCH {
            return Pin::new(&mut outgoing.stream).poll_write_vectored(context, slices);
        }
        slices.iter().for_each(|slice| outgoing.pending.extend_from_slice(slice));
        Poll::Ready(Ok(length))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut outgoing = self.0.lock();
        ready!(outgoing.poll_send(context))?;
        Pin::new(&mut outgoing.stream).poll_shutdown(context)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Coalescing<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut outgoing = self.0.lock();
        let before = buffer.filled().len();
        let polled = Pin::new(&mut outgoing.stream).poll_read(context, buffer);
        outgoing.has_read |= buffer.filled().len() > before;
        polled
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    /// Remembers each write for itself, and takes no more of one than it may.
    struct Packets {
        seen: Arc<Mutex<Vec<Vec<u8>>>>,
        most: usize,
    }

    impl AsyncWrite for Packets {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            let taken = bytes.len().min(self.most);
            self.seen.lock().push(bytes[..taken].to_vec());
            Poll::Ready(Ok(taken))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.seen.lock().push(b"end".to_vec());
            Poll::Ready(Ok(()))
        }
    }

    /// What leaves, packet by packet, when a connection writes this and ends without a shutdown.
    async fn sent(most: usize, writes: &[&[u8]], shutdown: bool) -> Vec<Vec<u8>> {
        let seen = Arc::<Mutex<Vec<Vec<u8>>>>::default();
        let packets = Packets { seen: Arc::clone(&seen), most };
        pin!(Coalesced::new(packets, Eager::default(), |mut stream| async move {
            for bytes in writes {
                stream.write_all(bytes).await.unwrap();
                stream.flush().await.unwrap();
            }
            if shutdown {
                stream.shutdown().await.unwrap();
            }
        }))
        .await;
        Arc::into_inner(seen).unwrap().into_inner()
    }

    #[tokio::test]
    async fn what_one_poll_writes_leaves_together() {
        assert_eq!(sent(usize::MAX, &[b"one ", b"two ", b"three"], false).await, [b"one two three".to_vec()]);
        assert_eq!(sent(usize::MAX, &[b"last"], true).await, [b"last".to_vec(), b"end".to_vec()]);
    }

    #[tokio::test]
    async fn order_and_bytes_are_kept_whatever_the_stream_takes() {
        let much = vec![7; MUCH + 1];
        let writes: &[&[u8]] = &[b"before", &much, b"behind"];
        for most in [usize::MAX, 1_000, 3] {
            assert_eq!(sent(most, writes, true).await.concat(), [writes.concat(), b"end".to_vec()].concat());
        }
        let packets = sent(usize::MAX, writes, false).await;
        assert_eq!(packets.iter().map(Vec::len).collect::<Vec<_>>(), [6, MUCH + 1, 6]);
    }

    #[tokio::test]
    async fn what_is_pending_is_bounded_and_waits_for_a_slow_reader() {
        let (near, mut far) = tokio::io::duplex(1_000);
        let piece = vec![7; MUCH];
        let connection = Coalesced::new(near, Eager::default(), |mut stream| async move {
            for _ in 0..100 {
                stream.write_all(&piece).await.unwrap();
                assert!(stream.0.lock().pending.len() <= PENDING_MAX);
            }
            stream.shutdown().await.unwrap();
        });
        let reading = async {
            let mut received = Vec::new();
            far.read_to_end(&mut received).await.unwrap();
            received.len()
        };
        assert_eq!(tokio::join!(connection, reading).1, 100 * MUCH);
    }
}
