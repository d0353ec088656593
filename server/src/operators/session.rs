//! Browsers that operators have signed in with: an opaque cookie of 256 bits, of which only the hash is kept.
//!
//! A session names the generation of its operator, so that one write ends all of them: of an operator who was removed, and of one whose
//! role, password or second factor is another now.

use data_encoding::BASE64URL_NOPAD;
use sidekey_core::time::UnixTime;

use super::record::{self, AdminSession, Operator, Stage};
use super::{ATTEMPTS, OperatorName, Operators, busy};
use crate::audit::{Entry, Origin, ServerEvent};
use crate::caller::hash;
use crate::entropy::random;
use crate::store::{Batch, CommitError, Key, StoreError};

/// Longest life of a session, in seconds: 12 hours.
pub const LIFETIME: u64 = 12 * 3_600;
/// Longest time without a request, in seconds: 30 minutes.
pub const IDLE: u64 = 30 * 60;
/// Longest time between password and second factor, in seconds: a setup lives ten minutes.
const HALF_WAY: u64 = 15 * 60;
/// How exactly the last use is kept, in seconds: a request does not write more often.
const GRAIN: u64 = 60;

/// A session that has just begun.
pub struct NewSession {
    /// What its cookie holds. It is stored nowhere.
    pub cookie: String,
}

impl std::fmt::Debug for NewSession {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("NewSession(…)")
    }
}

/// What a session is found by.
pub fn hash_of_cookie(cookie: &str) -> [u8; 32] {
    hash(cookie)
}

impl AdminSession {
    /// Whether it counts at `now` for its operator as they are now.
    fn counts(&self, operator: &Operator, now: UnixTime) -> bool {
        let longest = match self.stage {
            Stage::Password => HALF_WAY,
            Stage::SecondFactor(_) => LIFETIME,
        };
        self.generation == operator.generation
            && now.since(self.opened_at) < longest
            && now.since(self.used_at) < IDLE
    }
}

/// Adds a new session to a batch.
pub(super) fn begin(
    batch: &mut Batch,
    operator: &Operator,
    stage: Stage,
    now: UnixTime,
) -> Result<NewSession, StoreError> {
    let cookie = BASE64URL_NOPAD.encode(&random::<32>());
    let place = record::session_place(&hash(&cookie));
    let session = AdminSession {
        operator: operator.name.clone(),
        generation: operator.generation,
        opened_at: now,
        used_at: now,
        stage,
    };
    let value = record::encode_session(&place, &session)?;
    batch.put(Key::expiry(now.plus(LIFETIME), &place), Vec::new());
    batch.expect(place.clone(), None).put(place, value);
    Ok(NewSession { cookie })
}

impl Operators {
    /// The session with this hash of its cookie, and whose it is, if it counts at `now`. That it was used is noted, once a minute.
    ///
    /// # Errors
    /// The store is not available.
    pub async fn session(
        &self,
        cookie_hash: &[u8; 32],
        now: UnixTime,
    ) -> Result<Option<(AdminSession, Operator)>, StoreError> {
        let place = record::session_place(cookie_hash);
        let Some(stored) = self.engine.get(&place).await? else { return Ok(None) };
        let mut session = record::decode_session(&place, &stored)?;
        let Some(operator) = self.find(&session.operator).await? else { return Ok(None) };
        if !session.counts(&operator, now) {
            return Ok(None);
        }
        if now.since(session.used_at) >= GRAIN {
            session.used_at = now;
            let mut batch = Batch::new();
            batch.decided_at(now).expect(place.clone(), Some(stored.version));
            let value = record::encode_session(&place, &session)?;
            batch.put(place, value);
            match self.engine.commit(batch).await {
                // Another request of the same browser has noted it, or ended it: the next one will see.
                Ok(()) | Err(CommitError::Conflict(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Some((session, operator)))
    }

    /// Whether an operator is signed in with this session, both factors given. That it was asked counts as no use of it.
    ///
    /// # Errors
    /// The store is not available.
    pub async fn is_signed_in(&self, cookie_hash: &[u8; 32], now: UnixTime) -> Result<bool, StoreError> {
        let place = record::session_place(cookie_hash);
        let Some(stored) = self.engine.get(&place).await? else { return Ok(false) };
        let session = record::decode_session(&place, &stored)?;
        let Some(operator) = self.find(&session.operator).await? else { return Ok(false) };
        Ok(matches!(session.stage, Stage::SecondFactor(_)) && session.counts(&operator, now))
    }

    /// Ends the session in which only the password was given and begins the one in which the second factor was, under another cookie.
    /// `None`: it does not count any more.
    ///
    /// # Errors
    /// The store is not available.
    pub async fn complete(
        &self,
        cookie_hash: &[u8; 32],
        origin: &Origin,
    ) -> Result<Option<NewSession>, StoreError> {
        let (now, half) = (origin.at, record::session_place(cookie_hash));
        for _ in 0..ATTEMPTS {
            let Some((session, operator)) = self.session(cookie_hash, now).await? else { return Ok(None) };
            let Some(stored) = self.engine.get(&half).await? else { return Ok(None) };
            let Some((_, version)) =
                self.read(&operator.name).await?.filter(|(now, _)| now.generation == session.generation)
            else {
                return Ok(None);
            };
            let mut batch = Batch::new();
            batch.decided_at(now).expect(half.clone(), Some(stored.version)).delete(half.clone());
            batch.expect(record::operator_place(&operator.name), Some(version));
            let begun = begin(&mut batch, &operator, Stage::SecondFactor(now), now)?;
            let event = ServerEvent::OperatorSignedIn { operator: operator.name.to_string() };
            batch.append(Entry::of_server(None, origin, &event).to_bytes());
            if self.settled(batch).await? {
                return Ok(Some(begun));
            }
        }
        Err(busy())
    }

    /// Notes that the second factor was given again; whether the session still counts.
    ///
    /// # Errors
    /// The store is not available.
    pub async fn confirmed_again(&self, cookie_hash: &[u8; 32], now: UnixTime) -> Result<bool, StoreError> {
        let place = record::session_place(cookie_hash);
        for _ in 0..ATTEMPTS {
            let Some((mut session, _)) = self.session(cookie_hash, now).await? else { return Ok(false) };
            let Some(stored) = self.engine.get(&place).await? else { return Ok(false) };
            session.stage = Stage::SecondFactor(now);
            let mut batch = Batch::new();
            batch.decided_at(now).expect(place.clone(), Some(stored.version));
            batch.put(place.clone(), record::encode_session(&place, &session)?);
            if self.settled(batch).await? {
                return Ok(true);
            }
        }
        Err(busy())
    }

    /// Ends a session. One that is over stays so.
    ///
    /// # Errors
    /// The store is not available.
    pub async fn end_session(
        &self,
        cookie_hash: &[u8; 32],
        operator: &OperatorName,
        origin: &Origin,
    ) -> Result<(), StoreError> {
        let place = record::session_place(cookie_hash);
        for _ in 0..ATTEMPTS {
            let Some(stored) = self.engine.get(&place).await? else { return Ok(()) };
            let event = ServerEvent::OperatorSignedOut { operator: operator.to_string() };
            let mut batch = Batch::new();
            batch.decided_at(origin.at).expect(place.clone(), Some(stored.version)).delete(place.clone());
            batch.append(Entry::of_server(None, origin, &event).to_bytes());
            if self.settled(batch).await? {
                return Ok(());
            }
        }
        Err(busy())
    }
}
