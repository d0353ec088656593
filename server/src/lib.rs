//! The server: it brings time, randomness, disk and network to the rules of `sidekey-core`.
//!
//! | module | what it is |
//! |---|---|
//! | [`admin`] | the pages of the admin area |
//! | [`apps`] | host applications and their API keys |
//! | [`banner`] | what a person reads at start |
//! | [`cli`] | the command line |
//! | [`clock`], [`entropy`] | the only readers of time and randomness |
//! | [`config`] | the settings of `serve` |
//! | [`context`] | what every operation may use |
//! | [`control`] | what an operator may do, and the socket for it |
//! | [`development`] | development mode: the demo application, the clock that tests move |
//! | [`doctor`] | what `sidekey doctor` looks at |
//! | [`export`] | the layout of an export |
//! | [`import`] | what other products keep, read into users of this one |
//! | [`hardening`] | what the process gives up at start |
//! | [`keyring`] | the master key: what seals secrets at rest |
//! | [`limit`] | a token bucket per client address |
//! | [`listener`] | the accept loop and its limits |
//! | [`logging`] | log lines on standard error |
//! | [`maintenance`] | checks, backups, restores, migrations |
//! | [`master_keys`] | which master keys are in use, and their rotation |
//! | [`probe`] | by which way a request of the doctor came |
//! | [`reload`] | settings that change while the server runs |
//! | [`serve`] | `sidekey serve`, from opening to closing |
//! | [`service_manager`] | a socket from systemd, and what systemd is told |
//! | [`routes`] | the whole table of routes, and the way of a request through it |
//! | [`http`] | requests, problems and replies as operations see them |
//! | [`caller`], [`forwarded`] | who makes a request, and from where |
//! | [`metering`] | what `/metrics` shows |
//! | [`notify`] | who is told of what happens, and how |
//! | [`operations`] | one file each: what the API does |
//! | [`operators`] | who runs the server: passwords, roles, sessions |
//! | [`backup_code_hash`] | the slow hash of backup codes |
//! | [`audit`] | what happened, stored with the change it tells of |
//! | [`openapi`] | the description of the API for machines, made at build time |
//! | [`outbox`] | how often, in which order, and until when |
//! | [`pages`], [`service`] | what people and machines are served besides |
//! | [`statistics`] | what happened by the hour, and how long answers took |
//! | [`store`] | records on disk and the durable commit |
//! | [`swap`] | a value that is replaced while others read it |
//! | [`telemetry`] | traces, where a collector is named |
//! | [`trail`] | the audit trail, exported and checked, and watched |
//! | [`token`] | the pair of tokens a login gets, and the keys that sign access tokens |

pub mod admin;
pub mod apps;
pub mod audit;
pub mod backup_code_hash;
pub mod banner;
pub mod caller;
pub mod cli;
pub mod clock;
pub mod config;
pub mod context;
pub mod control;
pub mod development;
pub mod doctor;
pub mod entropy;
pub mod export;
pub mod forwarded;
pub mod hardening;
pub mod http;
pub mod import;
pub mod keyring;
pub mod limit;
pub mod listener;
pub mod logging;
pub mod maintenance;
pub mod master_keys;
pub mod metering;
pub mod notify;
pub mod openapi;
pub mod operations;
pub mod operators;
pub mod outbox;
pub mod pages;
pub mod probe;
pub mod reload;
pub mod routes;
pub mod serve;
pub mod service;
pub mod service_manager;
pub mod statistics;
pub mod store;
pub mod swap;
pub mod telemetry;
pub mod token;
pub mod trail;

pub use serve::run;
