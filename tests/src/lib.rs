//! Harness of the black-box tests: it starts the release binary on a free port with a data folder of its own and
//! knows nothing of the code, only the HTTP contract and the command line.
//!
//! | module | purpose |
//! |---|---|
//! | [`server`] | one running `sidekey serve`: start, address, logs, clock, stop |
//! | [`cluster`] | a database server, in which servers under test keep everything if that is wanted, and its standby |
//! | [`fleet`] | several servers over one database |
//! | [`gate`] | a gate between servers and their database, to be shut |
//! | [`command`] | the other commands of the binary, with a time limit |
//! | [`client`] | one HTTP call; every answer passes [`answer`]'s checks |
//! | [`answer`] | an answer, and what the contract demands of each one |
//! | [`wire`] | bytes on a socket, for what an HTTP client refuses to send |
//! | [`authenticator`] | an independent RFC 6238 generator that never gives a code twice |
//! | [`app`] | a host application and its users: open a session, enrol, sign in |
//! | [`browser`] | a browser without scripts: cookies, forms, redirects |
//! | [`operator`] | an operator who is signed in to the admin area |
//! | [`openapi`] | the operations that the document at `/openapi.json` describes |
//! | [`jwt`] | tokens verified through the JWKS with a JWT library |
//! | [`random`], [`settings`] | seeded randomness; the variables that lengthen or repeat a run |
//! | [`folder`], [`native`] | copies of folders; libraries in C |
//! | [`clock`] | RFC 3339 times as Unix seconds |
//! | [`wait`] | what happens in the background, up to a limit |
//!
//! A server's time moves only through the development clock: no test sleeps until a time is over. That clock is global to a
//! server, so a test that moves it starts a server of its own (as nearly all do: it costs a few milliseconds). What a server does
//! in the background is looked for again and again, up to a limit; no test sleeps as long as it may take. Only attackers, and the
//! users beside them, pace what they send.

pub mod answer;
pub mod app;
pub mod authenticator;
pub mod browser;
pub mod client;
pub mod clock;
pub mod cluster;
pub mod command;
pub mod fleet;
pub mod folder;
pub mod gate;
pub mod jwt;
pub mod native;
pub mod openapi;
pub mod operator;
pub mod random;
pub mod server;
pub mod settings;
pub mod wait;
pub mod wire;

pub use answer::Answer;
pub use app::{App, Enforcement, User};
pub use authenticator::Authenticator;
pub use browser::Browser;
pub use fleet::Fleet;
pub use operator::Operator;
pub use serde_json::{Value, json};
pub use server::{Options, Server, Stopped};
pub use wait::{eventually, in_time};
