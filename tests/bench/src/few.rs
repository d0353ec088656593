//! A store as small as most are: how much memory a server takes in which everybody logs in.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use crate::failure::{Failure, Outcome};
use crate::load::{Times, drive};
use crate::people::People;
use crate::plan::{Plan, USUAL};
use crate::results::StoreFacts;
use crate::rounds::{UNBOUNDED, check_store, imported, started};
use crate::servers::Site;
use crate::tokens;
use crate::vitals;
use crate::work::{World, login};

/// The store, in which everybody is and nobody has logged in yet.
pub struct Few {
    plan: Plan,
    site: Site,
    world: Arc<World>,
    imported_per_second: f64,
}

impl Few {
    /// Makes it beside another one. Everybody's codes count two time steps later.
    ///
    /// # Errors
    /// It cannot be made.
    pub async fn made(plan: Plan, beside: &Site) -> Outcome<Self> {
        let site = beside.another("few")?;
        let world = Arc::new(World::new(People::new(plan.few), &site.api_key));
        let imported_per_second = imported(&site, &world, 0).await?;
        Ok(Self { plan, site, world, imported_per_second })
    }

    /// Everybody logs in once, with a server that has done nothing else. The most memory that it had is the store's.
    ///
    /// # Errors
    /// An answer is not what it should be, or the store is not whole at the end.
    pub async fn logged_in(self) -> Outcome<StoreFacts> {
        let Self { plan, site, world, imported_per_second } = self;
        eprintln!("{} accounts log in …", plan.few);
        let (server, mut facts) = started(&site, plan.starts, plan.few).await?;
        if plan.development {
            // The clock that was moved is that of another server.
            server.pass(2).await?;
        }
        let left = Arc::new(AtomicU64::new(plan.few));
        let workers = (0..USUAL).map(|_| Times(login::Logins(Arc::clone(&world)), Arc::clone(&left)));
        let (load, _) = drive(server.address, workers.collect(), UNBOUNDED).await?;
        if load.done != plan.few {
            return Err(Failure::new(format!("of {} users {} logged in", plan.few, load.done)));
        }
        tokens::check(server.address, &world.take_logins()).await?;
        facts.imported_per_second = Some(imported_per_second);
        facts.memory_most = Some(vitals::memory(server.id())?.1);
        server.stop().await?;
        check_store(&site, plan.few)?;
        Ok(facts)
    }
}
