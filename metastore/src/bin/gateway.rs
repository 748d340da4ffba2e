//! A gateway by itself, before storage nodes in other processes.

// Long-lived small values of many sizes: the system's allocator would keep far more memory.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> std::process::ExitCode {
    metastore::run(metastore::role::Role::Gateway)
}
