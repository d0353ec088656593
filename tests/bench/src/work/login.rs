//! A login: the host application opens a session, and the user answers it with a code. Whole, and in two halves, of which the
//! second one alone is measured.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde::Deserialize;

use super::{Login, World, address_of};
use crate::connection::{Connection, Request};
use crate::failure::{Failure, Outcome};
use crate::load::Worker;
use crate::people::{Turn, name};

#[derive(Deserialize)]
struct Opened<'a> {
    requires_2fa: bool,
    session_id: &'a str,
}

#[derive(Deserialize)]
struct Verified<'a> {
    access_token: &'a str,
    refresh_token: &'a str,
    #[serde(borrow)]
    user: User<'a>,
}

#[derive(Deserialize)]
struct User<'a> {
    id: &'a str,
}

/// Opens a session for a user with a device; gives its id.
async fn open(world: &World, connection: &mut Connection, user: u64) -> Outcome<String> {
    let body = format!(r#"{{"user_id":"{}"}}"#, name(user));
    let answer = connection.exchange(Request::post("/2fa/sessions/", &world.host, body.as_bytes())).await?;
    let opened: Opened<'_> = answer.json("a session", 201)?;
    if !opened.requires_2fa {
        return Err(Failure::new("a session was opened without a challenge"));
    }
    Ok(opened.session_id.to_owned())
}

/// Answers a session with a right code. One that happens to be an earlier one again may be refused, and is an answer too.
async fn verify(world: &World, connection: &mut Connection, session: &str, turn: &Turn) -> Outcome {
    let Turn { user, code, .. } = turn;
    let (headers, body) = (address_of(*user), format!(r#"{{"session_id":"{session}","code":"{code}"}}"#));
    let answer = connection.exchange(Request::post("/2fa/verify/", &headers, body.as_bytes())).await?;
    if answer.status == 400 && answer.problem() == "INVALID_CODE" && turn.is_repeated() {
        return Ok(());
    }
    let verified: Verified<'_> = answer.json("a right code", 200)?;
    if verified.user.id != name(*user)
        || verified.access_token.is_empty()
        || verified.refresh_token.is_empty()
    {
        return Err(Failure::new("a login is that of somebody else"));
    }
    let Verified { access_token, refresh_token, .. } = verified;
    world.keep(|| Login { user: *user, access: access_token.to_owned(), refresh: refresh_token.to_owned() });
    Ok(())
}

/// Whole logins, each of another user.
pub struct Logins(pub Arc<World>);

impl Worker for Logins {
    async fn once(&mut self, connection: &mut Connection) -> Outcome<bool> {
        let world = &self.0;
        let user = world.people.next();
        let session = open(world, connection, user).await?;
        // The code is that of the moment in which it is given.
        let Some(turn) = world.people.code_of(user) else { return Ok(false) };
        verify(world, connection, &session, &turn).await?;
        Ok(true)
    }
}

/// Sessions that wait for their codes.
#[derive(Default)]
pub struct Waiting {
    sessions: Mutex<Vec<(u64, String)>>,
    wanted: AtomicUsize,
}

impl Waiting {
    /// Room for so many.
    pub fn of(wanted: usize) -> Arc<Self> {
        Arc::new(Self { sessions: Mutex::default(), wanted: AtomicUsize::new(wanted) })
    }
}

/// Opens sessions for later.
pub struct Openings(pub Arc<World>, pub Arc<Waiting>);

impl Worker for Openings {
    async fn once(&mut self, connection: &mut Connection) -> Outcome<bool> {
        let Self(world, waiting) = self;
        let less = |wanted: usize| wanted.checked_sub(1);
        if waiting.wanted.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_err() {
            return Ok(false);
        }
        let user = world.people.next();
        let session = open(world, connection, user).await?;
        waiting.sessions.lock().unwrap_or_else(PoisonError::into_inner).push((user, session));
        Ok(true)
    }
}

/// Answers sessions that were opened before.
pub struct Verifies(pub Arc<World>, pub Arc<Waiting>);

impl Worker for Verifies {
    async fn once(&mut self, connection: &mut Connection) -> Outcome<bool> {
        let Self(world, waiting) = self;
        let next = waiting.sessions.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let Some((user, session)) = next else { return Ok(false) };
        let Some(turn) = world.people.code_of(user) else { return Ok(false) };
        verify(world, connection, &session, &turn).await?;
        Ok(true)
    }
}
