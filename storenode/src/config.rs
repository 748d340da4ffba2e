//! What a storage node is told before it starts: who it is, where its data lies, how it keeps time.
//!
//! The caller decides where a value comes from (flag, environment, file); this type only says
//! what is needed and refuses what cannot work.
//!
//! Invariant: a [`Config`] that passed [`Config::validate`] needs no further check.

use std::path::PathBuf;
use std::time::Duration;

use internal_proto::{ClusterId, Member, MemberId};

/// The longest election timeout etcd accepts.
pub const MAX_ELECTION_TIMEOUT: Duration = Duration::from_secs(50);

/// A heartbeat is this many ticks: raft counts time in ticks, and a tick finer than the heartbeat
/// lets a lost leader be noticed sooner.
pub const TICKS_PER_HEARTBEAT: u32 = 10;

/// Which engine holds the applied state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// All data in memory, durable by the log and checkpoints.
    Memory,
    /// Data on disk, which may be many times larger than memory.
    RocksDb {
        /// Memory for cached data and unflushed writes; `None` for a share of what the process may use.
        cache_bytes: Option<u64>,
    },
}

impl Engine {
    /// The word for it in flags and in the data directory.
    pub fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::RocksDb { .. } => "rocksdb",
        }
    }
}

/// The settings of one storage node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The directory that belongs to this node alone; exists and is locked by the caller.
    pub data_dir: PathBuf,
    /// The cluster this node belongs to.
    pub cluster_id: ClusterId,
    /// This node's own id; one of `members` when the cluster is new.
    pub member_id: MemberId,
    /// This node's own name, which may change from one start to the next.
    pub name: String,
    /// This node's own client URLs, published to the cluster.
    pub client_urls: Vec<String>,
    /// The first members of the cluster; read only when `data_dir` holds nothing yet.
    pub members: Vec<Member>,
    /// Whether the cluster exists and this node joins it, knowing nothing; read only when `data_dir` holds nothing yet.
    /// Until it has installed a snapshot of the others it grants no vote and acknowledges nothing: it may have done so
    /// before its disk was emptied.
    pub joins: bool,
    /// Which engine holds the state.
    pub engine: Engine,
    /// How large the store is meant to become at most, in bytes; 0 for no limit. Reported, not enforced.
    pub quota_bytes: u64,
    /// How often a leader says that it lives.
    pub heartbeat_interval: Duration,
    /// How long a follower waits for a sign of the leader.
    pub election_timeout: Duration,
    /// Whether a candidate first asks whether it could win.
    pub pre_vote: bool,
}

/// Why a [`Config`] cannot work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Time would stand still.
    #[error("heartbeat-interval must be above 0")]
    Heartbeat,
    /// A few lost heartbeats must not depose a leader.
    #[error("election-timeout {election:?} must be at least 5 times heartbeat-interval {heartbeat:?}")]
    ElectionTooShort {
        /// The election timeout asked for.
        election: Duration,
        /// The heartbeat interval asked for.
        heartbeat: Duration,
    },
    /// Nobody would notice a lost leader.
    #[error("election-timeout {0:?} is too long: 50s at most")]
    ElectionTooLong(Duration),
    /// The node is not part of its own cluster.
    #[error("the first members of the cluster do not include this one ({0})")]
    NotAMember(MemberId),
}

/// Checks raft's two times against each other.
///
/// # Errors
/// The first rule that is broken.
pub fn check_timing(heartbeat: Duration, election: Duration) -> Result<(), ConfigError> {
    if heartbeat.is_zero() {
        return Err(ConfigError::Heartbeat);
    }
    if election < heartbeat * 5 {
        return Err(ConfigError::ElectionTooShort { election, heartbeat });
    }
    if election > MAX_ELECTION_TIMEOUT {
        return Err(ConfigError::ElectionTooLong(election));
    }
    Ok(())
}

impl Config {
    /// The period of raft's clock.
    pub fn tick(&self) -> Duration {
        self.heartbeat_interval / TICKS_PER_HEARTBEAT
    }

    /// The shortest lease a client can get, in seconds: one and a half election timeouts, counted in whole heartbeats
    /// and rounded up (etcd's rule).
    pub fn min_lease_seconds(&self) -> i64 {
        let heartbeat = self.heartbeat_interval.as_millis().max(1);
        let heartbeats = 3 * (self.election_timeout.as_millis() / heartbeat) / 2;
        i64::try_from((heartbeats * heartbeat).div_ceil(1000)).unwrap_or(i64::MAX)
    }

    /// Checks every rule between the values.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn validate(&self) -> Result<(), ConfigError> {
        check_timing(self.heartbeat_interval, self.election_timeout)?;
        if !self.members.iter().any(|member| member.id == self.member_id) {
            return Err(ConfigError::NotAMember(self.member_id));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLI: Duration = Duration::from_millis(1);

    fn lone_member(heartbeat: u32, election: u32) -> Config {
        Config {
            data_dir: PathBuf::from("store"),
            cluster_id: ClusterId(1),
            member_id: MemberId(2),
            name: "default".to_owned(),
            client_urls: Vec::new(),
            joins: false,
            members: vec![Member { id: MemberId(2), name: "default".to_owned(), ..Member::default() }],
            engine: Engine::Memory,
            quota_bytes: 0,
            heartbeat_interval: MILLI * heartbeat,
            election_timeout: MILLI * election,
            pre_vote: true,
        }
    }

    #[test]
    fn time_follows_the_heartbeat() {
        assert_eq!(lone_member(100, 1000).tick(), MILLI * 10);
        assert_eq!(lone_member(100, 1000).min_lease_seconds(), 2);
        assert_eq!(lone_member(100, 5000).min_lease_seconds(), 8);
        assert_eq!(lone_member(300, 1700).min_lease_seconds(), 3);
    }

    #[test]
    fn what_cannot_work_is_refused() {
        assert_eq!(lone_member(100, 1000).validate(), Ok(()));
        assert_eq!(lone_member(0, 1000).validate(), Err(ConfigError::Heartbeat));
        assert!(matches!(lone_member(100, 499).validate(), Err(ConfigError::ElectionTooShort { .. })));
        assert!(matches!(lone_member(100, 50_001).validate(), Err(ConfigError::ElectionTooLong(_))));
        let stranger = Config { member_id: MemberId(3), ..lone_member(100, 1000) };
        assert_eq!(stranger.validate(), Err(ConfigError::NotAMember(MemberId(3))));
    }
}
