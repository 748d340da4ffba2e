//! How the process ends: a signal asks, the parts finish, a deadline or a second signal forces.
//!
//! ```text
//! SIGTERM, SIGINT ─► stop accepting, drain, close ─► exit 0
//!                        │ deadline or second signal
//!                        └────────────────────────► exit 1
//! ```

use std::future::Future;
use std::io;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The two signals that ask the process to end.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Takes the signals over from the system's default, which ends the process at once.
    pub(crate) fn take() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for the next of them and returns its name.
    pub(crate) async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// How an orderly end went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Everything finished.
    Orderly,
    /// The deadline passed.
    Late,
    /// A second signal came.
    Forced,
}

/// Runs `stop` to its end, unless the deadline passes or `insist` comes first.
pub(crate) async fn finish(stop: impl Future<Output = ()>, insist: impl Future, deadline: Duration) -> End {
    tokio::select! {
        () = stop => End::Orderly,
        () = tokio::time::sleep(deadline) => End::Late,
        _ = insist => End::Forced,
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn an_end_is_orderly_late_or_forced() {
        assert_eq!(finish(ready(()), pending::<()>(), LONG).await, End::Orderly);
        assert_eq!(finish(pending(), pending::<()>(), Duration::ZERO).await, End::Late);
        assert_eq!(finish(pending(), ready(()), LONG).await, End::Forced);
    }
}
