//! What connections do: one file a kind of work. Every answer is checked.
//!
//! | module | once is |
//! |---|---|
//! | [`ceiling`] | a request that decides and stores nothing |
//! | [`import`] | up to a hundred users who are taken over |
//! | [`login`] | a session opened and answered with a code; the same in two halves |
//! | [`enrolment`] | a session, a setup and its first code |
//! | [`refresh`] | a refresh token for the next pair |
//! | [`decision`] | a forward-auth decision |

pub mod ceiling;
pub mod decision;
pub mod enrolment;
pub mod import;
pub mod login;
pub mod refresh;

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::people::People;

/// What all workers share.
pub struct World {
    /// The users.
    pub people: People,
    /// The header lines of a host application.
    pub host: String,
    /// The latest logins, a sample.
    logins: Mutex<Vec<Login>>,
}

/// A login that was acknowledged.
#[derive(Clone)]
pub struct Login {
    /// Whose it is.
    pub user: u64,
    /// Its access token.
    pub access: String,
    /// Its refresh token.
    pub refresh: String,
}

/// Logins that are kept.
const KEPT: usize = 4_096;

impl World {
    /// Of users of the application with this API key.
    pub fn new(people: People, api_key: &str) -> Self {
        Self { people, host: format!("Authorization: Bearer {api_key}\r\n"), logins: Mutex::default() }
    }

    fn logins(&self) -> MutexGuard<'_, Vec<Login>> {
        self.logins.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a login, if there is room.
    fn keep(&self, login: impl FnOnce() -> Login) {
        let mut logins = self.logins();
        if logins.len() < KEPT {
            logins.push(login());
        }
    }

    /// The logins that were kept, and room for others.
    pub fn take_logins(&self) -> Vec<Login> {
        std::mem::take(&mut *self.logins())
    }
}

/// The header line with an address that is this user's alone, as a proxy sends it.
fn address_of(user: u64) -> String {
    let [.., a, b, c] = user.to_be_bytes();
    format!("X-Forwarded-For: 10.{a}.{b}.{c}\r\n")
}
