//! Work that keeps a processor busy for long, done so that the tasks around it go on.
//!
//! ```text
//!  worker thread ── task ── task ── long work ──────────────────►
//!                                       └─ its other tasks, and the sockets it looked after: to another thread
//! ```
//!
//! Without that a runtime may leave all its sockets alone until the work is done, even with idle threads: a long list
//! would delay other clients, and heartbeats.

use tokio::runtime::{Handle, RuntimeFlavor};

/// Messages from this length on are long: making them takes a millisecond.
pub const LONG_MESSAGE_BYTES: usize = 1 << 20;

/// Does it at once, with the tasks of this thread out of the way.
pub fn aside<T>(work: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        // There is no other thread.
        _ => work(),
    }
}

/// The same if a message is long; a short one is not worth the way.
pub fn aside_if_long<T>(bytes: usize, work: impl FnOnce() -> T) -> T {
    if bytes < LONG_MESSAGE_BYTES { work() } else { aside(work) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn other_tasks_go_on_meanwhile() {
        let (sender, receiver) = std::sync::mpsc::channel();
        let busy = tokio::spawn(async move { aside(|| receiver.recv()) });
        tokio::task::yield_now().await;
        let other = tokio::spawn(async move { sender.send("from another task") });
        assert_eq!(busy.await.ok(), Some(Ok("from another task")));
        assert!(other.await.is_ok_and(|sent| sent.is_ok()));
    }

    #[tokio::test]
    async fn one_thread_does_everything_itself() {
        assert_eq!(aside_if_long(usize::MAX, || 7), 7);
    }
}
