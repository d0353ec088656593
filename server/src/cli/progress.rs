//! How far a long command is, in one line on a terminal and nowhere else.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use crate::clock::Clock;

/// Between two states of the line.
const PAUSE: Duration = Duration::from_millis(100);

/// The line; it is wiped when this value is dropped.
pub(super) struct Progress {
    what: &'static str,
    is_shown: bool,
    shown_at: Option<Instant>,
}

impl Progress {
    /// Says what is being done, such as `Checking`.
    pub(super) fn new(what: &'static str) -> Self {
        Self { what, is_shown: io::stderr().is_terminal(), shown_at: None }
    }

    /// So many records of so many, about; a total of 0 is an unknown one.
    pub(super) fn show(&mut self, done: u64, total: u64) {
        let now = Clock::instant();
        let too_soon = self.shown_at.is_some_and(|shown_at| now.duration_since(shown_at) < PAUSE);
        if !self.is_shown || too_soon {
            return;
        }
        self.shown_at = Some(now);
        // A terminal that takes nothing is no reason to stop.
        let _ = write!(io::stderr(), "\r\x1b[K{}", line(self.what, done, total));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown_at.is_some() {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

fn line(what: &str, done: u64, total: u64) -> String {
    // More may come while it goes on: never more than all of it.
    let percent = (done.saturating_mul(100)).checked_div(total).map_or(0, |percent| percent.min(100));
    if total > done {
        format!("{what}: {done} of about {total} records, {percent} %")
    } else {
        format!("{what}: {done} records")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_how_far_it_is() {
        assert_eq!(line("Checking", 250, 1_000), "Checking: 250 of about 1000 records, 25 %");
        assert_eq!(line("Checking", 250, 0), "Checking: 250 records");
        assert_eq!(line("Checking", 250, 200), "Checking: 250 records");
    }
}
