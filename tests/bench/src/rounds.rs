//! The order in which everything is measured.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::disk;
use crate::failure::{Failure, Outcome};
use crate::few::Few;
use crate::load::{Load, Worker, drive};
use crate::people::People;
use crate::plan::{FEW, Plan, USUAL};
use crate::results::{Kind, Measured, Round, Stage, StoreFacts, medians, middle};
use crate::servers::{self, Process, Server, Site};
use crate::tokens;
use crate::vitals;
use crate::work::{World, ceiling, decision, enrolment, import, login, refresh};

/// Longer than anything that ends by itself takes.
pub(crate) const UNBOUNDED: Duration = Duration::from_hours(2);
/// Sessions are opened for less than they live.
const OPENING: Duration = Duration::from_mins(2);

/// Numbers and stores of a run.
pub struct Told {
    /// The medians.
    pub measured: Vec<Measured>,
    /// The stores.
    pub stores: Vec<StoreFacts>,
}

/// A run in progress.
struct Run<'a> {
    plan: Plan,
    site: &'a Site,
    ceiling: (Process, SocketAddr),
    enrolled: Arc<AtomicU64>,
}

/// Measures everything.
///
/// # Errors
/// A server does not start, an answer is not what it should be, or the store is not whole at the end.
pub async fn run(plan: Plan, site: &Site) -> Outcome<Told> {
    let run = Run { plan, site, ceiling: servers::ceiling()?, enrolled: Arc::default() };
    eprintln!("starts with an empty store …");
    let (server, empty) = started(site, plan.starts, 0).await?;
    server.stop().await?;
    // While the others wait until their codes count, so do these.
    let few = Few::made(plan, site).await?;

    let world = Arc::new(World::new(People::new(plan.users), &site.api_key));
    let (server, mut usual) = run.filled(&world, 0).await?;
    let mut rounds = Vec::new();
    for number in 1..=plan.rounds {
        eprintln!("round {number} of {} with {} accounts", plan.rounds, plan.users);
        rounds.push(run.round(&world, &server, plan.connections, true).await?);
    }
    usual.memory_most = Some(vitals::memory(server.id())?.1);
    server.stop().await?;
    let mut stores = vec![empty, few.logged_in().await?, usual];

    if let Some(accounts) = plan.large {
        let world = Arc::new(World::new(People::new(accounts), &site.api_key));
        let (server, mut large) = run.filled(&world, plan.users).await?;
        eprintln!("{accounts} accounts");
        rounds.push(run.round(&world, &server, &[USUAL], false).await?);
        large.memory_most = Some(vitals::memory(server.id())?.1);
        stores.push(large);
        server.stop().await?;
    }
    // Who began to enrol when a stage ended may be there too.
    check_store(site, plan.large.unwrap_or(plan.users) + run.enrolled.load(Ordering::Relaxed))?;
    Ok(Told { measured: medians(rounds), stores })
}

/// What a database gave by itself and below a server, over so many connections.
#[derive(Clone, Copy, Debug)]
pub struct Beside {
    /// How many.
    pub connections: usize,
    /// Transactions of pgbench a second, before and after.
    pub pgbench: [f64; 2],
    /// Sessions opened and answered.
    pub logins: Load,
    /// Sessions answered.
    pub verifies: Load,
}

/// Measures logins and verifies, and beside them what `pgbench` gives for a number of connections.
///
/// # Errors
/// As [`run`].
pub async fn beside(
    plan: Plan,
    site: &Site,
    pgbench: impl AsyncFn(usize) -> Outcome<f64>,
) -> Outcome<Vec<Beside>> {
    let run = Run { plan, site, ceiling: servers::ceiling()?, enrolled: Arc::default() };
    let world = Arc::new(World::new(People::new(plan.users), &site.api_key));
    let (server, _) = run.filled(&world, 0).await?;
    let (mut all, mut round) = (Vec::new(), Round::default());
    for &connections in plan.connections {
        let stage = |kind| Stage { accounts: plan.users, kind, connections };
        let before = pgbench(connections).await?;
        rested(&world, &server, plan.users / 3).await?;
        let workers = (0..connections).map(|_| login::Logins(Arc::clone(&world))).collect();
        let logins = run.measure(&mut round, &server, stage(Kind::Logins), workers).await?;
        let verifies =
            run.verifies(&mut round, &world, &server, stage(Kind::Verifies), logins.per_second).await?;
        let pgbench = [before, pgbench(connections).await?];
        all.push(Beside { connections, pgbench, logins, verifies });
    }
    tokens::check(server.address, &world.take_logins()).await?;
    server.stop().await?;
    Ok(all)
}

impl Run<'_> {
    /// Imports the users from `there` on, then starts the server anew.
    async fn filled(&self, world: &Arc<World>, there: u64) -> Outcome<(Server, StoreFacts)> {
        let imported = imported(self.site, world, there).await?;
        eprintln!("starts …");
        let (server, facts) = started(self.site, self.plan.starts, world.people.count()).await?;
        // No code counts that could have been used where the users come from: the first one is that of the step after the next.
        eprintln!("waiting until their codes count …");
        server.pass(2).await?;
        Ok((server, StoreFacts { imported_per_second: Some(imported), ..facts }))
    }

    /// Measures everything once.
    async fn round(
        &self,
        world: &Arc<World>,
        server: &Server,
        connections: &[usize],
        whole: bool,
    ) -> Outcome<Round> {
        let accounts = world.people.count();
        let stage = |kind, connections| Stage { accounts, kind, connections };
        let mut round = Round::default();
        self.syncs(&mut round, stage(Kind::Syncs, 1)).await?;
        self.ceilings(&mut round, accounts, whole).await?;
        world.take_logins();
        for &count in connections {
            // A third of the users is more than a stage has a turn for.
            rested(world, server, world.people.count() / 3).await?;
            let workers = (0..count).map(|_| login::Logins(Arc::clone(world))).collect();
            let load = self.measure(&mut round, server, stage(Kind::Logins, count), workers).await?;
            self.echo(&mut round, accounts).await?;
            self.verifies(&mut round, world, server, stage(Kind::Verifies, count), load.per_second).await?;
            if count == 1 {
                self.syncs(&mut round, stage(Kind::Syncs, 1)).await?;
            }
        }
        let logins = world.take_logins();
        tokens::check(server.address, &logins).await?;
        if whole {
            let logins = Arc::new(logins);
            let workers = decision::Decisions::all(&logins, USUAL);
            self.measure(&mut round, server, stage(Kind::Decisions, USUAL), workers).await?;
            self.echo(&mut round, accounts).await?;
            let workers = refresh::Refreshes::all(&logins, USUAL);
            self.measure(&mut round, server, stage(Kind::Refreshes, USUAL), workers).await?;
            let workers = enrolment::Enrolments::all(world, &self.enrolled, FEW);
            self.measure(&mut round, server, stage(Kind::Enrolments, FEW), workers).await?;
        }
        Ok(round)
    }

    /// What the disk gives at the moment.
    async fn syncs(&self, round: &mut Round, stage: Stage) -> Outcome {
        let (folder, limit) = (self.site.folder().to_owned(), self.plan.stage / 2);
        let syncing = tokio::task::spawn_blocking(move || disk::syncs(&folder, limit));
        let load = syncing.await.map_err(Failure::because("the load client broke"))??;
        tell(stage, &load);
        round.note(stage, load, None);
        Ok(())
    }

    /// What the stack gives at the moment.
    async fn ceilings(&self, round: &mut Round, accounts: u64, whole: bool) -> Outcome {
        if whole {
            let (process, address) = &self.ceiling;
            let workers = (0..USUAL).map(|_| ceiling::Fixed).collect();
            let stage = Stage { accounts, kind: Kind::Fixed, connections: USUAL };
            measured(round, (process.id(), *address), stage, workers, self.plan.stage / 2).await?;
        }
        self.echo(round, accounts).await
    }

    async fn echo(&self, round: &mut Round, accounts: u64) -> Outcome {
        let (process, address) = &self.ceiling;
        let workers = (1..=USUAL as u64).map(ceiling::Echo::new).collect();
        let stage = Stage { accounts, kind: Kind::Echo, connections: USUAL };
        measured(round, (process.id(), *address), stage, workers, self.plan.stage / 2).await?;
        Ok(())
    }

    /// Opens sessions, which is not measured, and answers them.
    async fn verifies(
        &self,
        round: &mut Round,
        world: &Arc<World>,
        server: &Server,
        stage: Stage,
        logins: f64,
    ) -> Outcome<Load> {
        // A verify is less than half of a login; what is left over ends by itself.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a number of seconds' logins"
        )]
        let wanted = (logins * self.plan.stage.as_secs_f64() * 3.0) as usize + stage.connections;
        let most = usize::try_from(world.people.count() / 3).unwrap_or(usize::MAX);
        let waiting = login::Waiting::of(wanted.min(most));
        let openings = (0..USUAL).map(|_| login::Openings(Arc::clone(world), Arc::clone(&waiting))).collect();
        rested(world, server, wanted.min(most) as u64).await?;
        drive::<login::Openings>(server.address, openings, OPENING).await?;
        let workers = (0..stage.connections)
            .map(|_| login::Verifies(Arc::clone(world), Arc::clone(&waiting)))
            .collect();
        self.measure::<login::Verifies>(round, server, stage, workers).await
    }

    async fn measure<W: Worker>(
        &self,
        round: &mut Round,
        server: &Server,
        stage: Stage,
        workers: Vec<W>,
    ) -> Outcome<Load> {
        measured(round, (server.id(), server.address), stage, workers, self.plan.stage).await
    }
}

/// Starts the server, often enough for a median.
pub(crate) async fn started(site: &Site, starts: usize, accounts: u64) -> Outcome<(Server, StoreFacts)> {
    let mut took = Vec::new();
    loop {
        let (server, started) = site.start().await?;
        took.push(started.as_secs_f64() * 1_000.0);
        if accounts > 0 {
            server.looked_through().await?;
        }
        if took.len() < starts {
            server.stop().await?;
            continue;
        }
        let start_ms = middle(took).unwrap_or_default();
        let (memory_idle, _) = vitals::memory(server.id())?;
        let disk = disk::used(&site.data())?;
        let facts = StoreFacts {
            accounts,
            imported_per_second: None,
            disk,
            start_ms,
            memory_idle,
            memory_most: None,
        };
        return Ok((server, facts));
    }
}

/// Imports the users from `there` on, by a server that ends then, and tells how many a second.
pub(crate) async fn imported(site: &Site, world: &Arc<World>, there: u64) -> Outcome<f64> {
    let accounts = world.people.count();
    let missing = accounts.saturating_sub(there);
    eprintln!("importing {missing} accounts …");
    let (server, _) = site.start().await?;
    let workers = import::Import::all(world, there, accounts, USUAL);
    let (load, _) = drive(server.address, workers, UNBOUNDED).await?;
    server.stop().await?;
    #[expect(clippy::cast_precision_loss, reason = "nobody needs the last digit")]
    let imported = missing as f64 / load.seconds;
    eprintln!("  {imported:.0} a second");
    Ok(imported)
}

/// Looks through a whole store: nothing is damaged, and whoever was acknowledged is there.
pub(crate) fn check_store(site: &Site, wanted: u64) -> Outcome {
    eprintln!("verifying the store …");
    let told = site.verify()?;
    let accounts = told.pointer("/tally/accounts").and_then(serde_json::Value::as_u64);
    if accounts == Some(wanted) {
        return Ok(());
    }
    Err(Failure::new(format!("the store has {accounts:?} accounts, and should have {wanted}")))
}

/// Waits until so many users have a code to give.
async fn rested(world: &World, server: &Server, wanted: u64) -> Outcome {
    if world.people.are_ready(wanted) { Ok(()) } else { server.pass(1).await }
}

/// Drives workers, notes and tells what came of it.
async fn measured<W: Worker>(
    round: &mut Round,
    (pid, address): (u32, SocketAddr),
    stage: Stage,
    workers: Vec<W>,
    limit: Duration,
) -> Outcome<Load> {
    let before = vitals::processor(pid)?;
    let (load, _) = drive(address, workers, limit).await?;
    let used = vitals::processor(pid)?.saturating_sub(before);
    if load.done == 0 {
        return Err(Failure::new(format!("{:?}: nothing could be measured", stage.kind)));
    }
    tell(stage, &load);
    #[expect(clippy::cast_precision_loss, reason = "nobody needs the last digit")]
    round.note(stage, load, Some(used.as_secs_f64() * 1_000_000.0 / load.done as f64));
    Ok(load)
}

fn tell(stage: Stage, load: &Load) {
    let Load { per_second, p50_ms, p99_ms, .. } = load;
    let Stage { kind, connections, .. } = stage;
    let kind = format!("{kind:?}").to_lowercase();
    eprintln!(
        "  {kind:<10} {connections:>4} connections  {per_second:>9.0} a second  p50 {p50_ms:.2} ms  p99 {p99_ms:.2} ms"
    );
}
