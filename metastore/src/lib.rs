//! One process holding one gateway and one storage node: a drop-in for the `etcd` binary.

pub mod duration;
pub mod environment;
pub mod files;
pub mod flags;
pub mod identity;
mod nearest;
pub mod options;
pub mod settings;
pub mod urls;
pub mod value;
mod yaml;

/// What the system says about a failure, without Rust's "(os error 2)".
fn system_reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_lowercase()
}
