//! Compiles the `.proto` files in Rust, so that no protoc has to be installed.

use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

use protox::prost::Message;

const DIRECTORY: &str = "etcd";

// Standard output is how a build script talks to cargo.
#[allow(clippy::print_stdout)]
fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed={DIRECTORY}");
    let mut files = Vec::new();
    for entry in fs::read_dir(DIRECTORY)? {
        files.push(entry?.path());
    }
    files.sort();

    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    let mut compiler = protox::Compiler::new([DIRECTORY])?;
    compiler.include_imports(true).open_files(&files)?;
    fs::write(out.join("descriptors.bin"), compiler.file_descriptor_set().encode_to_vec())?;

    // Compiled once more with the comments, which become the documentation of the Rust types.
    let descriptors = protox::compile(&files, [DIRECTORY])?;
    tonic_prost_build::configure()
        .bytes(".")
        .codec_path("crate::codec::LongCodec")
        .extern_path(".mvccpb.KeyValue", "::internal_proto::KeyValue")
        .extern_path(".mvccpb.Event", "::internal_proto::Event")
        .include_file("packages.rs")
        .compile_fds(descriptors)?;
    Ok(())
}
