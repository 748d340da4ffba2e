//! Committed membership changes, and the members' form on disk.

use bytes::Bytes;
use internal_proto::MemberId;
use protobuf::Message;
use raft::eraftpb::{ConfChange, ConfChangeV2, ConfState, Entry, EntryType};
use raft::storage::MemStorage;
use raft::{Config, RawNode};
use raft_proto::ConfChangeI;

use super::core::Core;
use super::fatal::Fatal;
use crate::state;

/// Applies a committed change to raft; the state then records who the members are.
pub(crate) fn change(core: &mut Core, entry: &Entry) -> Result<state::Input, Fatal> {
    let members = core.change_members(&read(entry)?).map_err(|error| Fatal::Membership(error.to_string()))?;
    Ok(state::Input::ConfState(encode(&members)))
}

/// Applies a committed change to members before raft runs: what it decides depends on nothing else.
pub(crate) fn replay(members: ConfState, entry: &Entry) -> Result<ConfState, Fatal> {
    /// Whoever asks: a node that only computes is nobody.
    const NOBODY: u64 = u64::MAX;
    let storage = MemStorage::new_with_conf_state(members);
    let config = Config { id: NOBODY, ..Config::default() };
    let discard = slog::Logger::root(slog::Discard, slog::o!());
    let change = read(entry)?;
    let members = RawNode::new(&config, storage, &discard).and_then(|mut node| node.apply_conf_change(&change));
    members.map_err(|error| Fatal::Membership(error.to_string()))
}

fn read(entry: &Entry) -> Result<ConfChangeV2, Fatal> {
    match entry.get_entry_type() {
        EntryType::EntryConfChange => Ok(parse::<ConfChange>(&entry.data)?.into_v2()),
        _ => parse(&entry.data),
    }
}

/// The members of a new cluster, all voters.
pub(crate) fn first(members: impl IntoIterator<Item = MemberId>) -> ConfState {
    let voters: Vec<u64> = members.into_iter().map(|id| id.0).collect();
    ConfState::from((voters, Vec::new()))
}

/// The record that the state and the log keep.
pub(crate) fn encode(members: &ConfState) -> Bytes {
    members.write_to_bytes().expect("a message without required fields always encodes").into()
}

/// Reads the record back.
pub(crate) fn decode(bytes: &[u8]) -> Result<ConfState, Fatal> {
    parse(bytes)
}

fn parse<M: Message>(bytes: &[u8]) -> Result<M, Fatal> {
    M::parse_from_bytes(bytes).map_err(|error| Fatal::Membership(error.to_string()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use raft::eraftpb::{ConfChangeSingle, ConfChangeTransition, ConfChangeType};

    use super::*;

    fn entry(changes: &[(ConfChangeType, u64)], transition: ConfChangeTransition) -> Entry {
        let single = |&(kind, node_id): &(ConfChangeType, u64)| {
            let mut change = ConfChangeSingle { node_id, ..ConfChangeSingle::default() };
            change.set_change_type(kind);
            change
        };
        let mut change = ConfChangeV2::default();
        change.set_transition(transition);
        change.set_changes(changes.iter().map(single).collect::<Vec<_>>().into());
        let mut entry = Entry { data: change.write_to_bytes().unwrap().into(), ..Entry::default() };
        entry.set_entry_type(EntryType::EntryConfChangeV2);
        entry
    }

    #[test]
    fn changes_replayed_one_after_the_other_lead_to_the_members_raft_would_have() {
        let auto = ConfChangeTransition::Auto;
        let members = first([MemberId(1), MemberId(2), MemberId(3)]);
        let members = replay(members, &entry(&[(ConfChangeType::AddLearnerNode, 4)], auto)).unwrap();
        assert_eq!((&members.voters[..], &members.learners[..]), (&[1, 2, 3][..], &[4][..]));
        let both = [(ConfChangeType::AddNode, 4), (ConfChangeType::RemoveNode, 1)];
        let members = replay(members, &entry(&both, ConfChangeTransition::Explicit)).unwrap();
        let mut joint = (members.voters.clone(), members.voters_outgoing.clone());
        joint.0.sort_unstable();
        joint.1.sort_unstable();
        assert_eq!(joint, (vec![2, 3, 4], vec![1, 2, 3]));
        let mut members = replay(members, &entry(&[], auto)).unwrap();
        members.voters.sort_unstable();
        assert_eq!((&members.voters[..], &members.voters_outgoing[..]), (&[2, 3, 4][..], &[][..]));
    }

    #[test]
    fn a_change_that_does_not_fit_is_refused() {
        let last = entry(&[(ConfChangeType::RemoveNode, 1)], ConfChangeTransition::Auto);
        assert!(replay(first([MemberId(1)]), &last).is_err());
    }
}
