//! What storage nodes say to each other, generated from `peer.proto`.

// Generated code carries the comments of the .proto file and is not linted beyond that.
#[allow(missing_docs, unreachable_pub, clippy::all)]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/metastore.peer.rs"));
}

pub use generated::*;

impl Parcel {
    /// The newest format that this program writes and reads.
    pub const FORMAT: u32 = 1;
}
