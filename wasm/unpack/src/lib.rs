//! What a page needs to unpack the browser module out of a script: base64 (RFC 4648 §4) of LZMA with the parameters lc = 3, lp = 0,
//! pb = 0. Base64 alone would make the package larger by a third even after compression by the server, LZMA takes a fifth less
//! than DEFLATE, the browser's own `DecompressionStream` is asynchronous, and JavaScript would take ten times as long before its
//! compilers have noticed that it is worth while.
//!
//! It is a module of its own, with buffers of fixed size and without a memory allocator, of some 1.5 KB. What it is given is the package's own file:
//! nothing here checks for damage, because the compiler of WebAssembly does.
#![cfg_attr(target_family = "wasm", no_std)]

mod lzma;
mod text;

use core::sync::atomic::AtomicU8;

pub use lzma::unpack;

/// Characters that fit into the buffer for what is packed.
pub const MOST_TEXT: usize = 64 * 1024;
/// Bytes that fit into the buffer for what was.
pub const MOST_BYTES: usize = 192 * 1024;

/// Memory that changes and that JavaScript knows the address of. Atomics are how a `static` may change in safe Rust; in WebAssembly
/// without threads they are loads and stores like any other.
pub type Byte = AtomicU8;

#[cfg(target_family = "wasm")]
mod exports {
    #![expect(unsafe_code, reason = "naming an export counts as unsafe: two of one name would be one")]

    use super::{Byte, MOST_BYTES, MOST_TEXT, unpack};

    static TEXT: [Byte; MOST_TEXT] = [const { Byte::new(0) }; MOST_TEXT];
    static BYTES: [Byte; MOST_BYTES] = [const { Byte::new(0) }; MOST_BYTES];

    /// Where the text belongs.
    #[unsafe(no_mangle)]
    extern "C" fn text() -> *const Byte {
        TEXT.as_ptr()
    }

    /// Unpacks as many bytes; where they are.
    #[unsafe(no_mangle)]
    extern "C" fn bytes(size: usize) -> *const Byte {
        unpack(&TEXT, BYTES.get(..size).unwrap_or_default());
        BYTES.as_ptr()
    }

    #[panic_handler]
    fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
        core::arch::wasm32::unreachable()
    }
}
