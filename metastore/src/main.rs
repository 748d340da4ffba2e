//! The program. Everything is in the library, so that tests can start it in their own process.

use std::process::ExitCode;

// Long-lived small values of many sizes: the system's allocator would keep far more memory.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let text = |word: std::ffi::OsString| word.to_string_lossy().into_owned();
    let arguments: Vec<_> = std::env::args_os().skip(1).map(text).collect();
    let variables = std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect();
    metastore::run(&arguments, &variables)
}
