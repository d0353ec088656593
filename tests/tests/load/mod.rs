//! Load with a memory: clients that change everything a server stores, remember what it acknowledged and what was on
//! its way when it went down, and find out afterwards whether it kept its word.
//!
//! | module | purpose |
//! |---|---|
//! | [`world`] | what all clients share: the servers' addresses, their clock, the findings |
//! | [`account`] | what one client knows of one user: the model |
//! | [`work`] | the operations of the load |
//! | [`settle`] | what was in flight when the server went down: did it happen? |
//! | [`check`] | the model against the server |
//!
//! An account belongs to one client and does one operation at a time (though some are several requests at once), so that the
//! model is exact: everything answered happened, and of what was in flight either nothing or all of it did.

mod account;
mod check;
mod settle;
mod work;
mod world;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::StreamExt;
use futures_util::stream;

use account::{Account, Stage};
pub(crate) use sidekey_tests::random::Random;
pub(crate) use world::World;

/// Clients at once.
const CLIENTS: usize = 12;
/// Accounts in use that each client has. Few: an enrolment costs the server ten Argon2id hashes.
const ACCOUNTS: usize = 2;
/// Accounts checked at once.
const CHECKERS: usize = 16;
/// Of the accounts that are not in use any more, this many are looked at after each crash; all of them at the end.
const SAMPLE: usize = 12;

/// All accounts of one data folder, over any number of servers.
pub(crate) struct Load {
    random: Random,
    accounts: Vec<Account>,
    retired: Vec<Account>,
    made: Arc<AtomicUsize>,
}

/// What a run of checks has found and done.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// What the server got wrong, in words.
    pub(crate) findings: Vec<String>,
    /// Accounts looked at.
    pub(crate) accounts: usize,
    /// Codes replayed that only their use could make wrong: they were within the window.
    pub(crate) replays: u64,
    /// The latest time that the server told.
    pub(crate) reached: u64,
    /// Changes that it acknowledged under load.
    pub(crate) acknowledged: u64,
}

impl Load {
    pub(crate) fn new(random: Random) -> Self {
        Self { random, accounts: Vec::new(), retired: Vec::new(), made: Arc::default() }
    }

    /// Lets the clients work until so many changes are acknowledged, and goes on while this goes wrong: each until it gets no
    /// answer, or one that the database is away, and all until it is over. Gives what was wrong besides.
    pub(crate) async fn run_until(
        &mut self,
        world: World,
        acknowledged: u64,
        outage: impl AsyncFnOnce(),
    ) -> Report {
        let world = Arc::new(world);
        let mut shares: Vec<Vec<Account>> = (0..CLIENTS).map(|_| Vec::new()).collect();
        for (index, account) in self.accounts.drain(..).enumerate() {
            shares[index % CLIENTS].push(account);
        }
        let clients: Vec<_> = shares
            .into_iter()
            .map(|share| {
                tokio::spawn(client(share, Arc::clone(&self.made), Arc::clone(&world), self.random.fork()))
            })
            .collect();
        let clock = tokio::spawn({
            let world = Arc::clone(&world);
            async move { while world.tick().await.is_ok() {} }
        });
        world.wait_for(acknowledged).await;
        world.goes_down();
        outage().await;
        world.ends();
        for client in clients {
            self.accounts.extend(client.await.expect("a client does not panic"));
        }
        clock.await.expect("the clock does not panic");
        Report {
            findings: world.findings(),
            reached: world.reached(),
            acknowledged: world.count(),
            ..Report::default()
        }
    }

    /// Checks a server that was started on what the last one left: all accounts in use, and a sample of the others
    /// or, at the end, all of them.
    pub(crate) async fn check(&mut self, world: &World, all: bool) -> Report {
        let old = if all { self.retired.len() } else { SAMPLE.min(self.retired.len()) };
        let cut = self.retired.len() - old;
        self.random.shuffle(&mut self.retired);
        let mut accounts: Vec<Account> = self.retired.split_off(cut);
        accounts.append(&mut self.accounts);
        // What must be refused now comes first, while codes are still within their window; then, a step later, what
        // must be accepted.
        accounts = self.each(accounts, world, check::before_the_next_step).await;
        world.next_step().await;
        accounts = self.each(accounts, world, check::after_the_next_step).await;
        let report = Report {
            findings: world.findings(),
            accounts: accounts.len(),
            replays: world.replays(),
            reached: world.reached(),
            acknowledged: 0,
        };
        let (retired, used) = accounts.into_iter().partition(Account::is_retired);
        self.accounts = used;
        self.retired.extend(retired);
        report
    }

    async fn each<F>(&mut self, accounts: Vec<Account>, world: &World, check: F) -> Vec<Account>
    where
        F: AsyncFn(&mut Account, &World, &mut Random) -> Result<(), world::Down>,
    {
        let check = &check;
        stream::iter(accounts)
            .map(|mut account| {
                let mut random = self.random.fork();
                async move {
                    if account.stage != Stage::Dropped
                        && check(&mut account, world, &mut random).await.is_err()
                    {
                        world.found(&account.user, "the server went away during the checks");
                    }
                    account
                }
            })
            .buffer_unordered(CHECKERS)
            .collect()
            .await
    }
}

/// One client: does one thing after the other with its accounts until the server is gone, then gives them back.
async fn client(
    mut share: Vec<Account>,
    made: Arc<AtomicUsize>,
    world: Arc<World>,
    mut random: Random,
) -> Vec<Account> {
    let mut worn_out = Vec::new();
    loop {
        worn_out.extend(share.extract_if(.., |account| account.is_retired()));
        while share.len() < ACCOUNTS {
            share.push(Account::new(format!("user-{}", made.fetch_add(1, Ordering::SeqCst))));
        }
        if world.is_over() || work::one(random.pick_mut(&mut share), &world, &mut random).await.is_err() {
            worn_out.extend(share);
            return worn_out;
        }
    }
}
