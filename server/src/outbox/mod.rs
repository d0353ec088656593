//! The outbox: what happens is told to each destination at least once, and about one user in its order.
//!
//! - [`record`]: what is kept: how far a destination is, and what it has not taken;
//! - [`schedule`]: when it is tried again;
//! - `delivery`: messages side by side, those about one user in their order;
//! - [`worker`]: the work for one destination;
//! - [`orders`]: what an operator sees of it, and does.
//!
//! The audit trail itself is the queue: an entry is there exactly when its change is, in the same commit, and it is kept long after
//! it was told. So each destination needs a cursor in the trail and nothing else, and no change pays for being told. Only what a
//! destination has refused is noted by itself, with everything about the same user that comes after it, so that one message that
//! cannot be delivered holds up nobody else. While a destination takes nothing at all, its cursor stands.

mod delivery;
pub mod orders;
pub mod record;
pub mod schedule;
#[cfg(test)]
mod tests;
pub mod worker;

use std::sync::Arc;

use crate::clock::Clock;
use crate::notify::Deliver;
use crate::notify::owner::Owners;
use crate::notify::rule::Rule;
use crate::store::Engine;
use worker::Worker;

pub use record::Name;

/// Somebody who is told.
#[derive(Debug)]
pub struct Destination {
    /// Its name in the settings, the log and the store.
    pub name: Name,
    /// Of what.
    pub rule: Rule,
    /// How.
    pub way: Box<dyn Deliver>,
}

/// Tells all destinations for as long as it is polled.
pub async fn run(
    engine: Arc<dyn Engine>,
    clock: Clock,
    owners: Arc<dyn Owners>,
    destinations: Vec<Arc<Destination>>,
) {
    let worker =
        |destination| Worker::new(Arc::clone(&engine), clock.clone(), Arc::clone(&owners), destination);
    let workers = destinations.into_iter().map(|destination| worker(destination).run());
    futures_util::future::join_all(workers).await;
}
