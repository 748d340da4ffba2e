//! Compiles the log's format and what storage nodes say. Written in Rust, so that no protoc has to be installed.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=proto");
    let log = protox::compile(["proto/command.proto"], ["proto"])?;
    prost_build::Config::new().bytes(["."]).compile_fds(log)?;
    let services = protox::compile(["proto/peer.proto"], ["proto"])?;
    tonic_prost_build::configure().bytes(".").compile_fds(services)?;
    Ok(())
}
