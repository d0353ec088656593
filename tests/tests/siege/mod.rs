//! A server under attack: honest users log in for as long as the attack lasts, and afterwards nothing of it is left.

pub(crate) mod burst;
mod honest;
pub(crate) mod raw;
mod vitals;

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sidekey_tests::{App, Enforcement, Server};

pub(crate) use honest::Honest;
use vitals::Vitals;

/// An attack that takes longer hangs.
const ATTACK_LIMIT: Duration = Duration::from_mins(5);
/// Logins before the attack: what the server needs anyway is in memory then.
const WARM_UP: usize = 5;
/// Logins that shall fall into the attack, or right behind a short one.
const LOGINS: usize = 3;
/// Between two honest logins: what these leave in memory shall not hide what the attack leaves.
const PAUSE: Duration = Duration::from_millis(20);

/// Sidekey with an app, and how it was before the attack.
pub(crate) struct Siege<'s> {
    pub(crate) server: &'s Server,
    pub(crate) app: App<'s>,
    honest: Honest<'s>,
    before: Vitals,
}

/// A server for an attack.
pub(crate) fn server() -> Server {
    raise_descriptors();
    Server::start()
}

impl<'s> Siege<'s> {
    /// Users who move the clock between their logins.
    pub(crate) async fn lay(server: &'s Server) -> Self {
        let app = server.app(Enforcement::Optional).await;
        let honest = Honest::with_the_clock(&app).await;
        Self::around(app, honest).await
    }

    /// Users who leave the clock alone, so that the attack's sessions and waits last; their codes come to an end at some time.
    pub(crate) async fn lay_without_clock(server: &'s Server) -> Self {
        let app = server.app(Enforcement::Optional).await;
        let honest = Honest::with_many_devices(&app).await;
        Self::around(app, honest).await
    }

    async fn around(app: App<'s>, mut honest: Honest<'s>) -> Self {
        for _ in 0..WARM_UP {
            assert!(honest.log_in().await, "the honest users have no codes left");
        }
        Self { server: app.server, before: Vitals::of(app.server), app, honest }
    }

    /// What the server has in memory, in megabytes, as of the last attack.
    pub(crate) fn resident(&self) -> u64 {
        self.before.resident_megabytes()
    }

    /// Attacks while honest users log in, then waits until the server is as it was before this attack, give or take `megabytes`
    /// of memory.
    pub(crate) async fn attack<T>(
        &mut self,
        name: &str,
        megabytes: u64,
        attack: impl Future<Output = T>,
    ) -> T {
        let over = AtomicBool::new(false);
        let attack = async {
            let outcome = tokio::time::timeout(ATTACK_LIMIT, attack).await;
            over.store(true, Ordering::Relaxed);
            outcome.unwrap_or_else(|_| panic!("{name}: no end within {ATTACK_LIMIT:?}"))
        };
        let logins = async {
            let mut logins = 0;
            while logins < LOGINS || !over.load(Ordering::Relaxed) {
                if !self.honest.log_in().await {
                    break;
                }
                logins += 1;
                tokio::time::sleep(PAUSE).await;
            }
            logins
        };
        let (outcome, logins) = tokio::join!(attack, logins);
        assert!(logins >= LOGINS, "{name}: only {logins} honest logins");
        let after = self.before.recovered(self.server, megabytes).await;
        println!("{name}: {logins} honest logins; before {}, after {after}", self.before);
        self.before = after;
        outcome
    }
}

/// Stops the server and looks through its log.
pub(crate) fn end(server: Server) {
    let stopped = server.stop();
    assert_eq!(stopped.status.code(), Some(0), "{}", stopped.log);
    check_log(&stopped.log);
}

/// Nothing went wrong inside.
pub(crate) fn check_log(log: &str) {
    for trouble in ["panicked", "INTERNAL", r#""level":"ERROR""#] {
        let line = log.lines().find(|line| line.contains(trouble));
        assert_eq!(line, None, "the log speaks of `{trouble}`");
    }
}

/// Lets this process, and the servers it starts, open as many files as the system allows; gives how many.
pub(crate) fn raise_descriptors() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let wanted = Rlimit { current: limit.maximum, maximum: limit.maximum };
    setrlimit(Resource::Nofile, wanted).expect("the soft limit may be raised to the hard one");
    limit.maximum.unwrap_or(u64::MAX)
}
