//! How callers introduce themselves to a storage node: metadata of every call, checked before anything is served.
//!
//! Numbers are decimal, ids hexadecimal as clients print them.

/// The version of the conversation.
pub const FORMAT: u32 = 1;

/// Names the [`FORMAT`] that the caller speaks.
pub const FORMAT_KEY: &str = "metastore-format";

/// The cluster's shared secret; binary, as it may hold any text.
pub const TOKEN_KEY: &str = "metastore-token-bin";

/// The cluster that the caller believes to talk to; a gateway that does not know it yet leaves it out.
pub const CLUSTER_KEY: &str = "metastore-cluster";

/// The calling member; gateways are none.
pub const MEMBER_KEY: &str = "metastore-member";

/// The member that the caller wants to reach.
pub const RECEIVER_KEY: &str = "metastore-receiver";

/// Drawn anew by every process, so that two of them with one id are told apart.
pub const BOOT_KEY: &str = "metastore-boot";
