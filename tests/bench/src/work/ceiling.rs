//! A request that decides and stores nothing.

use crate::ceiling::{ECHO, FIXED, STATUS};
use crate::connection::{Connection, Request};
use crate::failure::{Failure, Outcome};
use crate::load::Worker;

/// Asks for the fixed JSON.
pub struct Fixed;

impl Worker for Fixed {
    async fn once(&mut self, connection: &mut Connection) -> Outcome<bool> {
        let answer = connection.exchange(Request::get(FIXED, "")).await?;
        answer.expect("fixed", 200)?;
        same(answer.body, STATUS)
    }
}

/// Posts a JSON like that of a verify, and gets it back.
pub struct Echo(u64);

impl Echo {
    /// Of this number.
    pub fn new(number: u64) -> Self {
        Self(number << 32)
    }
}

impl Worker for Echo {
    async fn once(&mut self, connection: &mut Connection) -> Outcome<bool> {
        self.0 += 1;
        let session = "p9eQQg652v7Z3ZHD2JDjnOAv8VizRb2JBclWHpsuy5k";
        let body = format!(r#"{{"code":"{:06}","session_id":"{session}"}}"#, self.0 % 1_000_000);
        let answer = connection.exchange(Request::post(ECHO, "", body.as_bytes())).await?;
        answer.expect("echo", 200)?;
        same(answer.body, &body)
    }
}

fn same(body: &[u8], wanted: &str) -> Outcome<bool> {
    if body == wanted.as_bytes() {
        Ok(true)
    } else {
        Err(Failure::new("the ceiling answered something else"))
    }
}
