//! Which path stands for which method. RangeStream and the health service have none.

use axum::http::Uri;
use prost_reflect::MethodDescriptor;

/// A path's method.
pub(super) struct Route {
    /// What the method takes and gives.
    pub(super) method: MethodDescriptor,
}

impl Route {
    /// The route of a path, percent-encoded or not, under its current or its old prefix.
    pub(super) fn find(path: &str) -> Option<Self> {
        let path = percent_encoding::percent_decode_str(path).decode_utf8().ok()?;
        let path = path.strip_prefix("/v3/").or_else(|| path.strip_prefix("/v3beta/"))?;
        let (_, service, method) = ROUTES.iter().find(|(route, ..)| *route == path)?;
        let service = proto::descriptors().get_service_by_name(service)?;
        let method = service.methods().find(|candidate| candidate.name() == *method)?;
        Some(Self { method })
    }

    /// The method's path in gRPC.
    pub(super) fn grpc_path(&self) -> Uri {
        let path = format!("/{}/{}", self.method.parent_service().full_name(), self.method.name());
        path.parse().unwrap_or_default()
    }
}

const KV: &str = "etcdserverpb.KV";
const WATCH: &str = "etcdserverpb.Watch";
const LEASE: &str = "etcdserverpb.Lease";
const CLUSTER: &str = "etcdserverpb.Cluster";
const MAINTENANCE: &str = "etcdserverpb.Maintenance";
const AUTH: &str = "etcdserverpb.Auth";
const LOCK: &str = "v3lockpb.Lock";
const ELECTION: &str = "v3electionpb.Election";

/// Path below /v3/, service, method.
const ROUTES: [(&str, &str, &str); 51] = [
    ("kv/range", KV, "Range"),
    ("kv/put", KV, "Put"),
    ("kv/deleterange", KV, "DeleteRange"),
    ("kv/txn", KV, "Txn"),
    ("kv/compaction", KV, "Compact"),
    ("watch", WATCH, "Watch"),
    ("lease/grant", LEASE, "LeaseGrant"),
    ("lease/revoke", LEASE, "LeaseRevoke"),
    ("kv/lease/revoke", LEASE, "LeaseRevoke"),
    ("lease/keepalive", LEASE, "LeaseKeepAlive"),
    ("lease/timetolive", LEASE, "LeaseTimeToLive"),
    ("kv/lease/timetolive", LEASE, "LeaseTimeToLive"),
    ("lease/leases", LEASE, "LeaseLeases"),
    ("kv/lease/leases", LEASE, "LeaseLeases"),
    ("cluster/member/add", CLUSTER, "MemberAdd"),
    ("cluster/member/remove", CLUSTER, "MemberRemove"),
    ("cluster/member/update", CLUSTER, "MemberUpdate"),
    ("cluster/member/list", CLUSTER, "MemberList"),
    ("cluster/member/promote", CLUSTER, "MemberPromote"),
    ("maintenance/alarm", MAINTENANCE, "Alarm"),
    ("maintenance/status", MAINTENANCE, "Status"),
    ("maintenance/defragment", MAINTENANCE, "Defragment"),
    ("maintenance/hash", MAINTENANCE, "Hash"),
    ("maintenance/hashkv", MAINTENANCE, "HashKV"),
    ("maintenance/snapshot", MAINTENANCE, "Snapshot"),
    ("maintenance/transfer-leadership", MAINTENANCE, "MoveLeader"),
    ("maintenance/downgrade", MAINTENANCE, "Downgrade"),
    ("auth/enable", AUTH, "AuthEnable"),
    ("auth/disable", AUTH, "AuthDisable"),
    ("auth/status", AUTH, "AuthStatus"),
    ("auth/authenticate", AUTH, "Authenticate"),
    ("auth/user/add", AUTH, "UserAdd"),
    ("auth/user/get", AUTH, "UserGet"),
    ("auth/user/list", AUTH, "UserList"),
    ("auth/user/delete", AUTH, "UserDelete"),
    ("auth/user/changepw", AUTH, "UserChangePassword"),
    ("auth/user/grant", AUTH, "UserGrantRole"),
    ("auth/user/revoke", AUTH, "UserRevokeRole"),
    ("auth/role/add", AUTH, "RoleAdd"),
    ("auth/role/get", AUTH, "RoleGet"),
    ("auth/role/list", AUTH, "RoleList"),
    ("auth/role/delete", AUTH, "RoleDelete"),
    ("auth/role/grant", AUTH, "RoleGrantPermission"),
    ("auth/role/revoke", AUTH, "RoleRevokePermission"),
    ("lock/lock", LOCK, "Lock"),
    ("lock/unlock", LOCK, "Unlock"),
    ("election/campaign", ELECTION, "Campaign"),
    ("election/proclaim", ELECTION, "Proclaim"),
    ("election/leader", ELECTION, "Leader"),
    ("election/observe", ELECTION, "Observe"),
    ("election/resign", ELECTION, "Resign"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percent_encoded_path_has_the_route_of_the_plain_one() {
        let route = |path| Route::find(path).map(|route| route.grpc_path().to_string());
        assert_eq!(route("/v3/kv/rang%65"), route("/v3/kv/range"));
        assert_eq!(route("/v3/kv/range%2f"), None);
        assert_eq!(route("/v3/kv/%ff"), None);
    }

    #[test]
    fn every_route_has_a_method_and_every_method_of_etcd_a_route() {
        for (path, service, method) in ROUTES {
            let route = Route::find(&format!("/v3/{path}")).map(|route| route.grpc_path().to_string());
            assert_eq!(route, Some(format!("/{service}/{method}")));
        }
        let pool = proto::descriptors();
        let missing: Vec<_> = pool
            .services()
            .flat_map(|service| service.methods().collect::<Vec<_>>())
            .filter(|method| !ROUTES.iter().any(|(_, _, name)| *name == method.name()))
            .map(|method| method.name().to_owned())
            .collect();
        assert_eq!(missing, ["Check", "List", "RangeStream"]);
    }
}
