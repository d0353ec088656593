//! Servers over a database that fail, one or the other: what was acknowledged is kept, nothing counts twice, and whoever cannot be
//! served is told to come again (503 `UNAVAILABLE` with `Retry-After`), until all goes on without a restart.
//!
//! The databases are real, of their own for each test where they fail, and sync to the disk where that matters. `SIDEKEY_KILLS` and
//! `SIDEKEY_PROMOTIONS` set the number of both under load (5, 3), `SIDEKEY_CRASH_SEED` repeats a run's choices.

mod load;
mod outage;
