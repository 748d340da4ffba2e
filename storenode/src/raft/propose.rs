//! Proposing: what is queued becomes few entries, each as large as followers take without delaying their heartbeats.
//!
//! ```text
//!  writes ─► waiting ─► refused: no leader, no space
//!                   └─► one entry ─► core ─► the log; the next when the log and apply are ready for it
//! ```
//!
//! Invariants: commands keep their order; nothing is proposed that the log has no room for, as it can no longer be
//! refused; while an entry is written the next one gathers, as on a disk that syncs inline.

use std::time::Instant;

use internal_proto::{AuthRevision, Command, Error, Operation, Responder};

use super::core::Role;
use super::fatal::Fatal;
use super::log_stage::Room;
use super::member::Member;
use super::proposals::Waiter;

/// An entry holds at most so many bytes, or one command: what a follower takes without delaying its heartbeats.
const MAX_ENTRY_BYTES: usize = 4 << 20;
/// An entry holds at most so many commands. Each entry is applied whole, and 4 MiB of the smallest puts would be 55,000
/// of them: longer than a heartbeat may wait.
const MAX_ENTRY_COMMANDS: usize = 4_096;

/// What is to become of a command.
enum Verdict {
    Propose,
    Wait,
    Refuse(Error),
}

impl Member {
    /// Proposes commands as soon as there is room for them, those that waited first.
    pub(super) fn propose(
        &mut self,
        commands: impl Iterator<Item = (Command, Option<Responder>)>,
    ) -> Result<(), Fatal> {
        self.waiting.extend(commands);
        while !self.waiting.is_empty() {
            let mut entry = internal_proto::Entry::default();
            let mut waiters = Vec::new();
            let all = self.gather(&mut entry, &mut waiters)?;
            if !entry.commands.is_empty() {
                self.propose_entry(&entry, waiters);
                // Logged before the next is proposed: only then is it known how much room is left.
                self.perform()?;
            }
            if !all || (self.clock)() >= self.pass_ends {
                break;
            }
        }
        Ok(())
    }

    /// Moves waiting commands into an entry until it is full. Whether none of them has to wait for something else.
    fn gather(&mut self, entry: &mut internal_proto::Entry, waiters: &mut Vec<Option<Waiter>>) -> Result<bool, Fatal> {
        let mut bytes = 0;
        while let Some((command, respond)) = self.waiting.pop_front() {
            let full = entry.commands.len() == MAX_ENTRY_COMMANDS;
            if full || (bytes > 0 && bytes + command.weight() > MAX_ENTRY_BYTES) {
                self.waiting.push_front((command, respond));
                break;
            }
            match self.verdict(&command, bytes)? {
                Verdict::Propose => {}
                Verdict::Wait => {
                    self.waiting.push_front((command, respond));
                    return Ok(false);
                }
                Verdict::Refuse(error) => {
                    self.applier.not_proposed(std::slice::from_ref(&command));
                    respond.into_iter().for_each(|respond| respond.send(Err(error)));
                    continue;
                }
            }
            bytes += command.weight();
            let physical = match &command.operation {
                Operation::Compact(compact) if compact.physical => Some(compact.revision),
                _ => None,
            };
            waiters.push(respond.map(|respond| Waiter { respond, physical }));
            entry.commands.push(command);
        }
        Ok(true)
    }

    fn verdict(&mut self, command: &Command, bytes_before: usize) -> Result<Verdict, Fatal> {
        if !self.role.leads {
            return Ok(Verdict::Refuse(not_leader(self.role)));
        }
        if !self.unapplied.is_empty() || self.applier.is_away() {
            return Ok(Verdict::Wait);
        }
        let frees_space =
            matches!(command.operation, Operation::DeleteRange(_) | Operation::Compact(_) | Operation::LeaseRevoke(_));
        if !frees_space && !self.background.has_room() {
            return Ok(Verdict::Refuse(Error::NoSpace));
        }
        Ok(match self.log.room(bytes_before + command.weight(), frees_space)? {
            Room::Yes => Verdict::Propose,
            Room::Later => Verdict::Wait,
            Room::No => Verdict::Refuse(Error::NoSpace),
        })
    }

    fn propose_entry(&mut self, entry: &internal_proto::Entry, waiters: Vec<Option<Waiter>>) {
        self.applier.revoking(&entry.commands);
        match self.core.propose(entry.encode()) {
            Ok((index, term)) => self.applier.proposed(index, term, waiters),
            Err(error) => {
                tracing::debug!(%error, "proposal refused");
                self.applier.not_proposed(&entry.commands);
                let error = if self.role.leads { Error::TooManyRequests } else { not_leader(self.role) };
                for waiter in waiters.into_iter().flatten() {
                    waiter.respond.send(Err(error));
                }
            }
        }
    }

    /// Proposes the end of leases and sessions whose time is over, unless earlier ones still wait, or what would keep
    /// them alive.
    pub(super) fn end_expired(&mut self, now: Instant) -> Result<(), Fatal> {
        if !self.waiting.is_empty() || self.applier.is_away() {
            return Ok(());
        }
        let leases = self.applier.expired(now).into_iter().map(Operation::LeaseRevoke);
        let sessions = self.applier.idle_sessions(now).into_iter().map(Operation::CloseSession);
        let command = |operation| (Command { origin: None, auth: AuthRevision::default(), operation }, None);
        self.propose(leases.chain(sessions).map(command))
    }
}

/// What a member that does not lead answers.
pub(super) fn not_leader(role: Role) -> Error {
    if role.leader.is_some() { Error::NotLeader { hint: role.leader } } else { Error::NoLeader }
}
