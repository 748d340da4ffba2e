//! What clients of etcd see: every message and service of etcd 3.7, in the wire's own names.
//!
//! ```text
//!  etcd/*.proto ──build.rs──► Rust types, clients, servers     packages, one module each
//!                        └──► descriptors.bin                  descriptors(), for JSON
//! ```
//!
//! Invariants: names, numbers and types equal etcd's (the test `descriptors` compares them with etcd's own);
//! [`mvccpb`]'s `KeyValue` and `Event` are `internal_proto`'s, which keep the encoded bytes.

use std::sync::LazyLock;

use prost_reflect::DescriptorPool;

// Generated code carries the comments of the .proto files and is not linted beyond that.
#[allow(missing_docs, unreachable_pub, clippy::all)]
mod packages {
    include!(concat!(env!("OUT_DIR"), "/packages.rs"));
}

mod codec;

pub use packages::{authpb, etcdserverpb, grpc, v3electionpb, v3lockpb};

/// The package of key-values and events.
pub mod mvccpb {
    pub use internal_proto::{Event, KeyValue};
}

static DESCRIPTORS: LazyLock<DescriptorPool> = LazyLock::new(|| {
    DescriptorPool::decode(&include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"))[..])
        .expect("build.rs wrote a complete set of descriptors")
});

/// The descriptors of all packages.
#[must_use]
pub fn descriptors() -> &'static DescriptorPool {
    &DESCRIPTORS
}
