//! The audit trail, read by operators.
//!
//! - [`export`]: entries with the hashes that chain them, to be checked where no server is;
//! - [`check`]: that check;
//! - [`live`]: what happens, as it happens.
//!
//! Questions to it are in [`control::audit`](crate::control::audit).

pub mod check;
pub mod export;
pub mod live;
