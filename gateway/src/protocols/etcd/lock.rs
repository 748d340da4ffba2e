//! etcd's Lock service.

use proto::v3lockpb as wire;

use super::later::later;

const LOCKS: &str = "etcdserver: locks are not available in this version";

/// Refuses every RPC.
pub(super) struct Lock;

#[tonic::async_trait]
impl wire::lock_server::Lock for Lock {
    later! { LOCKS;
        lock(wire::LockRequest) -> wire::LockResponse;
        unlock(wire::UnlockRequest) -> wire::UnlockResponse;
    }
}
