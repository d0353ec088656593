//! Every rule of Sidekey's second factor: TOTP enrolment and verification that cannot be replayed, with a failure budget,
//! backup codes, sessions and refresh tokens.
//!
//! This crate does no I/O, reads no clock, draws no randomness of its own, and compiles for wasm32: time and randomness are
//! arguments. A rule is a method `(state, input, now, random) → (state, outcome, events)`; whoever calls it loads the state, stores it
//! *also when the outcome is a refusal*, because a refusal counts, and does both in one transaction.
//!
//! | what | where |
//! |---|---|
//! | moments and time steps | [`time`] |
//! | what is secret | [`secret`], [`code`], [`backup_code`] |
//! | names | [`id`] |
//! | one-time passwords | [`totp`] (RFC 6238), [`preview`], [`key_uri`], [`qr`], [`text`] |
//! | what others say and understand | [`config`], [`compat`], [`migration`], [`import`] |
//! | states and their transitions | [`device`], [`account`], [`session`], [`refresh`], [`trusted_browser`], [`ticket`], [`throttle`], [`retry`] |
//! | what a login proved | [`login`], [`action`] |
//! | what an app demands | [`policy`], [`protect`] |
//! | what happened | [`event`] |
//! | what an app looks like | [`colour`], [`accent`] |
//!
//! # Enrolment, verification, and a replay that is refused
//!
//! ```
//! use sidekey_core::account::{Account, Refusal};
//! use sidekey_core::code::Code;
//! use sidekey_core::device::Answer;
//! use sidekey_core::id::{AccountId, AppId, LoginId, UserId};
//! use sidekey_core::time::{Step, UnixTime};
//! use sidekey_core::totp::code_at;
//!
//! let mut rng = rand::rng(); // any `CryptoRng`
//! let mut events = Vec::new();
//! let now = UnixTime::from_secs(1_700_000_000);
//! let id = AccountId { app: AppId::parse("shop")?, user: UserId::parse("42")? };
//! let mut account = Account::new(id, now, &mut rng);
//!
//! // Enrolment: the secret goes to the authenticator, and its first code makes the device active.
//! let login = LoginId::generate(&mut rng);
//! let device = account.start_setup(login, None, false, now, &mut rng, &mut events).unwrap();
//! let code = |at: UnixTime| Code::parse(&code_at(&device.secret, device.params, Step::at(at, device.params.period))).unwrap();
//! account.confirm(device.id, &Answer::of(code(now)), None, now, &mut events).unwrap();
//!
//! // Verification: the code of a later step counts …
//! let later = now.plus(30);
//! assert!(account.answer(&Answer::of(code(later)), later, &mut events).is_ok());
//! // … once. The same code again is refused, however quickly it comes.
//! assert_eq!(account.answer(&Answer::of(code(later)), later, &mut events), Err(Refusal::Wrong));
//! # Ok::<(), sidekey_core::id::InvalidName>(())
//! ```

pub mod accent;
pub mod account;
pub mod action;
pub mod backup_code;
mod base32;
mod base64;
pub mod code;
pub mod colour;
pub mod compat;
pub mod config;
pub mod device;
pub mod event;
pub mod id;
pub mod import;
pub mod key_uri;
pub mod login;
pub mod migration;
pub mod policy;
pub mod preview;
pub mod protect;
pub mod qr;
pub mod refresh;
pub mod retry;
pub mod secret;
pub mod session;
pub mod text;
pub mod throttle;
pub mod ticket;
pub mod time;
pub mod totp;
pub mod trusted_browser;
