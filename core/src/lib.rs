//! Every rule of Sidekey, and nothing else.
pub mod backup_code;
pub mod code;
pub mod id;
pub mod key_uri;
pub mod policy;
pub mod preview;
pub mod qr;
pub mod secret;
pub mod text;
pub mod throttle;
pub mod time;
pub mod totp;
