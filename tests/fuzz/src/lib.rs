//! What must hold for input of any kind: one module for each fuzz target, with a function `run` that panics where it does not.
//!
//! - [`key_uri`]: key URIs
//! - [`migration`]: exports of Google Authenticator
//! - [`import_source`]: files of other products that users are imported from
//! - [`request_body`]: bodies of requests, and every accessor of their members
//! - [`jwt`]: access tokens
//! - [`stored_record`]: records, the accounts, sessions and logins in them, and sealed values
//! - [`path`]: the look-up of routes
//! - [`codes`]: codes, backup codes and secrets as people type them
//! - [`edit`]: mutations that are part of an input
//!
//! The same functions run in two ways. `cargo xtask fuzz` puts them under libFuzzer, which looks for new paths through the code
//! (nightly only). The program `replay` runs them on any toolchain over the committed seeds and small mutations of those, or over
//! the files that it is given: `cargo run -- jwt crash-…`.

pub mod codes;
pub mod edit;
pub mod import_source;
pub mod jwt;
pub mod key_uri;
pub mod migration;
pub mod path;
pub mod request_body;
pub mod stored_record;

/// A target: its name and its function.
pub type Target = (&'static str, fn(&[u8]));

/// All targets. A name is that of a file in `fuzz_targets/` and of a folder in `seeds/` too.
pub const TARGETS: &[Target] = &[
    ("codes", codes::run),
    ("import_source", import_source::run),
    ("jwt", jwt::run),
    ("key_uri", key_uri::run),
    ("migration", migration::run),
    ("path", path::run),
    ("request_body", request_body::run),
    ("stored_record", stored_record::run),
];
