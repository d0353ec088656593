//! The server: it brings time, randomness, disk and network to the rules of `sidekey-core`.
//!
//! | module | what it is |
//! |---|---|
//! | [`apps`] | host applications and their API keys |
//! | [`clock`], [`entropy`] | the only readers of time and randomness |
//! | [`config`] | the settings of `serve` |
//! | [`context`] | what every operation may use |
//! | [`hardening`] | what the process gives up at start |
//! | [`keyring`] | the master key: what seals secrets at rest |
//! | [`listener`] | the accept loop and its limits |
//! | [`logging`] | log lines on standard error |
//! | [`store`] | records on disk and the durable commit |
//! | [`token`] | access tokens and the keys that sign them |

pub mod apps;
pub mod clock;
pub mod config;
pub mod context;
pub mod entropy;
pub mod hardening;
pub mod keyring;
pub mod listener;
pub mod logging;
pub mod store;
pub mod token;
