//! warp filters that let a request through when its user has given a Sidekey second factor, not longer ago than a route demands.
//!
//! Access tokens are verified in this process against the server's published keys (RFC 7517), which are fetched once and
//! again when they are due: a request costs a signature check and no question over the network.
//!
//! - [`Guard`] makes the filters;
//! - [`Login`] is what a filter extracts;
//! - [`Refusal`] is why a request was refused, and [`refused`] turns it into the answer that the HTTP API gives too;
//! - `token`: the rules of a token; `keys`: the keys and when they are fetched; `clock`: the one reader of time.
//!
//! ```no_run
//! use std::time::Duration;
//! use sidekey_guard::{Guard, Login};
//! use warp::Filter as _;
//!
//! # fn main() -> Result<(), sidekey_guard::GuardError> {
//! let sidekey = Guard::new("https://login.example.com", "shop")?;
//! let terminal = warp::path!("api" / "terminal" / String)
//!     .and(sidekey.require_2fa_within(Duration::from_secs(3600)))
//!     .map(|name, login: Login| format!("terminal {name} of {}", login.user));
//! let profile = warp::path!("profile").and(sidekey.require_2fa()).map(|login: Login| login.user);
//! let routes = terminal.or(profile).recover(sidekey_guard::refused);
//! # let _ = routes;
//! # Ok(())
//! # }
//! ```
//!
//! A token that was made for one action (a session opened with `action`) has another type and audience and is refused by these filters.

mod clock;
mod filter;
mod keys;
mod refusal;
mod token;

pub use filter::{Guard, GuardError};
pub use refusal::{Refusal, refused};
pub use sidekey_core::{
    login::{Method, SecondFactor},
    time::UnixTime,
};
pub use token::Login;
