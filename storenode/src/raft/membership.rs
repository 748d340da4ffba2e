//! Committed membership changes, and the members' form on disk.

use bytes::Bytes;
use internal_proto::MemberId;
use protobuf::Message;
use raft::eraftpb::{ConfChange, ConfChangeV2, ConfState, Entry, EntryType};
use raft_proto::ConfChangeI;

use super::core::Core;
use super::fatal::Fatal;
use crate::state;

/// Applies a committed change to raft; the state then records who the members are.
pub(crate) fn change(core: &mut Core, entry: &Entry) -> Result<state::Input, Fatal> {
    let change = match entry.get_entry_type() {
        EntryType::EntryConfChange => parse::<ConfChange>(&entry.data)?.into_v2(),
        _ => parse::<ConfChangeV2>(&entry.data)?,
    };
    let members = core.change_members(&change).map_err(|error| Fatal::Membership(error.to_string()))?;
    Ok(state::Input::ConfState(encode(&members)))
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
