//! etcd's Auth service.

use proto::etcdserverpb as wire;

use super::later::later;

const AUTHENTICATION: &str = "etcdserver: authentication is not available in this version";

/// Refuses every RPC: there are no users yet.
pub(super) struct Auth;

#[tonic::async_trait]
impl wire::auth_server::Auth for Auth {
    later! { AUTHENTICATION;
        auth_enable(wire::AuthEnableRequest) -> wire::AuthEnableResponse;
        auth_disable(wire::AuthDisableRequest) -> wire::AuthDisableResponse;
        auth_status(wire::AuthStatusRequest) -> wire::AuthStatusResponse;
        authenticate(wire::AuthenticateRequest) -> wire::AuthenticateResponse;
        user_add(wire::AuthUserAddRequest) -> wire::AuthUserAddResponse;
        user_get(wire::AuthUserGetRequest) -> wire::AuthUserGetResponse;
        user_list(wire::AuthUserListRequest) -> wire::AuthUserListResponse;
        user_delete(wire::AuthUserDeleteRequest) -> wire::AuthUserDeleteResponse;
        user_change_password(wire::AuthUserChangePasswordRequest) -> wire::AuthUserChangePasswordResponse;
        user_grant_role(wire::AuthUserGrantRoleRequest) -> wire::AuthUserGrantRoleResponse;
        user_revoke_role(wire::AuthUserRevokeRoleRequest) -> wire::AuthUserRevokeRoleResponse;
        role_add(wire::AuthRoleAddRequest) -> wire::AuthRoleAddResponse;
        role_get(wire::AuthRoleGetRequest) -> wire::AuthRoleGetResponse;
        role_list(wire::AuthRoleListRequest) -> wire::AuthRoleListResponse;
        role_delete(wire::AuthRoleDeleteRequest) -> wire::AuthRoleDeleteResponse;
        role_grant_permission(wire::AuthRoleGrantPermissionRequest) -> wire::AuthRoleGrantPermissionResponse;
        role_revoke_permission(wire::AuthRoleRevokePermissionRequest) -> wire::AuthRoleRevokePermissionResponse;
    }
}
