//! Compiles the formats of the log, of the Store and Admin services and of what storage nodes say to each other.
//! Written in Rust, so that no protoc has to be installed.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=proto");
    let store = protox::compile(["proto/command.proto", "proto/store.proto", "proto/admin.proto"], ["proto"])?;
    tonic_prost_build::configure().bytes(".").include_file("packages.rs").compile_fds(store)?;
    let peer = protox::compile(["proto/peer.proto"], ["proto"])?;
    tonic_prost_build::configure().bytes(".").compile_fds(peer)?;
    Ok(())
}
