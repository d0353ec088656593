//! How much is measured, and for how long.

use std::time::Duration;

/// A run.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// What it is called in the results.
    pub name: &'static str,
    /// How often everything is measured: of each number the median counts.
    pub rounds: usize,
    /// How long each thing is measured, at most.
    pub stage: Duration,
    /// Accounts of a store as small as most are, whose server's memory is measured.
    pub few: u64,
    /// Accounts of the usual store. Each has one code in 30 seconds, so they bound the rate that can be measured.
    pub users: u64,
    /// Accounts of the large store, if there is one.
    pub large: Option<u64>,
    /// Starts of the server, of which the median counts.
    pub starts: usize,
    /// Whether the server runs in development mode, where its clock is moved and nobody has to wait for the next code.
    pub development: bool,
    /// Connections of logins and verifies.
    pub connections: &'static [usize],
}

/// Connections of everything that is measured with one number of them.
pub const USUAL: usize = 64;
/// Connections of enrolments: the slow hash of backup codes bounds them, whatever comes at once.
pub const FEW: usize = 4;

/// Some fifteen minutes.
pub const FULL: Plan = Plan {
    name: "full",
    rounds: 3,
    stage: Duration::from_secs(6),
    few: 4_000,
    users: 300_000,
    large: Some(1_000_000),
    starts: 9,
    development: false,
    connections: &[1, 16, 64, 256],
};

/// A minute or two.
pub const QUICK: Plan = Plan {
    name: "quick",
    rounds: 1,
    stage: Duration::from_secs(2),
    few: 4_000,
    users: 60_000,
    large: None,
    starts: 5,
    development: false,
    connections: &[1, 16, 64, 256],
};

/// Over a database, beside pgbench: some four minutes.
pub const DATABASE: Plan = Plan {
    name: "database",
    rounds: 1,
    stage: Duration::from_secs(6),
    few: 0,
    users: 60_000,
    large: None,
    starts: 1,
    development: false,
    connections: &[1, 16, 64],
};

/// Some seconds: whether the client and the server go together. Its numbers say nothing.
pub const SMOKE: Plan = Plan {
    name: "smoke",
    rounds: 1,
    stage: Duration::from_millis(100),
    few: 200,
    users: 1_500,
    large: Some(2_000),
    starts: 1,
    development: true,
    connections: &[1, 4],
};
