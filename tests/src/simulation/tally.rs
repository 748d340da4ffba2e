//! What a run went through: a suite that did not meet what it is about has shown nothing.

use storenode::files::Files as _;

use super::machine::Machine;

/// Counts over one or many runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// The power went, in the middle of an operation or between two.
    pub power_losses: u64,
    /// The process went, and the page cache stayed.
    pub kills: u64,
    /// A sync failed and the node stopped.
    pub failed_syncs: u64,
    /// The power went again while a node recovered.
    pub losses_in_recovery: u64,
    /// Recoveries that found a torn tail and cut it.
    pub tails_cut: u64,
    /// Checkpoints that replaced an older one or were the first.
    pub checkpoints: u64,
    /// Segments that trimming gave back.
    pub segments_trimmed: u64,
    /// Starts that began from a checkpoint.
    pub starts_from_checkpoint: u64,
    /// Commands answered with success.
    pub acknowledged: u64,
    /// Commands in flight at an interruption that turned out to have happened.
    pub found_applied: u64,
    /// Commands in flight at an interruption that turned out lost.
    pub found_lost: u64,
    /// Leases that a leader ended by itself.
    pub expired: u64,
}

impl Tally {
    /// Adds another run.
    pub fn add(&mut self, other: Self) {
        self.power_losses += other.power_losses;
        self.kills += other.kills;
        self.failed_syncs += other.failed_syncs;
        self.losses_in_recovery += other.losses_in_recovery;
        self.tails_cut += other.tails_cut;
        self.checkpoints += other.checkpoints;
        self.segments_trimmed += other.segments_trimmed;
        self.starts_from_checkpoint += other.starts_from_checkpoint;
        self.acknowledged += other.acknowledged;
        self.found_applied += other.found_applied;
        self.found_lost += other.found_lost;
        self.expired += other.expired;
    }
}

/// The files of one machine when they were last looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FilesSeen {
    checkpoint: Option<String>,
    oldest_segment: Option<u64>,
}

impl FilesSeen {
    /// Looks again and counts what has changed. A disk without power shows nothing new.
    pub fn look(&mut self, machine: &Machine, tally: &mut Tally) {
        let names = |dir: std::path::PathBuf| machine.disk.list(&dir).unwrap_or_default();
        let checkpoint = names(machine.checkpoint_dir()).into_iter().rfind(|name| name.ends_with(".checkpoint"));
        if checkpoint > self.checkpoint {
            tally.checkpoints += 1;
            self.checkpoint = checkpoint;
        }
        let segments = names(machine.log_dir());
        let oldest = segments.iter().find_map(|name| u64::from_str_radix(name.strip_suffix(".segment")?, 16).ok());
        if let (Some(oldest), Some(before)) = (oldest, self.oldest_segment) {
            tally.segments_trimmed += oldest.saturating_sub(before);
        }
        self.oldest_segment = oldest.or(self.oldest_segment);
    }

    /// Whether a start finds a checkpoint.
    #[must_use]
    pub const fn has_checkpoint(&self) -> bool {
        self.checkpoint.is_some()
    }
}
