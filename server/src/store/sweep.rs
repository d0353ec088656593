//! Sessions, enrolment tokens, logins and signing keys that are over make room.
//!
//! Each has a note under the time from which on it may go ([`Key::expiry`]), written with it in one batch, so that a sweep looks
//! at nothing else. The note of a login stays where it is when a refresh moves the login's end: the sweep moves it then. So does that of an
//! idempotency key that was used anew before its first use was swept.
//!
//! A login that came of a session has no note of its own at first. Its session names it and has one, and the sweep that removes the session
//! notes the login's end in the same batch: so a login costs one write less while somebody waits for it.

use sidekey_core::{refresh::Family, retry::KeyUse, session::Session, time::UnixTime};

use crate::audit::{Actor, Entry, Origin, ServerEvent};

use super::{
    Batch, CommitError, Key, Kind, Store, StoreError, Version,
    codec::{decode, family_key},
};

/// Seconds that everything stays longer where several servers share the store: one whose clock is behind by less still finds what it
/// judges by. One whose clock is ahead takes nothing away from it.
pub const CLOCKS_APART: u64 = 300;
/// Notes that one commit settles.
const AT_ONCE: usize = 200;
/// Commits in a row that may find something changed in between.
const MAX_CONFLICTS: usize = 10;

/// Removes what is over at `now`; how many records went. In small commits, so that logins are not held up.
///
/// # Errors
/// The store is not available.
pub async fn sweep(store: &Store, now: UnixTime) -> Result<usize, StoreError> {
    let apart = if store.engine().is_shared() { CLOCKS_APART } else { 0 };
    let over = UnixTime::from_secs(now.as_secs().saturating_sub(apart));
    let (mut removed, mut after, mut conflicts) = (0, None, 0);
    loop {
        let notes = store.engine().scan(&Key::of(Kind::Expiry), after.as_ref(), AT_ONCE).await?;
        let due: Vec<_> = notes
            .into_iter()
            .filter_map(|(note, record)| note.expiring().map(|(at, key)| ((note, record.version), at, key)))
            .take_while(|(_, at, _)| *at <= over)
            .collect();
        let Some(((last, _), ..)) = due.last() else { return Ok(removed) };
        let last = last.clone();
        let mut batch = Batch::new();
        let mut settled = 0;
        for (note, _, key) in due {
            match settle(store, &mut batch, note, key, (over, now)).await {
                Ok(gone) => settled += usize::from(gone),
                // It stays, with its note, until somebody has looked at it; what is behind it must not.
                Err(error @ StoreError::Damaged { .. }) => tracing::error!(%error, "cannot sweep a record"),
                Err(error) => return Err(error),
            }
        }
        if batch.is_empty() {
            after = Some(last);
            continue;
        }
        batch.decided_at(now);
        match store.engine().commit(batch).await {
            Ok(()) => {
                removed += settled;
                after = Some(last);
                conflicts = 0;
            }
            // A login was refreshed in between: looked at again right away, and at last by the next sweep.
            Err(CommitError::Conflict(_)) if conflicts < MAX_CONFLICTS => conflicts += 1,
            Err(CommitError::Conflict(_)) => after = Some(last),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Adds to a batch what a due note leads to; whether a record goes.
async fn settle(
    store: &Store,
    batch: &mut Batch,
    (note, version): (Key, Version),
    key: Key,
    (over, now): (UnixTime, UnixTime),
) -> Result<bool, StoreError> {
    let Some(record) = store.engine().get(&key).await? else {
        batch.expect(note.clone(), Some(version)).delete(note);
        return Ok(false);
    };
    let over_at = match key.kind() {
        Some(Kind::RefreshFamily) => Some(decode::<Family>(&key, &record.value)?.expires_at),
        Some(Kind::KeyUse) => Some(decode::<KeyUse>(&key, &record.value)?.over_at()),
        _ => None,
    };
    let login = match key.kind() {
        Some(Kind::Session) => Some(login_of(store, decode(&key, &record.value)?).await?),
        _ => None,
    };
    batch.expect(note.clone(), Some(version)).delete(note).expect(key.clone(), Some(record.version));
    if let Some(over_at) = over_at.filter(|over_at| *over_at > over) {
        batch.put(Key::expiry(over_at, &key), Vec::new());
        return Ok(false);
    }
    if let Some((login, version, expires_at)) = login {
        if let Some(expires_at) = expires_at {
            batch.put(Key::expiry(expires_at, &login), Vec::new());
        }
        // One that starts at this moment must not be left without a note.
        batch.expect(login, version);
    }
    if let Some(kid) = key.name(Kind::SigningKey) {
        let event = ServerEvent::SigningKeyRemoved { kid: kid.to_owned() };
        batch.append(Entry::of_server(None, &Origin::local(Actor::Server, now), &event).to_bytes());
    }
    batch.delete(key);
    Ok(true)
}

/// A login that may have come of a session, and the version and the end that it has.
type Login = (Key, Option<Version>, Option<UnixTime>);

async fn login_of(store: &Store, session: Session) -> Result<Login, StoreError> {
    let key = family_key(session.account.app.as_str(), session.login);
    let Some(record) = store.engine().get(&key).await? else { return Ok((key, None, None)) };
    let expires_at = decode::<Family>(&key, &record.value)?.expires_at;
    Ok((key, Some(record.version), Some(expires_at)))
}

#[cfg(test)]
mod tests {
    use rand_core::Rng as _;
    use sidekey_core::{
        account::Account,
        id::{AccountId, AppId, LoginId, UserId},
        login::Grant,
        session::{Opening, Purpose, Session},
    };

    use super::*;
    use crate::{
        audit::{Actor, Origin},
        context::testing::context,
        entropy::Entropy,
        store::Subject,
    };

    const NOW: UnixTime = UnixTime::from_secs(1_790_000_000);

    #[tokio::test]
    async fn what_is_damaged_stays_and_keeps_nothing_else() {
        let (_folder, context) = context(NOW, &[]).await;
        let mut batch = Batch::new();
        batch.decided_at(NOW);
        // More than one commit settles, and each of them with a damaged login among them.
        for number in 0..=u8::MAX {
            let login = LoginId::from_bytes([number; 16]);
            let key = match number % 100 {
                0 => family_key("shop", login),
                1 => crate::store::codec::session_key(&[number; 32]),
                _ => crate::store::codec::enrollment_token_key(&[number; 32]),
            };
            batch.put(Key::expiry(NOW, &key), Vec::new()).put(key, b"damaged".to_vec());
        }
        context.engine.commit(batch).await.unwrap();
        assert_eq!(sweep(&context.store, NOW).await, Ok(250));
        assert_eq!(sweep(&context.store, NOW).await, Ok(0));
        assert_eq!(context.engine.scan(&Key::of(Kind::Expiry), None, 10).await.unwrap().len(), 6);
    }

    #[tokio::test]
    async fn what_is_over_goes_and_what_was_refreshed_stays() {
        let (_folder, context) = context(NOW, &[]).await;
        let id = AccountId { app: AppId::parse("shop").unwrap(), user: UserId::parse("42").unwrap() };
        let origin = Origin {
            at: NOW,
            request_id: String::new(),
            actor: Actor::App,
            ip_address: None,
            user_agent: None,
            reason: None,
        };
        let (login, session_id) =
            (LoginId::generate(&mut Entropy), [Entropy.next_u32().to_be_bytes()[0]; 32]);
        let subject = Subject::account(id.clone()).with_session(session_id);
        let open = |state: &mut crate::store::State| {
            let account = state.account.get_or_insert_with(|| Account::new(id.clone(), NOW, &mut Entropy));
            let opening = Opening {
                purpose: Purpose::Enrollment,
                login,
                remember_me: false,
                return_url: None,
                action: None,
            };
            state.session = Some(Session::open(account, opening, NOW, &mut state.events));
            state.enrollment_token = Some([9; 32]);
            let grant = Grant { login, second_factor: None, remember_me: false };
            state.started = Some(Family::start(account, grant, NOW));
        };
        context.store.transact(subject, &origin, NOW, open).await.unwrap();
        let notes = async |kind: Kind| {
            let notes = context.engine.scan(&Key::of(Kind::Expiry), None, 10).await.unwrap();
            let of = |(note, _): &(Key, _)| note.expiring().is_some_and(|(_, key)| key.is(kind));
            notes.into_iter().filter(of).count()
        };
        assert_eq!((notes(Kind::Session).await, notes(Kind::RefreshFamily).await), (1, 0));
        assert_eq!(sweep(&context.store, NOW.plus(3_599)).await, Ok(0));
        assert_eq!(sweep(&context.store, NOW.plus(3_600)).await, Ok(2), "session and enrolment token");
        assert!(context.store.session(&session_id).await.unwrap().is_none());
        assert_eq!((notes(Kind::Session).await, notes(Kind::RefreshFamily).await), (0, 1));

        let day = NOW.plus(86_400);
        let subject = Subject::account(id.clone()).with_login(login);
        let refresh = |state: &mut crate::store::State| {
            let account = state.account.clone();
            state.family.as_mut().unwrap().rotate(account.as_ref(), 0, None, day, &mut state.events)
        };
        context.store.transact(subject, &origin, day, refresh).await.unwrap().unwrap();
        let first_end = NOW.plus(7 * 86_400);
        assert_eq!(sweep(&context.store, first_end).await, Ok(0), "it was refreshed");
        assert_eq!(sweep(&context.store, first_end.plus(86_400)).await, Ok(1));
        assert!(context.store.family(&id.app, login).await.unwrap().is_none());
        let notes = context.engine.scan(&Key::of(Kind::Expiry), None, 10).await.unwrap();
        assert!(notes.is_empty());
    }
    #[tokio::test]
    async fn a_key_that_was_used_anew_before_the_sweep_stays() {
        let (_folder, context) = context(NOW, &[]).await;
        let id = AccountId { app: AppId::parse("shop").unwrap(), user: UserId::parse("42").unwrap() };
        let (first, mac) = (KeyUse::start(NOW, &mut Entropy), [7; 32]);
        let again = KeyUse::start(first.over_at(), &mut Entropy);
        for used in [first, again] {
            let subject = Subject::account(id.clone()).with_request_key(mac);
            let note = |state: &mut crate::store::State| state.key_use = Some(used);
            let origin = Origin::local(Actor::App, first.over_at());
            context.store.transact(subject, &origin, first.over_at(), note).await.unwrap();
        }
        assert_eq!(sweep(&context.store, first.over_at()).await, Ok(0));
        assert_eq!(context.store.key_use(&id.app, &mac).await, Ok(Some(again)));
        assert_eq!(sweep(&context.store, again.over_at()).await, Ok(1));
        assert_eq!(context.store.key_use(&id.app, &mac).await, Ok(None));
        assert!(context.engine.scan(&Key::of(Kind::Expiry), None, 10).await.unwrap().is_empty());
    }
}
