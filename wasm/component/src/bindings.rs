//! What wit-bindgen makes of the world: the types, a trait `Guest` for each interface, and the canonical ABI around them.

#![expect(unsafe_code, reason = "the canonical ABI passes pointers; all of it is generated")]
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::pedantic,
    reason = "generated; the world is documented in wasm/wit"
)]

wit_bindgen::generate!({
    path: "../wit",
    world: "sidekey",
});

use crate::Component;

export!(Component);
