//! How every HTTP/2 connection of a storage node is set up, whichever side made it.

use std::time::Duration;

/// Small frames may take half of it, so with the usual 64 KiB a few thousand of them would end the connection.
pub(crate) const CONNECTION_WINDOW: u32 = 16 << 20;
/// What one stream may have in flight: an entry arrives in at most a few windows.
pub(crate) const STREAM_WINDOW: u32 = 4 << 20;
/// A connection that is silent this long is asked whether it lives.
pub(crate) const PING_EVERY: Duration = Duration::from_secs(2);
/// A ping may stay unanswered this long: a paused process or a lost machine, told apart from a slow one.
pub(crate) const PING_TIMEOUT: Duration = Duration::from_secs(3);
