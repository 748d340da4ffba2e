//! A store of one version per key and a lease that never ends.

use std::collections::BTreeMap;
use std::future::{Ready, ready};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use gateway::call::Call;
use internal_proto::{
    Answer, DeleteRangeResponse, Error, KeyRange, KeyValue, KeyValueFields, LeaseGrantResponse, LeaseId,
    LeaseTimeToLiveResponse, Member, MemberId, PutLease, PutRequest, PutResponse, PutValue, RangeRequest,
    RangeResponse, Request, Response, Revision, Stamp, StatusResponse, Term, TxnOperation, TxnOperationResponse,
    TxnRequest, TxnResponse,
};

/// The lease that exists.
pub(crate) const LEASE: LeaseId = LeaseId(7);

#[derive(Clone, Default)]
pub(crate) struct Store(Arc<Mutex<Content>>);

#[derive(Default)]
struct Content {
    keys: BTreeMap<Vec<u8>, KeyValue>,
    changes: i64,
}

impl tower::Service<Call> for Store {
    type Response = Answer;
    type Error = Error;
    type Future = Ready<Result<Answer, Error>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let mut content = self.0.lock().unwrap();
        let response = content.answer(call.request);
        let stamp = Stamp { member: MemberId(2), revision: content.revision(), term: Term(3), ..Stamp::default() };
        ready(response.map(|response| Answer { response, stamp }))
    }
}

impl Content {
    fn revision(&self) -> Revision {
        Revision(1 + self.changes)
    }

    fn answer(&mut self, request: Request) -> Result<Response, Error> {
        Ok(match request {
            Request::Range(range) => Response::Range(self.range(&range)?),
            Request::Put(put) => Response::Put(self.put(&put)?),
            Request::DeleteRange(delete) => Response::DeleteRange(self.delete(&delete.range, delete.prev_kv)),
            Request::Txn(txn) => Response::Txn(self.txn(txn)?),
            Request::Compact(compact) if compact.revision > self.revision() => return Err(Error::FutureRevision),
            Request::Compact(_) => Response::Compact,
            Request::LeaseGrant(grant) if grant.ttl > 9_000_000_000 => return Err(Error::LeaseTtlTooLarge),
            Request::LeaseGrant(grant) => Response::LeaseGrant(LeaseGrantResponse { id: LEASE, ttl: grant.ttl.max(2) }),
            Request::LeaseRevoke(LEASE) => Response::LeaseRevoke,
            Request::LeaseRevoke(_) => return Err(Error::LeaseNotFound),
            Request::LeaseKeepAlive(id) => Response::LeaseKeepAlive { ttl: if id == LEASE { 60 } else { 0 } },
            Request::LeaseTimeToLive(asked) => Response::LeaseTimeToLive(LeaseTimeToLiveResponse {
                id: asked.id,
                ttl: if asked.id == LEASE { 59 } else { -1 },
                granted_ttl: if asked.id == LEASE { 60 } else { 0 },
                keys: Vec::new(),
            }),
            Request::LeaseLeases => Response::LeaseLeases(vec![LEASE]),
            Request::Status => Response::Status(StatusResponse {
                leader: Some(MemberId(2)),
                db_size: 4096,
                ..StatusResponse::default()
            }),
            Request::MemberList { .. } => Response::MemberList(vec![Member {
                id: MemberId(2),
                name: "default".to_owned(),
                peer_urls: vec!["http://127.0.0.1:2380".to_owned()],
                client_urls: vec!["http://127.0.0.1:2379".to_owned()],
                ..Member::default()
            }]),
        })
    }

    fn range(&self, asked: &RangeRequest) -> Result<RangeResponse, Error> {
        if asked.revision.is_some_and(|revision| revision > self.revision()) {
            return Err(Error::FutureRevision);
        }
        let all = self.keys.iter().filter(|(key, _)| asked.range.contains(key)).map(|(_, kv)| kv.clone());
        let mut kvs: Vec<_> = all.collect();
        let count = kvs.len() as u64;
        let limit = if asked.limit == 0 { usize::MAX } else { usize::try_from(asked.limit).unwrap() };
        let more = kvs.len() > limit;
        kvs.truncate(if asked.count_only { 0 } else { limit });
        if asked.keys_only {
            kvs = kvs.iter().map(KeyValue::without_value).collect();
        }
        Ok(RangeResponse { revision: self.revision(), kvs, more, count })
    }

    fn put(&mut self, put: &PutRequest) -> Result<PutResponse, Error> {
        let before = self.keys.get(&put.key[..]).cloned();
        let fields = before.as_ref().map(KeyValue::fields);
        let (value, lease) = match (&put.value, put.lease, &fields) {
            (PutValue::Keep, _, None) | (_, PutLease::Keep, None) => return Err(Error::KeyNotFound),
            (value, lease, fields) => (
                if let PutValue::Set(value) = value {
                    value.clone()
                } else {
                    Bytes::copy_from_slice(fields.as_ref().map_or(&[][..], |fields| fields.value))
                },
                if let PutLease::Set(lease) = lease { lease } else { fields.map_or(LeaseId(0), |fields| fields.lease) },
            ),
        };
        if ![LeaseId(0), LEASE].contains(&lease) {
            return Err(Error::LeaseNotFound);
        }
        self.changes += 1;
        let revision = self.revision();
        let kv = KeyValue::new(&KeyValueFields {
            key: &put.key,
            create_revision: fields.map_or(revision, |fields| fields.create_revision),
            mod_revision: revision,
            version: fields.map_or(1, |fields| fields.version + 1),
            value: &value,
            lease,
        });
        self.keys.insert(put.key.to_vec(), kv);
        Ok(PutResponse { revision, prev_kv: before.filter(|_| put.prev_kv) })
    }

    fn delete(&mut self, range: &KeyRange, prev_kv: bool) -> DeleteRangeResponse {
        let deleted: Vec<_> = self.take(range);
        self.changes += i64::from(!deleted.is_empty());
        DeleteRangeResponse {
            revision: self.revision(),
            deleted: deleted.len() as u64,
            prev_kvs: if prev_kv { deleted } else { Vec::new() },
        }
    }

    fn take(&mut self, range: &KeyRange) -> Vec<KeyValue> {
        let keys: Vec<_> = self.keys.keys().filter(|key| range.contains(key)).cloned().collect();
        keys.iter().filter_map(|key| self.keys.remove(key)).collect()
    }

    /// Every comparison holds.
    fn txn(&mut self, txn: TxnRequest) -> Result<TxnResponse, Error> {
        let mut responses = Vec::new();
        for operation in txn.success {
            responses.push(match operation {
                TxnOperation::Range(range) => TxnOperationResponse::Range(self.range(&range)?),
                TxnOperation::Put(put) => TxnOperationResponse::Put(self.put(&put)?),
                TxnOperation::DeleteRange(delete) => {
                    TxnOperationResponse::DeleteRange(self.delete(&delete.range, delete.prev_kv))
                }
                TxnOperation::Txn(txn) => TxnOperationResponse::Txn(self.txn(txn)?),
            });
        }
        Ok(TxnResponse { revision: self.revision(), succeeded: true, responses })
    }
}
