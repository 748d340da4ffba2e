//! The three programs that this crate is: each row of the option table says whose it is.
//!
//! ```text
//!  metastore   clients ─► gateway ─► storage node ◄─► other members
//!  gateway     clients ─► gateway ─────────┐
//!  storenode             storage node ◄────┴ gateways, other members
//! ```

/// What a process holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// A gateway and a storage node.
    #[default]
    MetaStore,
    /// A storage node.
    StoreNode,
    /// A gateway.
    Gateway,
}

/// Every program.
pub const EVERY: &[Role] = &[Role::MetaStore, Role::StoreNode, Role::Gateway];
/// Those with a storage node.
pub const STORAGE: &[Role] = &[Role::MetaStore, Role::StoreNode];
/// Those with clients.
pub const CLIENTS: &[Role] = &[Role::MetaStore, Role::Gateway];

impl Role {
    /// The program's name.
    pub const fn program(self) -> &'static str {
        match self {
            Self::MetaStore => "metastore",
            Self::StoreNode => "storenode",
            Self::Gateway => "gateway",
        }
    }

    /// Whether it holds data.
    pub const fn has_storage(self) -> bool {
        matches!(self, Self::MetaStore | Self::StoreNode)
    }

    /// Whether it serves clients.
    pub const fn has_clients(self) -> bool {
        matches!(self, Self::MetaStore | Self::Gateway)
    }
}

/// The programs' names in a sentence.
pub fn programs(roles: &[Role]) -> String {
    roles.iter().map(|role| role.program()).collect::<Vec<_>>().join(" and ")
}
