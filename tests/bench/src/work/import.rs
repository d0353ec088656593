//! Users are made by `POST /2fa/users/import/`, as by an application that moves in.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Deserialize;

use super::World;
use crate::connection::{Connection, Request};
use crate::failure::{Failure, Outcome};
use crate::load::Worker;
use crate::people;

/// Users of a request: what fits into its 16 KiB.
pub const BATCH: u64 = 100;

/// Takes over the users of a range, a batch at a time.
pub struct Import {
    world: Arc<World>,
    next: Arc<AtomicU64>,
    end: u64,
}

#[derive(Deserialize)]
struct Counts {
    imported: u64,
}

impl Import {
    /// So many workers for the users from `start` on, up to but without `end`.
    pub fn all(world: &Arc<World>, start: u64, end: u64, count: usize) -> Vec<Self> {
        let next = Arc::new(AtomicU64::new(start));
        (0..count).map(|_| Self { world: Arc::clone(world), next: Arc::clone(&next), end }).collect()
    }
}

impl Worker for Import {
    async fn once(&mut self, connection: &mut Connection) -> Outcome<bool> {
        let start = self.next.fetch_add(BATCH, Ordering::Relaxed);
        let end = self.end.min(start + BATCH);
        if start >= end {
            return Ok(false);
        }
        let mut body = String::from(r#"{"users":["#);
        for user in start..end {
            let comma = if user == start { "" } else { "," };
            let (name, secret) = (people::name(user), people::base32(user));
            // Writing to a string cannot fail.
            let _ = write!(
                body,
                r#"{comma}{{"user_id":"{name}","account_name":"{name}@bench.example","devices":[{{"secret":"{secret}"}}]}}"#
            );
        }
        body.push_str("]}");
        let request = Request::post("/2fa/users/import/", &self.world.host, body.as_bytes());
        let answer = connection.exchange(request).await?;
        let counts: Counts = answer.json("an import", 200)?;
        if counts.imported != end - start {
            return Err(Failure::new(format!("of {} users {} were imported", end - start, counts.imported)));
        }
        Ok(true)
    }
}
