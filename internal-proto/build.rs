//! Compiles the formats of the log and of the Store service. Written in Rust, so that no protoc has to be installed.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=proto");
    let descriptors = protox::compile(["proto/command.proto", "proto/store.proto"], ["proto"])?;
    tonic_prost_build::configure().bytes(".").include_file("packages.rs").compile_fds(descriptors)?;
    Ok(())
}
