//! A user who has no second factor yet: session, setup, first code.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use data_encoding::BASE32;
use serde::Deserialize;

use super::World;
use crate::clock;
use crate::connection::{Connection, Request};
use crate::failure::{Failure, Outcome};
use crate::load::Worker;
use crate::people::code;

/// Enrols one user after another, who were never seen before.
pub struct Enrolments {
    world: Arc<World>,
    next: Arc<AtomicU64>,
}

#[derive(Deserialize)]
struct Opened {
    enrollment_token: String,
}

#[derive(Deserialize)]
struct Setup {
    device_id: String,
    secret: String,
    qr_code_svg: String,
}

#[derive(Deserialize)]
struct Confirmed {
    access_token: String,
    backup_codes: Vec<String>,
}

impl Enrolments {
    /// So many workers; the number of the next user goes on from `next`.
    pub fn all(world: &Arc<World>, next: &Arc<AtomicU64>, count: usize) -> Vec<Self> {
        (0..count).map(|_| Self { world: Arc::clone(world), next: Arc::clone(next) }).collect()
    }
}

impl Worker for Enrolments {
    async fn once(&mut self, connection: &mut Connection) -> Outcome<bool> {
        let user = format!("new{}", self.next.fetch_add(1, Ordering::Relaxed));
        let body = format!(r#"{{"user_id":"{user}"}}"#);
        let request = Request::post("/2fa/sessions/", &self.world.host, body.as_bytes());
        let Opened { enrollment_token } = connection.exchange(request).await?.json("a session", 201)?;
        let host = format!("Authorization: Bearer {enrollment_token}\r\n");
        let answer = connection.exchange(Request::post("/2fa/setup/", &host, b"{}")).await?;
        let Setup { device_id, secret, qr_code_svg } = answer.json("a setup", 200)?;
        let secret = BASE32.decode(secret.as_bytes()).map_err(Failure::because("a secret is no base32"))?;
        let code = code(&secret, clock::step());
        let body = format!(r#"{{"device_id":"{device_id}","code":"{code}"}}"#);
        let answer =
            connection.exchange(Request::post("/2fa/setup/confirm/", &host, body.as_bytes())).await?;
        let Confirmed { access_token, backup_codes } = answer.json("a first code", 200)?;
        if backup_codes.len() != 10 || access_token.is_empty() || !qr_code_svg.starts_with("<svg") {
            return Err(Failure::new("an enrolment gave less than it should"));
        }
        Ok(true)
    }
}
