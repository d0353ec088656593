//! Token buckets: per client address, over the endpoints that nobody has to prove anything for and those by which users change
//! something; per account, over what its logins may repeat at will and what is written each time.
//!
//! Load protection and nothing else: what keeps codes from being guessed is the account's failure budget, which no address
//! widens. So whatever is in doubt here is let through. And no bucket stands in the way of a login: an account's is emptied by
//! those only who have its tokens, and never asked when a host opens a session or when a session is answered.

use std::fmt;
use std::hash::Hash;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use governor::clock::{Clock, Reference};
use governor::middleware::{StateInformationMiddleware, StateSnapshot};
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use sha2::{Digest as _, Sha256};
use sidekey_core::id::AccountId;

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

/// A bucket is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMany {
    /// Seconds until there is something in it again.
    pub seconds: u64,
    /// How full it is, where clients are told.
    pub level: Option<Level>,
}

/// How full a bucket is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// What a full one holds.
    pub most: u32,
    /// What is left.
    pub left: u32,
    /// Seconds in which an empty one fills.
    pub fills_in: u64,
    /// Seconds until this one is full.
    pub full_in: u64,
}

impl Level {
    fn of(quota: &Quota, left: u32) -> Self {
        let most = quota.burst_size().get();
        let missing = quota.replenish_interval().saturating_mul(most.saturating_sub(left));
        Self {
            most,
            left,
            fills_in: whole_seconds(quota.burst_size_replenished_in()),
            full_in: whole_seconds(missing),
        }
    }
}

/// Rounded up: who waits for so long has waited long enough.
fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

/// Step-up sessions, refreshes and setups of one account at once.
const ACCOUNT_BURST: NonZeroU32 = NonZeroU32::new(120).unwrap();

/// The same a minute, in the long run.
const ACCOUNT_PER_MINUTE: NonZeroU32 = NonZeroU32::new(20).unwrap();

/// The buckets of all addresses.
pub struct AddressLimit<C: Clock = Monotonic> {
    buckets: Buckets<Client, C>,
    spares_loopback: bool,
}

/// Tries at operators' passwords from one address.
const PASSWORDS: Rate = Rate { per_second: NonZeroU32::MIN, burst: NonZeroU32::MIN.saturating_add(19) };

/// The buckets of all accounts, by the first half of a hash.
pub struct AccountLimit<C: Clock = Monotonic>(Buckets<[u8; 16], C>);

struct Buckets<K: Hash + Eq + Clone, C: Clock> {
    limiter: RateLimiter<K, HashMapStateStore<K>, C, StateInformationMiddleware>,
    quota: Quota,
    clock: C,
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

    /// Those for the passwords of operators: as many as somebody types who has forgotten which of theirs it is.
    pub fn of_passwords(spares_loopback: bool) -> Self {
        Self::new(PASSWORDS, spares_loopback)
    }
}

impl<C: Clock + Clone> AddressLimit<C> {
    fn on(clock: C, rate: Rate, spares_loopback: bool) -> Self {
        let quota = Quota::per_second(rate.per_second).allow_burst(rate.burst);
        Self { buckets: Buckets::new(clock, quota), spares_loopback }
    }

    /// Takes one token from an address's bucket: how full that is then; `None` where none was taken.
    ///
    /// # Errors
    /// It is empty: the whole seconds until there is one again, at least 1.
    pub fn take(&self, address: IpAddr) -> Result<Option<Level>, u64> {
        if self.spares_loopback && address.to_canonical().is_loopback() {
            return Ok(None);
        }
        self.buckets.take(&Client::of(address))
    }

    /// An empty bucket.
    pub fn empty(&self) -> Level {
        Level::of(&self.buckets.quota, 0)
    }
}

impl AccountLimit {
    /// Full buckets.
    pub fn new() -> Self {
        Self::on(Monotonic)
    }
}

impl Default for AccountLimit {
    fn default() -> Self {
        Self::new()
    }
}

impl<C: Clock + Clone> AccountLimit<C> {
    fn on(clock: C) -> Self {
        Self(Buckets::new(clock, Quota::per_minute(ACCOUNT_PER_MINUTE).allow_burst(ACCOUNT_BURST)))
    }

    /// Takes one token from an account's bucket.
    ///
    /// # Errors
    /// It is empty: the whole seconds until there is one again, at least 1.
    pub fn take(&self, account: &AccountId) -> Result<(), u64> {
        let (app, user) = (account.app.as_str(), account.user.as_str());
        let hash = Sha256::new().chain_update(app).chain_update([0]).chain_update(user).finalize();
        let mut half = [0; 16];
        half.copy_from_slice(&<[u8; 32]>::from(hash)[..16]);
        self.0.take(&half).map(drop)
    }
}

impl<K: Hash + Eq + Clone, C: Clock + Clone> Buckets<K, C> {
    fn new(clock: C, quota: Quota) -> Self {
        let limiter = RateLimiter::hashmap_with_clock(quota, clock.clone()).with_middleware();
        Self { limiter, quota, tidied: Mutex::new(clock.now()), clock }
    }

    fn take(&self, owner: &K) -> Result<Option<Level>, u64> {
        if !self.has_room() {
            return Ok(None);
        }
        let level = |taken: StateSnapshot| Some(Level::of(&self.quota, taken.remaining_burst_capacity()));
        let taken = self.limiter.check_key(owner);
        taken.map(level).map_err(|refused| whole_seconds(refused.wait_time_from(self.clock.now())).max(1))
    }

    fn has_room(&self) -> bool {
        if self.limiter.len() < MAX_BUCKETS {
            return true;
        }
        // Whoever finds it locked is let through: somebody is making room.
        let Ok(mut tidied) = self.tidied.try_lock() else { return false };
        let now = self.clock.now();
        if now.duration_since(*tidied) < TIDY_EVERY.into() {
            return false;
        }
        *tidied = now;
        self.limiter.retain_recent();
        self.limiter.len() < MAX_BUCKETS
    }
}

impl<C: Clock> fmt::Debug for AddressLimit<C> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let buckets = self.buckets.limiter.len();
        formatter.debug_struct("AddressLimit").field("buckets", &buckets).finish_non_exhaustive()
    }
}

impl<C: Clock> fmt::Debug for AccountLimit<C> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("AccountLimit").field("buckets", &self.0.limiter.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;
    use sidekey_core::id::{AppId, UserId};

    use super::*;

    fn limit(per_second: u32, burst: u32) -> (FakeRelativeClock, AddressLimit<FakeRelativeClock>) {
        let clock = FakeRelativeClock::default();
        let rate = Rate { per_second: per_second.try_into().unwrap(), burst: burst.try_into().unwrap() };
        (clock.clone(), AddressLimit::on(clock, rate, false))
    }

    fn taken(limit: &AddressLimit<FakeRelativeClock>, address: IpAddr) -> Result<(), u64> {
        limit.take(address).map(drop)
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_burst_passes_and_what_is_beyond_it_waits_for_the_next_token() {
        let (clock, limit) = limit(2, 3);
        let ann = address("203.0.113.7");
        for _ in 0..3 {
            assert_eq!(taken(&limit, ann), Ok(()));
        }
        assert_eq!(taken(&limit, ann), Err(1));
        assert_eq!(taken(&limit, address("203.0.113.8")), Ok(()), "another address has its own");
        clock.advance(Duration::from_millis(500));
        assert_eq!(taken(&limit, ann), Ok(()));
        assert_eq!(taken(&limit, ann), Err(1));
        clock.advance(Duration::from_mins(1));
        for _ in 0..3 {
            assert_eq!(taken(&limit, ann), Ok(()));
        }
        assert_eq!(taken(&limit, ann), Err(1), "a bucket holds no more than a burst");
    }

    #[test]
    fn a_network_of_ipv6_is_one_client_and_ipv4_in_it_is_its_own() {
        let (_clock, limit) = limit(1, 1);
        assert_eq!(taken(&limit, address("2001:db8:1:2::1")), Ok(()));
        assert_eq!(taken(&limit, address("2001:db8:1:2:ffff:ffff:ffff:ffff")), Err(1));
        assert_eq!(taken(&limit, address("2001:db8:1:3::1")), Ok(()));
        assert_eq!(taken(&limit, address("203.0.113.7")), Ok(()));
        assert_eq!(taken(&limit, address("::ffff:203.0.113.7")), Err(1));
    }

    #[test]
    fn a_bucket_tells_what_is_left_and_when_it_is_full_again() {
        let (clock, limit) = limit(2, 4);
        let full = Level { most: 4, left: 4, fills_in: 2, full_in: 0 };
        let ann = address("203.0.113.7");
        assert_eq!(limit.take(ann), Ok(Some(Level { left: 3, full_in: 1, ..full })));
        assert_eq!(limit.take(ann), Ok(Some(Level { left: 2, full_in: 1, ..full })));
        assert_eq!(limit.take(ann), Ok(Some(Level { left: 1, full_in: 2, ..full })));
        assert_eq!(limit.empty(), Level { left: 0, full_in: 2, ..full });
        clock.advance(Duration::from_secs(2));
        assert_eq!(limit.take(ann), Ok(Some(Level { left: 3, full_in: 1, ..full })));
    }

    #[test]
    fn an_account_has_a_bucket_of_its_own() {
        let clock = FakeRelativeClock::default();
        let limit = AccountLimit::on(clock.clone());
        let of = |app: &str, user: &str| AccountId {
            app: AppId::parse(app).unwrap(),
            user: UserId::parse(user).unwrap(),
        };
        for _ in 0..ACCOUNT_BURST.get() {
            assert_eq!(limit.take(&of("shop", "ann")), Ok(()));
        }
        assert_eq!(limit.take(&of("shop", "ann")), Err(3));
        assert_eq!(limit.take(&of("shop", "bob")), Ok(()));
        assert_eq!(limit.take(&of("club", "ann")), Ok(()));
        clock.advance(Duration::from_secs(3));
        assert_eq!(limit.take(&of("shop", "ann")), Ok(()));
        assert_eq!(limit.take(&of("shop", "ann")), Err(3));
    }

    #[test]
    fn loopback_is_spared_where_it_is_said() {
        let rate = Rate { per_second: NonZeroU32::MIN, burst: NonZeroU32::MIN };
        let limit = AddressLimit::on(FakeRelativeClock::default(), rate, true);
        for _ in 0..10 {
            for spared in ["127.0.0.1", "::1", "::ffff:127.0.0.9"] {
                assert_eq!(taken(&limit, address(spared)), Ok(()));
            }
        }
        assert_eq!(taken(&limit, address("203.0.113.7")), Ok(()));
        assert_eq!(taken(&limit, address("203.0.113.7")), Err(1));
    }

    #[test]
    fn there_are_never_more_buckets_than_the_limit_and_room_is_made_for_newcomers() {
        let (clock, limit) = limit(1, 1);
        let nth = |number: usize| IpAddr::V4(Ipv4Addr::from(u32::try_from(number).unwrap()));
        for number in 0..MAX_BUCKETS {
            assert_eq!(taken(&limit, nth(number)), Ok(()));
        }
        for _ in 0..2 {
            assert_eq!(taken(&limit, nth(MAX_BUCKETS)), Ok(()), "let through without a bucket");
        }
        assert_eq!(limit.buckets.limiter.len(), MAX_BUCKETS);
        clock.advance(Duration::from_secs(3));
        assert_eq!(taken(&limit, nth(MAX_BUCKETS)), Ok(()));
        assert_eq!(taken(&limit, nth(MAX_BUCKETS)), Err(1), "it has a bucket now");
        assert_eq!(limit.buckets.limiter.len(), 1);
    }
}
