//! The load client of `cargo xtask bench`. It knows nothing of the server's code: it starts the release binary on a store of its
//! own, with the default settings and not in development mode, and speaks HTTP to it.
//!
//! Every answer is checked, and no code is given twice: there are so many users that each has a code to give when its turn comes.
//! Rates of one machine at one time are compared with what warp and the disk give there at that time, because nothing else can
//! be compared.
//!
//! | module | purpose |
//! |---|---|
//! | [`plan`] | how much is measured, and for how long |
//! | [`rounds`] | the order in which everything is measured; [`few`]: a store as small as most are |
//! | [`servers`] | the processes that are measured |
//! | [`ceiling`], [`disk`] | what the stack and the disk would give |
//! | [`database`] | the same over `PostgreSQL`, beside pgbench |
//! | [`load`], [`connection`] | many connections, and one |
//! | [`work`] | what they do, and the checks of every answer; [`tokens`]: those of tokens |
//! | [`people`] | the users and their authenticators |
//! | [`vitals`], [`machine`] | what the kernel tells |
//! | [`results`], [`targets`], [`report`] | what comes of it |
//! | [`clock`], [`failure`] | time; a sentence that ends a run |

pub mod ceiling;
pub mod clock;
pub mod connection;
pub mod database;
pub mod disk;
pub mod failure;
pub mod few;
pub mod load;
pub mod machine;
pub mod people;
pub mod plan;
pub mod report;
pub mod results;
pub mod rounds;
pub mod servers;
pub mod targets;
pub mod tokens;
pub mod vitals;
pub mod work;
