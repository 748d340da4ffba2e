//! Requests in wire form: the messages of the log where there is one, so that a field means the same everywhere.

use super::{Malformed, required};
use crate::generated::metastore::command::{self, Nothing};
use crate::generated::metastore::store::{self as wire, request::Request as Wire};
use crate::{CompactRequest, LeaseGrantRequest, LeaseId, LeaseTimeToLiveRequest, Request, Revision};

impl From<&Request> for wire::Request {
    fn from(request: &Request) -> Self {
        let request = match request {
            Request::Range(range) => Wire::Range(range.into()),
            Request::Put(put) => Wire::Put(put.into()),
            Request::DeleteRange(delete) => Wire::DeleteRange(delete.into()),
            Request::Txn(txn) => Wire::Txn(txn.into()),
            Request::Compact(compact) => {
                Wire::Compact(command::Compact { revision: compact.revision.0, physical: compact.physical })
            }
            Request::LeaseGrant(grant) => Wire::LeaseGrant(command::LeaseGrant { id: grant.id.0, ttl: grant.ttl }),
            Request::LeaseRevoke(id) => Wire::LeaseRevoke(id.0),
            Request::LeaseKeepAlive(id) => Wire::LeaseKeepAlive(id.0),
            Request::LeaseTimeToLive(request) => {
                Wire::LeaseTimeToLive(wire::LeaseTimeToLiveRequest { id: request.id.0, keys: request.keys })
            }
            Request::LeaseLeases => Wire::LeaseLeases(Nothing {}),
            Request::Status => Wire::Status(Nothing {}),
            Request::MemberList { serializable } => {
                Wire::MemberList(wire::MemberListRequest { serializable: *serializable })
            }
        };
        Self { request: Some(request) }
    }
}

impl TryFrom<wire::Request> for Request {
    type Error = Malformed;

    fn try_from(request: wire::Request) -> Result<Self, Malformed> {
        Ok(match required(request.request, "a request")? {
            Wire::Range(range) => Self::Range(range.try_into()?),
            Wire::Put(put) => Self::Put(put.into()),
            Wire::DeleteRange(delete) => Self::DeleteRange(delete.try_into()?),
            Wire::Txn(txn) => Self::Txn(txn.try_into()?),
            Wire::Compact(compact) => {
                Self::Compact(CompactRequest { revision: Revision(compact.revision), physical: compact.physical })
            }
            Wire::LeaseGrant(grant) => Self::LeaseGrant(LeaseGrantRequest { id: LeaseId(grant.id), ttl: grant.ttl }),
            Wire::LeaseRevoke(id) => Self::LeaseRevoke(LeaseId(id)),
            Wire::LeaseKeepAlive(id) => Self::LeaseKeepAlive(LeaseId(id)),
            Wire::LeaseTimeToLive(request) => {
                Self::LeaseTimeToLive(LeaseTimeToLiveRequest { id: LeaseId(request.id), keys: request.keys })
            }
            Wire::LeaseLeases(Nothing {}) => Self::LeaseLeases,
            Wire::Status(Nothing {}) => Self::Status,
            Wire::MemberList(list) => Self::MemberList { serializable: list.serializable },
        })
    }
}
