//! One process holding one gateway and one storage node: a drop-in for the `etcd` binary.

pub mod duration;
pub mod flags;
pub mod identity;
mod nearest;
pub mod options;
pub mod urls;
pub mod value;
