//! Every rule of Sidekey, and nothing else.
pub mod backup_code;
pub mod code;
pub mod id;
pub mod policy;
pub mod secret;
pub mod throttle;
pub mod time;
pub mod totp;
