//! Sidekey's core as a WebAssembly component: exports, and nothing that decides. What hosts see is the world in
//! `wasm/wit/`, and documented there.
//!
//! - `bindings`: what wit-bindgen makes of that world
//! - `types`: what several interfaces share, from and to core's
//! - `secrets`, `totp`, `key_uri`, `compat`, `migration`, `qr`, `text`: an interface each
//! - `entropy`: the host's random bytes

mod bindings;
mod compat;
mod entropy;
mod key_uri;
mod migration;
mod qr;
mod secrets;
mod text;
mod totp;
mod types;

/// What implements the interfaces; it has no state.
struct Component;
