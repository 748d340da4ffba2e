//! An answer that is looked at between passes instead of being awaited.

use std::future::Future;
use std::pin::Pin;

use futures_util::FutureExt as _;

/// What a node was asked and has perhaps answered.
pub struct Pending<T>(Pin<Box<dyn Future<Output = T>>>);

impl<T> Pending<T> {
    /// Waits for nothing yet.
    pub fn new(answer: impl Future<Output = T> + 'static) -> Self {
        Self(Box::pin(answer))
    }

    /// The answer if it is there. Not to be asked again after it was.
    pub fn poll(&mut self) -> Option<T> {
        self.0.as_mut().now_or_never()
    }
}

/// Where waiting reads find the timer they ask for. Nobody drives it, so it never fires: in simulation a wait ends
/// when its condition holds or its client gives up.
///
/// # Panics
/// When the system has no room for one more event queue.
#[must_use]
pub fn runtime() -> tokio::runtime::Runtime {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    runtime.expect("a runtime without threads needs only a few descriptors")
}
