//! The binary `sidekey`; everything is in the library, see its map of modules.

use std::process::ExitCode;

fn main() -> ExitCode {
    sidekey_server::cli::main()
}

/// Has the linker take jemalloc's `malloc` and what belongs to it for the whole program, C libraries too.
#[cfg(all(feature = "jemalloc", target_os = "linux", target_env = "gnu"))]
#[used]
static ALLOCATOR: unsafe extern "C" fn(usize) -> *mut std::ffi::c_void = tikv_jemalloc_sys::malloc;
