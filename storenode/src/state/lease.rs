//! Leases as replicated: which exist, their seconds to live, their keys. When one expires, the leader decides.

use bytes::Bytes;
use internal_proto::{Error, LeaseCheckpoint, LeaseGrantRequest, LeaseGrantResponse, LeaseId};
use prost::Message;

use super::workspace::Workspace;
use super::{LeaseChange, LeaseRecord};
use crate::engine::SmallKey;

/// A lease on disk.
#[derive(Clone, Copy, PartialEq, Message)]
struct DiskLease {
    #[prost(int64, tag = "1")]
    ttl: i64,
    #[prost(int64, tag = "2")]
    remaining: i64,
}

impl LeaseRecord {
    pub(super) fn encode(self) -> Bytes {
        DiskLease { ttl: self.ttl, remaining: self.remaining }.encode_to_vec().into()
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let lease = DiskLease::decode(bytes).ok()?;
        Some(Self { ttl: lease.ttl, remaining: lease.remaining })
    }
}

impl Workspace<'_> {
    pub(super) fn lease(&self, id: LeaseId) -> Option<LeaseRecord> {
        let record = self.small(&SmallKey::Lease(id))?;
        Some(LeaseRecord::decode(&record).expect("lease records were checked when the state opened"))
    }

    pub(super) fn grant(&mut self, grant: &LeaseGrantRequest) -> Result<LeaseGrantResponse, Error> {
        if self.lease(grant.id).is_some() {
            return Err(Error::LeaseExists);
        }
        let record = LeaseRecord { ttl: grant.ttl, remaining: 0 };
        self.set_small(SmallKey::Lease(grant.id), Some(record.encode()));
        self.leases.push(LeaseChange::Granted { id: grant.id, ttl: grant.ttl });
        Ok(LeaseGrantResponse { id: grant.id, ttl: grant.ttl })
    }

    /// Ends a lease and deletes its keys, in key order.
    pub(super) fn revoke(&mut self, id: LeaseId) -> Result<(), Error> {
        if self.lease(id).is_none() {
            return Err(Error::LeaseNotFound);
        }
        for key in self.lease_keys(id) {
            let version = self.keys().get(&key).expect("a key in a lease's list is live");
            self.delete(version);
        }
        self.set_small(SmallKey::Lease(id), None);
        self.leases.push(LeaseChange::Revoked { id });
        Ok(())
    }

    /// Remembers how long leases had left; one that is gone meanwhile is passed over.
    pub(super) fn checkpoint(&mut self, checkpoints: &[LeaseCheckpoint]) {
        for &LeaseCheckpoint { id, remaining_ttl: remaining } in checkpoints {
            if let Some(record) = self.lease(id) {
                self.set_small(SmallKey::Lease(id), Some(LeaseRecord { remaining, ..record }.encode()));
                self.leases.push(LeaseChange::Checkpointed { id, remaining });
            }
        }
    }

    fn lease_keys(&self, id: LeaseId) -> Vec<Bytes> {
        let first = SmallKey::LeaseKey(id, Bytes::new());
        let keys = self.small_keys(&first, |key| matches!(key, SmallKey::LeaseKey(of, _) if *of == id));
        keys.into_iter().filter_map(attached_key).collect()
    }
}

/// The key in a `LeaseKey`.
pub(super) fn attached_key(key: SmallKey) -> Option<Bytes> {
    if let SmallKey::LeaseKey(_, key) = key { Some(key) } else { None }
}
