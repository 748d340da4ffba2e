//! Raft's messages as they travel: our own form, so that raft's never decides what two versions understand.
//!
//! Invariant: what outlives the call is copied out of the receive buffer, which a slice would keep alive as a whole.

use bytes::Bytes;
use internal_proto::peer::{self, entry, message::Kind};
use internal_proto::{LogIndex, MemberId, Term};
use raft::eraftpb::{Entry, EntryType, Message, MessageType};

use super::{Content, PeerMessage};
use crate::raft::snapshot::{Piece, Progress, SnapshotId, Step, Transfer};

/// What shares a connection: nothing small and urgent waits behind a batch of entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Lane {
    /// Votes, heartbeats and their answers.
    Control,
    /// Entries and what acknowledges them.
    Append,
    /// Snapshots.
    Snapshot,
}

impl Lane {
    /// All lanes.
    pub(crate) const ALL: [Self; 3] = [Self::Control, Self::Append, Self::Snapshot];

    /// The lane of a message; `None` for kinds that do not travel.
    pub(super) fn of(content: &Content) -> Option<Self> {
        let message = match content {
            Content::Raft(message) => message,
            Content::Snapshot(_) => return Some(Self::Snapshot),
        };
        match kind(message.get_msg_type())? {
            Kind::Append | Kind::AppendResponse => Some(Self::Append),
            _ => Some(Self::Control),
        }
    }
}

/// Both directions of the one table between raft's kinds and ours.
const KINDS: [(MessageType, Kind); 11] = [
    (MessageType::MsgPropose, Kind::Propose),
    (MessageType::MsgAppend, Kind::Append),
    (MessageType::MsgAppendResponse, Kind::AppendResponse),
    (MessageType::MsgRequestVote, Kind::Vote),
    (MessageType::MsgRequestVoteResponse, Kind::VoteResponse),
    (MessageType::MsgRequestPreVote, Kind::PreVote),
    (MessageType::MsgRequestPreVoteResponse, Kind::PreVoteResponse),
    (MessageType::MsgHeartbeat, Kind::Heartbeat),
    (MessageType::MsgHeartbeatResponse, Kind::HeartbeatResponse),
    (MessageType::MsgTransferLeader, Kind::TransferLeader),
    (MessageType::MsgTimeoutNow, Kind::TimeoutNow),
];

fn kind(message: MessageType) -> Option<Kind> {
    KINDS.iter().find(|(raft, _)| *raft == message).map(|(_, own)| *own)
}

/// A message that has a lane, ready to travel.
pub(super) fn encode(content: Content) -> peer::Message {
    match content {
        Content::Raft(message) => encode_raft(message),
        Content::Snapshot(transfer) => encode_transfer(transfer),
    }
}

fn encode_transfer(transfer: Transfer) -> peer::Message {
    let SnapshotId { term, sequence } = transfer.snapshot;
    let message = peer::Message { term: term.0, ..peer::Message::default() };
    match transfer.step {
        Step::Piece(Piece { index, offset, data, last, whole }) => peer::Message {
            kind: Kind::SnapshotPiece.into(),
            piece: Some(peer::Piece { sequence, index: index.0, offset, data, last, whole }),
            ..message
        },
        Step::Progress(Progress { wanted, installed }) => peer::Message {
            kind: Kind::SnapshotProgress.into(),
            progress: Some(peer::Progress { sequence, wanted, installed }),
            ..message
        },
    }
}

fn encode_raft(mut message: Message) -> peer::Message {
    let entry = |entry: Entry| peer::Entry {
        kind: match entry.get_entry_type() {
            EntryType::EntryNormal => entry::Kind::Commands,
            EntryType::EntryConfChange => entry::Kind::MembershipV1,
            EntryType::EntryConfChangeV2 => entry::Kind::Membership,
        }
        .into(),
        term: entry.term,
        index: entry.index,
        data: entry.data,
        context: entry.context,
    };
    peer::Message {
        kind: kind(message.get_msg_type()).unwrap_or_default().into(),
        term: message.term,
        log_term: message.log_term,
        index: message.index,
        commit: message.commit,
        commit_term: message.commit_term,
        reject: message.reject,
        reject_hint: message.reject_hint,
        request_snapshot: message.request_snapshot,
        priority: message.priority,
        context: std::mem::take(&mut message.context),
        entries: message.take_entries().into_iter().map(entry).collect(),
        piece: None,
        progress: None,
    }
}

/// What a peer has sent; `None` for a kind that this version does not know.
pub(crate) fn decode(message: &peer::Message, from: MemberId, to: MemberId) -> Option<PeerMessage> {
    let content = match Kind::try_from(message.kind).ok()? {
        Kind::SnapshotPiece | Kind::SnapshotProgress => Content::Snapshot(decode_transfer(message, from, to)?),
        _ => Content::Raft(decode_raft(message, from, to)?),
    };
    Some(PeerMessage(content))
}

fn decode_transfer(message: &peer::Message, from: MemberId, to: MemberId) -> Option<Transfer> {
    let (sequence, step) = match (&message.piece, &message.progress) {
        (Some(piece), None) => {
            let &peer::Piece { sequence, index, offset, last, whole, .. } = piece;
            let data = Bytes::copy_from_slice(&piece.data);
            (sequence, Step::Piece(Piece { index: LogIndex(index), offset, data, last, whole }))
        }
        (None, Some(peer::Progress { sequence, wanted, installed })) => {
            let (sequence, wanted, installed) = (*sequence, *wanted, *installed);
            (sequence, Step::Progress(Progress { wanted, installed }))
        }
        _ => return None,
    };
    Some(Transfer { from, to, snapshot: SnapshotId { term: Term(message.term), sequence }, step })
}

fn decode_raft(message: &peer::Message, from: MemberId, to: MemberId) -> Option<Message> {
    let (msg_type, _) = KINDS.into_iter().find(|(_, own)| i32::from(*own) == message.kind)?;
    let entries = message.entries.iter().map(decode_entry).collect::<Option<Vec<_>>>()?;
    let mut decoded = Message::default();
    decoded.set_msg_type(msg_type);
    (decoded.from, decoded.to) = (from.0, to.0);
    (decoded.term, decoded.log_term, decoded.index) = (message.term, message.log_term, message.index);
    (decoded.commit, decoded.commit_term) = (message.commit, message.commit_term);
    (decoded.reject, decoded.reject_hint) = (message.reject, message.reject_hint);
    (decoded.request_snapshot, decoded.priority) = (message.request_snapshot, message.priority);
    decoded.context = Bytes::copy_from_slice(&message.context);
    decoded.entries = entries.into();
    Some(decoded)
}

fn decode_entry(entry: &peer::Entry) -> Option<Entry> {
    let kind = match entry::Kind::try_from(entry.kind).ok()? {
        entry::Kind::Commands => EntryType::EntryNormal,
        entry::Kind::MembershipV1 => EntryType::EntryConfChange,
        entry::Kind::Membership => EntryType::EntryConfChangeV2,
    };
    let mut decoded = Entry::default();
    decoded.set_entry_type(kind);
    (decoded.term, decoded.index) = (entry.term, entry.index);
    decoded.data = Bytes::copy_from_slice(&entry.data);
    decoded.context = Bytes::copy_from_slice(&entry.context);
    Some(decoded)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use prost::Message as _;

    use super::*;

    fn message(kind: MessageType) -> Message {
        let mut entry = Entry { term: 1, index: 2, data: "data".into(), context: "c".into(), ..Entry::default() };
        entry.set_entry_type(EntryType::EntryConfChangeV2);
        let mut message = Message { from: 10, to: 11, term: 12, log_term: 13, index: 14, ..Message::default() };
        message.set_msg_type(kind);
        (message.commit, message.commit_term, message.reject, message.reject_hint) = (15, 16, true, 17);
        (message.request_snapshot, message.priority, message.context) = (18, -19, "context".into());
        message.entries = vec![entry].into();
        message
    }

    #[test]
    fn every_field_travels() {
        for (kind, _) in KINDS {
            let sent = message(kind);
            assert_travels(&Content::Raft(sent));
        }
        let snapshot = SnapshotId { term: Term(3), sequence: 4 };
        let piece = Piece { index: LogIndex(5), offset: 6, data: "data".into(), last: true, whole: true };
        for step in [Step::Piece(piece), Step::Progress(Progress { wanted: 7, installed: true })] {
            assert_travels(&Content::Snapshot(Transfer { from: MemberId(10), to: MemberId(11), snapshot, step }));
        }
    }

    fn assert_travels(sent: &Content) {
        let bytes = encode(sent.clone()).encode_to_vec();
        let arrived = peer::Message::decode(&*bytes).unwrap();
        assert_eq!(decode(&arrived, MemberId(10), MemberId(11)).unwrap().0, *sent);
    }

    #[test]
    fn kinds_that_stay_at_home_do_not_travel() {
        for kind in [MessageType::MsgHup, MessageType::MsgReadIndex, MessageType::MsgSnapshot] {
            assert_eq!(Lane::of(&Content::Raft(message(kind))), None);
        }
        let unknown = peer::Message { kind: 99, ..peer::Message::default() };
        assert!(decode(&unknown, MemberId(1), MemberId(2)).is_none());
    }

    #[test]
    fn entries_leave_the_receive_buffer() {
        let buffer = Bytes::from(vec![7; 1 << 16]);
        let entry = peer::Entry { data: buffer.slice(10..20), ..peer::Entry::default() };
        let kept = decode_entry(&entry).unwrap();
        drop(entry);
        assert!(buffer.is_unique(), "the entry keeps the whole buffer alive");
        assert_eq!(kept.data, [7; 10].as_slice());
    }
}
