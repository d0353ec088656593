//! One operation, one file: who may call it, what it reads, which rule of core decides, and what it answers.
//!
//! Every operation is one straight line: caller → fields → [`Store::transact`](crate::store::Store::transact) around a rule
//! of core → durable → reply.

mod answering;
mod shown;

pub mod activity;
mod ask_approval;
pub mod authorize;
pub mod backup_code_status;
pub mod change_app;
pub mod change_device;
pub mod confirm_login;
pub mod confirm_setup;
pub mod disable;
pub(crate) mod dispute;
pub mod erase_user;
pub mod exchange_code;
pub mod forget_browser;
pub mod import_users;
pub mod introspect_token;
pub mod link_account;
pub mod list_devices;
pub mod list_trusted_browsers;
pub mod open_session;
pub mod opened;
pub mod opening;
pub mod operator_factor;
pub mod refresh_token;
pub mod remove_device;
pub mod renew_backup_codes;
pub mod revoke_token;
pub mod session_status;
pub mod show_app;
pub mod sign_out;
pub mod spend_token;
pub mod start_setup;
pub mod step_up;
pub mod support;
pub mod unlock_user;
pub mod user_status;
pub mod verify_backup_code;
pub mod verify_code;

pub use answering::{Granted, Via, start_login};
