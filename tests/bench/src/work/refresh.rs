//! A refresh token for the next pair.

use serde::Deserialize;

use super::Login;
use crate::connection::{Connection, Request};
use crate::failure::{Failure, Outcome};
use crate::load::Worker;

/// Refreshes its logins in turn.
pub struct Refreshes {
    logins: Vec<Login>,
    next: usize,
    done: usize,
}

/// Refreshes of one login in a run: an account has 120 at once.
const EACH: usize = 100;

#[derive(Deserialize)]
struct Pair<'a> {
    access_token: &'a str,
    refresh_token: &'a str,
}

impl Refreshes {
    /// So many workers, among whom the logins are divided.
    pub fn all(logins: &[Login], count: usize) -> Vec<Self> {
        let share = logins.len().div_ceil(count).max(1);
        logins.chunks(share).map(|logins| Self { logins: logins.to_vec(), next: 0, done: 0 }).collect()
    }
}

impl Worker for Refreshes {
    async fn once(&mut self, connection: &mut Connection) -> Outcome<bool> {
        if self.done >= self.logins.len() * EACH {
            return Ok(false);
        }
        let place = self.next;
        (self.next, self.done) = ((place + 1) % self.logins.len().max(1), self.done + 1);
        let Some(login) = self.logins.get_mut(place) else { return Ok(false) };
        let (headers, body) =
            (super::address_of(login.user), format!(r#"{{"refresh_token":"{}"}}"#, login.refresh));
        let answer =
            connection.exchange(Request::post("/2fa/token/refresh/", &headers, body.as_bytes())).await?;
        let pair: Pair<'_> = answer.json("a refresh", 200)?;
        if pair.refresh_token == login.refresh || pair.access_token == login.access {
            return Err(Failure::new("a refresh gave the same tokens again"));
        }
        pair.refresh_token.clone_into(&mut login.refresh);
        Ok(true)
    }
}
