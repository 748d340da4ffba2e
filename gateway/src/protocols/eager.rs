//! Requests that are begun where they are read, since most are answered at once.
//!
//! ```text
//!  connection reads a request ─► polled once ─┬─► answered: no task was needed
//!                                             └─► has to wait, or others should come first: a task of its own
//! ```
//!
//! A task for every request costs its memory, and often the waking of another processor that finds it done.
//!
//! Invariant: a connection with many requests begins no more of them in a row than tokio lets a task go on.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use hyper::rt::Executor;
use tokio::task::coop::consume_budget;

/// Runs the requests of one connection.
#[derive(Clone, Debug, Default)]
pub(super) struct Eager {
    waiting: Arc<AtomicUsize>,
}

impl Eager {
    /// How many requests have tasks of their own.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }
}

impl<F> Executor<F> for Eager
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, future: F) {
        // Nobody is woken by this poll: a future that waits is polled again by its task.
        let mut context = Context::from_waker(Waker::noop());
        let mut future = Box::pin(future);
        let may_begin = pin!(consume_budget()).poll(&mut context).is_ready();
        if may_begin && future.as_mut().poll(&mut context) == Poll::Ready(()) {
            return;
        }
        let waits = Waits::new(&self.waiting);
        tokio::spawn(async move {
            let _waits = waits;
            future.await;
        });
    }
}

/// One request that has a task.
struct Waits(Arc<AtomicUsize>);

impl Waits {
    fn new(waiting: &Arc<AtomicUsize>) -> Self {
        waiting.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(waiting))
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use tokio::sync::oneshot;

    #[tokio::test]
    async fn what_is_answered_at_once_is_done_before_the_next_is_read() {
        let (sender, mut receiver) = oneshot::channel();
        Eager::default().execute(async move { sender.send("done").unwrap() });
        assert_eq!(receiver.try_recv(), Ok("done"));
    }

    #[tokio::test]
    async fn what_waits_goes_on_by_itself() {
        let ((go, gone), (sender, receiver)) = (oneshot::channel::<()>(), oneshot::channel());
        let eager = Eager::default();
        eager.execute(async move {
            gone.await.unwrap();
            sender.send("done").unwrap();
        });
        assert_eq!(eager.waiting(), 1);
        go.send(()).unwrap();
        assert_eq!(receiver.await, Ok("done"));
        while eager.waiting() > 0 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_connection_with_many_requests_lets_others_go_on() {
        const MANY: usize = 10_000;
        let (eager, begun) = (Eager::default(), Arc::new(AtomicUsize::new(0)));
        for _ in 0..MANY {
            let begun = Arc::clone(&begun);
            eager.execute(async move {
                begun.fetch_add(1, Ordering::Relaxed);
            });
        }
        assert!(begun.load(Ordering::Relaxed) < MANY, "all of them came before anybody else");
        while begun.load(Ordering::Relaxed) < MANY {
            tokio::task::yield_now().await;
        }
    }
}
