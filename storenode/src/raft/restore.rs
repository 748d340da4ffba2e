//! Snapshots as raft sees them: a member that lacks what it should have asks for one, and begins anew after it.
//!
//! ```text
//!  no log yet, or the leader counts on entries that are gone ─► asks the leader, and takes part in nothing else
//!                                                               └─► MsgSnapshot ─► the log begins after it
//! ```
//!
//! Invariant: a member without a log (one that joins, also with a disk that was emptied) grants no vote, confirms no
//! leader and acknowledges no entry before a snapshot is installed: what it once promised is in there, as the leader
//! that took it was confirmed without this member's help.

use internal_proto::{LogIndex, MemberId, Term};
use raft::Ready;
use raft::eraftpb::{Message, MessageType, Snapshot};

use super::core::{Core, Output};
use super::membership;
use crate::log::Start;

impl Core {
    /// Whether this member joins and has nothing yet.
    pub(crate) fn is_blank(&self) -> bool {
        self.node.raft.raft_log.last_index() == 0
    }

    /// How far a follower's log is known to be this leader's.
    pub(crate) fn matched(&self, follower: MemberId) -> Option<LogIndex> {
        self.node.raft.prs().get(follower.0).map(|progress| LogIndex(progress.matched))
    }

    /// The message that hands an installed snapshot to raft, as if its leader had sent it just now.
    pub(crate) fn snapshot_message(&self, leader: MemberId, term: Term, start: &Start) -> Option<Message> {
        let mut snapshot = Snapshot::default();
        let metadata = snapshot.mut_metadata();
        (metadata.index, metadata.term) = (start.index.0, start.term.0);
        metadata.set_conf_state(membership::decode(&start.conf_state).ok()?);
        let mut message = Message { from: leader.0, to: self.node.raft.id, term: term.0, ..Message::default() };
        message.set_msg_type(MessageType::MsgSnapshot);
        message.set_snapshot(snapshot);
        Some(message)
    }

    /// Whether a message cannot be taken in: this member is blank, or a leader takes for granted what it does not have.
    pub(super) fn lacks_what_is_known(&self, message: &Message) -> bool {
        let raft = &self.node.raft;
        match message.get_msg_type() {
            MessageType::MsgSnapshot => false,
            _ if self.is_blank() => true,
            // Raft sends this only as far as the follower is known to have the entries durably.
            MessageType::MsgHeartbeat if message.term >= raft.term => message.commit > raft.raft_log.last_index(),
            _ => false,
        }
    }

    /// Whether raft has taken a snapshot that is not applied yet: meanwhile raft-rs cannot stand for election, as it
    /// looks for membership changes among entries that are gone.
    pub(super) fn is_restoring(&self) -> bool {
        self.node.store().is_ahead_of(LogIndex(self.node.raft.raft_log.applied))
    }

    /// Asks the leader that is heard from. Anybody else gets no answer.
    pub(super) fn ask_for_snapshot(&self, message: &Message, outputs: &mut Vec<Output>) {
        /// Above every index that the leader may know of this member: it takes the answer for a new one.
        const ABOVE_ALL: u64 = u64::MAX;
        if matches!(message.get_msg_type(), MessageType::MsgHeartbeat | MessageType::MsgAppend) {
            let mut answer = Message { to: message.from, from: self.node.raft.id, ..Message::default() };
            answer.set_msg_type(MessageType::MsgAppendResponse);
            (answer.term, answer.reject) = (message.term, true);
            (answer.index, answer.request_snapshot) = (ABOVE_ALL, 1);
            outputs.push(Output::Send(vec![answer]));
        }
    }

    /// What the log begins with if raft has taken a snapshot over.
    pub(super) fn take_start(&mut self, ready: &Ready) -> Option<Start> {
        let metadata = ready.snapshot().get_metadata();
        (metadata.index > 0).then(|| {
            self.node.mut_store().restore(metadata);
            let conf_state = membership::encode(metadata.get_conf_state());
            Start { index: LogIndex(metadata.index), term: Term(metadata.term), conf_state }
        })
    }
}
