//! A forward-auth decision: whether a request that a proxy holds back may pass.

use std::sync::Arc;

use super::Login;
use crate::connection::{Connection, Request};
use crate::failure::{Failure, Outcome};
use crate::load::Worker;
use crate::people::name;

/// Asks about requests of its logins in turn.
pub struct Decisions {
    logins: Arc<Vec<Login>>,
    next: usize,
}

impl Decisions {
    /// So many workers, who ask about all of these.
    pub fn all(logins: &Arc<Vec<Login>>, count: usize) -> Vec<Self> {
        (0..count).map(|next| Self { logins: Arc::clone(logins), next }).collect()
    }
}

impl Worker for Decisions {
    async fn once(&mut self, connection: &mut Connection) -> Outcome<bool> {
        let Some(login) = self.logins.get(self.next % self.logins.len().max(1)) else { return Ok(false) };
        self.next += 1;
        let headers = format!(
            "Authorization: Bearer {}\r\nX-Forwarded-Method: GET\r\nX-Forwarded-Host: app.example\r\n\
             X-Forwarded-Uri: /terminal/7\r\n",
            login.access
        );
        let answer = connection.exchange(Request::get("/2fa/authz/", &headers)).await?;
        answer.expect("a forward-auth decision", 200)?;
        if answer.header("Remote-User") != Some(name(login.user).as_str()) {
            return Err(Failure::new("a forward-auth decision names somebody else"));
        }
        Ok(true)
    }
}
