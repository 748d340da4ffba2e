//! What a gateway is told before it starts: every limit and interval it obeys.
//!
//! The caller decides where a value comes from (flag, environment, file); this type only says
//! what is needed and refuses what cannot work.
//!
//! Invariant: a [`Config`] that passed [`Config::validate`] needs no further check.

use std::time::Duration;

/// The receive limit is this much above the largest request, so that a request at the limit still
/// fits with its message framing (etcd's rule).
pub const RECEIVE_OVERHEAD_BYTES: usize = 512 * 1024;

/// The shortest interval of automatic watch progress notifications etcd accepts.
pub const MIN_PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

/// The settings of one gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The largest request a client may send, in bytes of the encoded command.
    pub max_request_bytes: usize,
    /// How many compares, and how many operations per branch, a transaction may have.
    pub max_txn_ops: usize,
    /// Streams one connection may have open at a time; sent in the HTTP/2 SETTINGS.
    pub max_concurrent_streams: u32,
    /// Idle time after which the server pings a client; `None` never pings.
    pub keepalive_interval: Option<Duration>,
    /// How long a ping may stay unanswered before the connection is closed.
    pub keepalive_timeout: Duration,
    /// How often a quiet watch that asked for it hears of progress.
    pub watch_progress_interval: Duration,
    /// A unary request that takes longer is logged as slow.
    pub slow_request: Duration,
    /// Whether `/v3/*` answers JSON.
    pub json_gateway: bool,
    /// How long open requests may take to finish once a shutdown began.
    pub drain_timeout: Duration,
    /// When a client connection is asked to end so that the client opens another, perhaps elsewhere; `None` for never.
    pub connection_age: Option<Duration>,
    /// How long the streams of such a connection may take to end; `None` for as long as they like.
    pub connection_age_grace: Option<Duration>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_request_bytes: 1_572_864,
            max_txn_ops: 128,
            max_concurrent_streams: u32::MAX,
            keepalive_interval: Some(Duration::from_secs(2 * 60 * 60)),
            keepalive_timeout: Duration::from_secs(20),
            watch_progress_interval: Duration::from_secs(10 * 60),
            slow_request: Duration::from_millis(300),
            json_gateway: true,
            drain_timeout: Duration::from_secs(5),
            connection_age: None,
            connection_age_grace: None,
        }
    }
}

/// Why a [`Config`] cannot work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Neither requests nor responses could pass.
    #[error("max-request-bytes must be at least 1 and at most 1 GiB, not {0}")]
    MaxRequestBytes(usize),
    /// Faster notifications than etcd allows.
    #[error("watch-progress-notify-interval must be at least 100ms, not {0:?}")]
    ProgressInterval(Duration),
    /// A connection that may carry no stream serves nothing.
    #[error("max-concurrent-streams must be at least 1")]
    NoStreams,
}

impl Config {
    /// The largest message the server reads from a client, in bytes.
    pub fn receive_limit(&self) -> usize {
        self.max_request_bytes + RECEIVE_OVERHEAD_BYTES
    }

    /// Checks every rule between the values.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn validate(&self) -> Result<(), ConfigError> {
        const MAX_REQUEST_BYTES: usize = 1 << 30;
        if self.max_request_bytes == 0 || self.max_request_bytes > MAX_REQUEST_BYTES {
            return Err(ConfigError::MaxRequestBytes(self.max_request_bytes));
        }
        if self.watch_progress_interval < MIN_PROGRESS_INTERVAL {
            return Err(ConfigError::ProgressInterval(self.watch_progress_interval));
        }
        if self.max_concurrent_streams == 0 {
            return Err(ConfigError::NoStreams);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_valid() {
        assert_eq!(Config::default().validate(), Ok(()));
        assert_eq!(Config::default().receive_limit(), 2_097_152);
    }

    #[test]
    fn what_cannot_work_is_refused() {
        let empty = Config { max_request_bytes: 0, ..Config::default() };
        assert_eq!(empty.validate(), Err(ConfigError::MaxRequestBytes(0)));
        let hasty = Config { watch_progress_interval: Duration::from_millis(99), ..Config::default() };
        assert!(matches!(hasty.validate(), Err(ConfigError::ProgressInterval(_))));
        let mute = Config { max_concurrent_streams: 0, ..Config::default() };
        assert_eq!(mute.validate(), Err(ConfigError::NoStreams));
    }
}
