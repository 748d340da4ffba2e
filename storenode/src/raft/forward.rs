//! What a member has logged although it does not lead: only its own record, and nobody waits for an answer.
//!
//! Invariant: what a peer forwards passes the leader's own checks, as every other command does.

use internal_proto::{AuthRevision, Command, Entry, Operation, Responder, Write};
use raft::eraftpb::Message;

use super::core::Input;
use super::fatal::Fatal;
use super::inbox::Notice;
use super::member::Member;

/// A command that no client sent.
pub(crate) const fn own(operation: Operation) -> Command {
    Command { origin: None, auth: AuthRevision(0), operation }
}

/// The commands that a peer asks the leader to log.
pub(super) fn forwarded(message: &Message) -> Vec<Write> {
    let mut writes = Vec::new();
    for entry in &message.entries {
        match Entry::decode(entry.data.clone()) {
            Ok(entry) => writes.extend(entry.commands.into_iter().map(unanswered)),
            Err(error) => tracing::warn!(from = message.from, %error, "what a peer forwarded cannot be read"),
        }
    }
    writes
}

fn unanswered(command: Command) -> Write {
    Write { command, respond: Responder::new().0 }
}

impl Member {
    /// Takes in what this node's surroundings tell or ask.
    pub(super) fn on_notice(&mut self, notice: Notice) -> Result<(), Fatal> {
        match notice {
            Notice::Unreachable(peer) => {
                self.snapshots.lost(peer);
                self.step(Input::Unreachable(peer))
            }
            Notice::Gone(peer) => self.peer_gone(peer),
            Notice::HandOver(done) => {
                self.hand_over(done);
                Ok(())
            }
            Notice::Forward(command) => self.forward(command),
        }
    }

    fn forward(&mut self, command: Command) -> Result<(), Fatal> {
        if self.role.leads {
            return self.propose(std::iter::once((command, None)));
        }
        // Without a leader the proposal is dropped; whoever wants it logged asks again.
        if self.core.propose(Entry { commands: vec![command] }.encode()).is_err() {
            return Ok(());
        }
        self.perform()
    }
}
