//! Development mode.
//!
//! - [`mode`]: a store belongs to development or to real accounts, never to both;
//! - [`demo`]: the demo application, which plays a host: its key and its own login;
//! - [`demo_page`]: the page that it shows;
//! - [`clock`]: the clock that tests move;
//! - [`seed`]: users for the tests of a host application.

pub mod clock;
pub mod demo;
pub mod demo_page;
pub mod mode;
pub mod seed;
