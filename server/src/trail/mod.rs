//! The audit trail, read by operators.
//!
//! - [`query`]: a question to it, and what fits;
//! - [`export`]: entries with the hashes that chain them, to be checked where no server is;
//! - [`check`]: that check;
//! - [`live`]: what happens, as it happens.

pub mod check;
pub mod export;
pub mod live;
pub mod query;
