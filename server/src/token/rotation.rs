//! The next signing key, and what becomes of the one before it.
//!
//! ```text
//! rotate                 turn                      over
//!   │ new: published       │ new: signs
//!   │ old: signs           │ old: published           │ old: removed
//!   ├───── overlap ────────┼── 15 min and a margin ───┤
//! ```
//!
//! The overlap is at least as long as verifiers may keep the key set, so that all of them know the new key when it begins to
//! sign. The rotation writes one batch; what follows goes by the times that stand in it, and the sweep removes what is over.

use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use sidekey_core::time::UnixTime;

use super::stored::{self, SignerError, StoredKey};
use super::{JWKS_MAX_AGE, Term};
use crate::audit::{Entry, Origin, ServerEvent};
use crate::keyring::Keyring;
use crate::store::{Batch, CommitError, Engine, Key, Record};

/// Longest overlap, in seconds: 30 days.
pub const MAX_OVERLAP: u64 = 30 * 24 * 60 * 60;

/// Seconds until another process of a cluster has read the signing keys again, also where one reading failed: it does every 30 s.
pub const READ_AGAIN: u64 = 120;

/// Attempts against a rotation at the same time.
const ATTEMPTS: usize = 8;

/// A signing key as the operator sees it. Unix times.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyStatus {
    /// Its id, as in the key set.
    pub kid: String,
    /// What it does now.
    pub phase: Phase,
    /// When it was made and published.
    pub created_at: UnixTime,
    /// When its turn comes, if that is known and lies in the future.
    pub signs_from: Option<UnixTime>,
    /// From when on it signs nothing more; `None`: nobody has decided.
    pub signs_until: Option<UnixTime>,
    /// From when on it is neither used nor published any more.
    pub removed_at: Option<UnixTime>,
}

/// What a key does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// It is published and does not sign yet.
    Next,
    /// It signs.
    Signing,
    /// It is published for the tokens that it has signed.
    Retired,
    /// It is not used any more, and the next sweep removes it.
    Over,
}

/// Why signing keys are not rotated. The texts are for the operator.
#[derive(Debug, thiserror::Error)]
pub enum RotationError {
    /// The new key would sign before every verifier knows it, or the operator would have forgotten it.
    #[error(
        "the overlap must be {JWKS_MAX_AGE} to {MAX_OVERLAP} seconds: verifiers may keep the key set for {JWKS_MAX_AGE}"
    )]
    Overlap,
    /// One rotation at a time.
    #[error(
        "a rotation is under way: key `{kid}` has not begun to sign yet; `sidekey keys list-jwt` tells when it does"
    )]
    UnderWay {
        /// The key that comes next.
        kid: String,
    },
    /// The store or the keyring fails.
    #[error(transparent)]
    Signer(#[from] SignerError),
}

impl From<CommitError> for RotationError {
    fn from(error: CommitError) -> Self {
        Self::Signer(error.into())
    }
}

/// Makes a key that begins to sign `overlap` seconds from now, when the present one stops. Gives all keys.
///
/// # Errors
/// The overlap is none, a rotation is under way, or the store fails.
pub async fn rotate(
    engine: &dyn Engine,
    keyring: &Keyring,
    overlap: u64,
    origin: &Origin,
    rng: &mut (impl CryptoRng + Send),
) -> Result<Vec<KeyStatus>, RotationError> {
    if !(JWKS_MAX_AGE..=MAX_OVERLAP).contains(&overlap) {
        return Err(RotationError::Overlap);
    }
    for _ in 1..ATTEMPTS {
        match try_rotate(engine, keyring, overlap, origin, rng).await {
            Err(RotationError::Signer(SignerError::Commit(CommitError::Conflict(_)))) => {}
            outcome => return outcome,
        }
    }
    try_rotate(engine, keyring, overlap, origin, rng).await
}

async fn try_rotate(
    engine: &dyn Engine,
    keyring: &Keyring,
    overlap: u64,
    origin: &Origin,
    rng: &mut (impl CryptoRng + Send),
) -> Result<Vec<KeyStatus>, RotationError> {
    // Other processes publish the new key when they have read it.
    let lag = if engine.is_shared() { READ_AGAIN } else { 0 };
    let (now, turn) = (origin.at, origin.at.plus(overlap).plus(lag));
    // Judged and changed is one and the same reading, whose versions the commit expects.
    let records = stored::scan(engine).await.map_err(SignerError::from)?;
    let next = statuses(&records, now)?.into_iter().find(|key| key.phase == Phase::Next);
    if let Some(KeyStatus { kid, .. }) = next {
        return Err(RotationError::UnderWay { kid });
    }
    let mut batch = Batch::new();
    let note = |batch: &mut Batch, event| {
        batch.append(Entry::of_server(None, origin, &event).to_bytes());
    };
    for (place, record) in records {
        let StoredKey::Es256 { created_at, retired_at: None, pkcs8 } = stored::decode(&place, &record)?
        else {
            continue;
        };
        let retired = StoredKey::Es256 { created_at, retired_at: Some(turn), pkcs8 };
        note(&mut batch, ServerEvent::SigningKeyRetired { kid: stored::kid_of(&place)?, at: turn });
        let value = stored::encode(&place, &retired)?;
        if let Some(over) = term(created_at, Some(turn)).over_at() {
            batch.put(Key::expiry(UnixTime::from_secs(over), &place), Vec::new());
        }
        batch.expect(place.clone(), Some(record.version)).put(place, value);
    }
    let kid = stored::put_new(&mut batch, engine.id(), keyring, now, rng)?;
    note(&mut batch, ServerEvent::SigningKeyCreated { kid, signs_from: turn });
    engine.commit(batch).await?;
    Ok(list(engine, now).await?)
}

/// All keys and what they do at `now`, in the order in which they sign.
///
/// # Errors
/// The store cannot be read, or a record is damaged.
pub async fn list(engine: &dyn Engine, now: UnixTime) -> Result<Vec<KeyStatus>, SignerError> {
    statuses(&stored::scan(engine).await?, now)
}

fn statuses(records: &[(Key, Record)], now: UnixTime) -> Result<Vec<KeyStatus>, SignerError> {
    let mut keys = Vec::new();
    for (place, record) in records {
        let StoredKey::Es256 { created_at, retired_at, .. } = stored::decode(place, record)?;
        keys.push((created_at, stored::kid_of(place)?, retired_at));
    }
    keys.sort_by(|(made_a, a, until_a), (made_b, b, until_b)| {
        term(*made_a, *until_a).turn(a).cmp(&term(*made_b, *until_b).turn(b))
    });
    let (mut turn, mut signing) = (None, false);
    let status = |(created_at, kid, signs_until): (UnixTime, String, Option<UnixTime>)| {
        let over = term(created_at, signs_until).over_at().map(UnixTime::from_secs);
        let phase = match (signs_until, over) {
            (_, Some(over)) if over <= now => Phase::Over,
            (Some(until), _) if until <= now => Phase::Retired,
            _ if signing => Phase::Next,
            _ => Phase::Signing,
        };
        signing |= phase == Phase::Signing;
        let signs_from = turn.filter(|_| phase == Phase::Next);
        turn = signs_until;
        KeyStatus { kid, phase, created_at, signs_from, signs_until, removed_at: over }
    };
    Ok(keys.into_iter().map(status).collect())
}

fn term(created_at: UnixTime, retired_at: Option<UnixTime>) -> Term {
    Term { created_at: created_at.as_secs(), retired_at: retired_at.map(UnixTime::as_secs) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{Actor, testing::entries};
    use crate::context::{Context, testing::context};
    use crate::entropy::Entropy;
    use crate::store::sweep::sweep;
    use crate::token::{ACCESS_TOKEN_SECONDS, AccessClaims, KEPT_BEYOND, TokenError};

    const NOW: UnixTime = UnixTime::from_secs(1_790_000_000);

    async fn rotate(context: &Context, overlap: u64) -> Result<Vec<KeyStatus>, RotationError> {
        let origin = Origin::local(Actor::Operator, context.clock.now());
        let keys =
            super::rotate(&*context.engine, &context.master_keys.current(), overlap, &origin, &mut Entropy)
                .await?;
        context.signer.reload(&*context.engine, &context.master_keys.current()).await.unwrap();
        Ok(keys)
    }

    fn token(context: &Context) -> String {
        let now = context.clock.now().as_secs();
        let text = |text: &str| text.to_owned();
        let claims = AccessClaims {
            iss: context.issuer.clone(),
            sub: text("42"),
            aud: text("shop"),
            iat: now,
            exp: now + ACCESS_TOKEN_SECONDS,
            jti: text("one"),
            sid: text("login"),
            auth_time: None,
            amr: Vec::new(),
            acr: text("urn:sidekey:acr:1fa"),
        };
        context.signer.sign(&claims).unwrap()
    }

    fn kid_in(token: &str) -> String {
        jsonwebtoken::decode_header(token).unwrap().kid.unwrap()
    }

    fn published(context: &Context) -> Vec<String> {
        let set = context.signer.jwks(context.clock.now().as_secs());
        set.keys.iter().map(|key| key.kid().to_owned()).collect()
    }

    async fn phases(context: &Context) -> Vec<Phase> {
        let keys = list(&*context.engine, context.clock.now()).await.unwrap();
        keys.iter().map(|key| key.phase).collect()
    }

    #[tokio::test]
    async fn tokens_verify_in_every_phase_of_a_rotation() {
        let (_folder, context) = context(NOW, &[]).await;
        let Context { clock, .. } = &*context;
        let before = token(&context);
        let old = kid_in(&before);
        assert_eq!((published(&context), phases(&context).await), (vec![old.clone()], vec![Phase::Signing]));

        let keys = rotate(&context, JWKS_MAX_AGE).await.unwrap();
        let new = keys[1].kid.clone();
        assert_eq!((keys[0].kid.clone(), keys[0].signs_until), (old.clone(), Some(NOW.plus(JWKS_MAX_AGE))));
        assert_eq!(keys[1].signs_from, Some(NOW.plus(JWKS_MAX_AGE)));
        assert_eq!(published(&context), [old.clone(), new.clone()], "known before it signs");

        clock.advance(JWKS_MAX_AGE - 1);
        let last = token(&context);
        assert_eq!(kid_in(&last), old);
        assert_eq!(phases(&context).await, [Phase::Signing, Phase::Next]);

        clock.advance(1);
        let first = token(&context);
        assert_eq!(kid_in(&first), new);
        assert_eq!(phases(&context).await, [Phase::Retired, Phase::Signing]);
        for token in [&before, &last, &first] {
            assert!(context.verify_access_token(token).is_ok());
        }

        clock.advance(ACCESS_TOKEN_SECONDS - 2);
        assert!(context.verify_access_token(&last).is_ok(), "in its last second");
        clock.advance(1);
        assert_eq!(context.verify_access_token(&last), Err(TokenError::Expired));
        assert!(context.verify_access_token(&first).is_ok());

        clock.advance(KEPT_BEYOND);
        assert_eq!(sweep(&context.store, clock.now()).await, Ok(0), "one second before");
        clock.advance(1);
        assert_eq!(
            (published(&context), phases(&context).await),
            (vec![new.clone()], vec![Phase::Over, Phase::Signing])
        );
        assert_eq!(sweep(&context.store, clock.now()).await, Ok(1));
        assert_eq!(phases(&context).await, [Phase::Signing]);
        context.signer.reload(&*context.engine, &context.master_keys.current()).await.unwrap();
        assert_eq!(context.verify_access_token(&before), Err(TokenError::UnknownKey));
        assert_eq!(kid_in(&token(&context)), new);

        let told: Vec<_> = entries(&*context.engine)
            .await
            .into_iter()
            .map(|entry| (entry["event"]["type"].clone(), entry["event"]["kid"].clone()))
            .filter(|(_, kid)| kid.is_string())
            .collect();
        let told: Vec<_> =
            told.iter().map(|(kind, kid)| (kind.as_str().unwrap(), kid.as_str().unwrap())).collect();
        assert_eq!(
            told,
            [
                ("signing_key_created", old.as_str()),
                ("signing_key_retired", &old),
                ("signing_key_created", &new),
                ("signing_key_removed", &old),
            ]
        );
    }

    #[tokio::test]
    async fn there_is_one_rotation_at_a_time() {
        let (_folder, context) = context(NOW, &[]).await;
        let keys = rotate(&context, 600).await.unwrap();
        let refused = rotate(&context, 600).await.unwrap_err();
        assert!(matches!(&refused, RotationError::UnderWay { kid } if *kid == keys[1].kid), "{refused}");
        context.clock.advance(600);
        assert_eq!(rotate(&context, 600).await.unwrap().len(), 3);
    }

    #[tokio::test]
    async fn two_that_rotate_at_once_make_one_key() {
        let (_folder, context) = context(NOW, &[]).await;
        let (one, other) = tokio::join!(rotate(&context, 600), rotate(&context, 600));
        assert!(one.is_ok() != other.is_ok());
        assert_eq!(phases(&context).await, [Phase::Signing, Phase::Next]);
    }

    #[tokio::test]
    async fn an_overlap_shorter_than_the_key_set_lives_or_over_thirty_days_is_refused() {
        let (_folder, context) = context(NOW, &[]).await;
        let thirty_days = 2_592_000;
        for overlap in [0, JWKS_MAX_AGE - 1, thirty_days + 1] {
            assert!(matches!(rotate(&context, overlap).await, Err(RotationError::Overlap)));
        }
        assert_eq!(phases(&context).await, [Phase::Signing]);
        rotate(&context, thirty_days).await.unwrap();
        assert_eq!(phases(&context).await, [Phase::Signing, Phase::Next]);
    }
}
