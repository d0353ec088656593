//! A token bucket per client address, over the endpoints that nobody has to prove anything for.
//!
//! Load protection and nothing else: what keeps codes from being guessed is the account's failure budget, which no address
//! widens. So whatever is in doubt here is let through.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use governor::clock::{Clock, Reference};
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};

/// Buckets at once, some 3 MB. A bucket that is full again is nobody's, and one request keeps one for as long as it takes
/// to fill by one: so many are in use only at millions of requests a second.
const MAX_BUCKETS: usize = 65_536;

/// Between two searches for buckets that are full again, each of which takes about a millisecond.
const TIDY_EVERY: Duration = Duration::from_secs(1);

/// What an address may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Requests a second, in the long run.
    pub per_second: NonZeroU32,
    /// Requests at once.
    pub burst: NonZeroU32,
}

/// Whom a bucket belongs to. A household or a machine has a /64 of IPv6 addresses at its disposal (RFC 6177), and
/// would have as many buckets if single addresses counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Client {
    V4(Ipv4Addr),
    V6([u16; 4]),
}

impl Client {
    /// The client at an address.
    pub(crate) fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address),
            IpAddr::V6(address) => Self::V6(network(address)),
        }
    }
}

fn network(address: Ipv6Addr) -> [u16; 4] {
    let [a, b, c, d, ..] = address.segments();
    [a, b, c, d]
}

/// The buckets of all addresses.
pub struct AddressLimit<C: Clock = Monotonic> {
    buckets: RateLimiter<Client, HashMapStateStore<Client>, C, NoOpMiddleware<C::Instant>>,
    clock: C,
    spares_loopback: bool,
    tidied: Mutex<C::Instant>,
}

/// The server's clock as governor reads it.
#[derive(Clone, Copy, Debug)]
pub struct Monotonic;

impl Clock for Monotonic {
    type Instant = Instant;

    fn now(&self) -> Instant {
        crate::clock::Clock::instant()
    }
}

impl AddressLimit {
    /// Full buckets. In development mode tests and tools knock from the loopback addresses, which are then `spared`.
    pub fn new(rate: Rate, spares_loopback: bool) -> Self {
        Self::on(Monotonic, rate, spares_loopback)
    }
}

impl<C: Clock + Clone> AddressLimit<C> {
    fn on(clock: C, rate: Rate, spares_loopback: bool) -> Self {
        let quota = Quota::per_second(rate.per_second).allow_burst(rate.burst);
        Self {
            buckets: RateLimiter::hashmap_with_clock(quota, clock.clone()),
            tidied: Mutex::new(clock.now()),
            clock,
            spares_loopback,
        }
    }

    /// Takes one token from an address's bucket.
    ///
    /// # Errors
    /// It is empty: the whole seconds until there is one again, at least 1.
    pub fn take(&self, address: IpAddr) -> Result<(), u64> {
        if (self.spares_loopback && address.to_canonical().is_loopback()) || !self.has_room() {
            return Ok(());
        }
        self.buckets.check_key(&Client::of(address)).map_err(|refused| {
            let wait = refused.wait_time_from(self.clock.now());
            wait.as_secs() + u64::from(wait.subsec_nanos() > 0 || wait.is_zero())
        })
    }

    fn has_room(&self) -> bool {
        if self.buckets.len() < MAX_BUCKETS {
            return true;
        }
        // Whoever finds it locked is let through: somebody is making room.
        let Ok(mut tidied) = self.tidied.try_lock() else { return false };
        let now = self.clock.now();
        if now.duration_since(*tidied) < TIDY_EVERY.into() {
            return false;
        }
        *tidied = now;
        self.buckets.retain_recent();
        self.buckets.len() < MAX_BUCKETS
    }
}

impl<C: Clock> fmt::Debug for AddressLimit<C> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("AddressLimit").field("buckets", &self.buckets.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;

    use super::*;

    fn limit(per_second: u32, burst: u32) -> (FakeRelativeClock, AddressLimit<FakeRelativeClock>) {
        let clock = FakeRelativeClock::default();
        let rate = Rate { per_second: per_second.try_into().unwrap(), burst: burst.try_into().unwrap() };
        (clock.clone(), AddressLimit::on(clock, rate, false))
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_burst_passes_and_what_is_beyond_it_waits_for_the_next_token() {
        let (clock, limit) = limit(2, 3);
        let ann = address("203.0.113.7");
        for _ in 0..3 {
            assert_eq!(limit.take(ann), Ok(()));
        }
        assert_eq!(limit.take(ann), Err(1));
        assert_eq!(limit.take(address("203.0.113.8")), Ok(()), "another address has its own");
        clock.advance(Duration::from_millis(500));
        assert_eq!(limit.take(ann), Ok(()));
        assert_eq!(limit.take(ann), Err(1));
        clock.advance(Duration::from_mins(1));
        for _ in 0..3 {
            assert_eq!(limit.take(ann), Ok(()));
        }
        assert_eq!(limit.take(ann), Err(1), "a bucket holds no more than a burst");
    }

    #[test]
    fn a_network_of_ipv6_is_one_client_and_ipv4_in_it_is_its_own() {
        let (_clock, limit) = limit(1, 1);
        assert_eq!(limit.take(address("2001:db8:1:2::1")), Ok(()));
        assert_eq!(limit.take(address("2001:db8:1:2:ffff:ffff:ffff:ffff")), Err(1));
        assert_eq!(limit.take(address("2001:db8:1:3::1")), Ok(()));
        assert_eq!(limit.take(address("203.0.113.7")), Ok(()));
        assert_eq!(limit.take(address("::ffff:203.0.113.7")), Err(1));
    }

    #[test]
    fn loopback_is_spared_where_it_is_said() {
        let rate = Rate { per_second: NonZeroU32::MIN, burst: NonZeroU32::MIN };
        let limit = AddressLimit::on(FakeRelativeClock::default(), rate, true);
        for _ in 0..10 {
            for spared in ["127.0.0.1", "::1", "::ffff:127.0.0.9"] {
                assert_eq!(limit.take(address(spared)), Ok(()));
            }
        }
        assert_eq!(limit.take(address("203.0.113.7")), Ok(()));
        assert_eq!(limit.take(address("203.0.113.7")), Err(1));
    }

    #[test]
    fn there_are_never_more_buckets_than_the_limit_and_room_is_made_for_newcomers() {
        let (clock, limit) = limit(1, 1);
        let nth = |number: usize| IpAddr::V4(Ipv4Addr::from(u32::try_from(number).unwrap()));
        for number in 0..MAX_BUCKETS {
            assert_eq!(limit.take(nth(number)), Ok(()));
        }
        for _ in 0..2 {
            assert_eq!(limit.take(nth(MAX_BUCKETS)), Ok(()), "let through without a bucket");
        }
        assert_eq!(limit.buckets.len(), MAX_BUCKETS);
        clock.advance(Duration::from_secs(3));
        assert_eq!(limit.take(nth(MAX_BUCKETS)), Ok(()));
        assert_eq!(limit.take(nth(MAX_BUCKETS)), Err(1), "it has a bucket now");
        assert_eq!(limit.buckets.len(), 1);
    }
}
