//! The second factor of an operator of the server: an account like any other, under an app id that nobody can name. Judged, counted and
//! told of by the same rules and transactions.

use sidekey_core::{
    account::Account,
    device::Answer,
    id::{AccountId, DeviceId, LoginId},
};

use super::{answering::Proof, confirm_setup::would_be_first, shown, start_setup::Setup};
use crate::{
    audit::Origin,
    backup_code_hash::FreshSet,
    context::Context,
    entropy::Entropy,
    http::{Code, Fields, Problem},
    store::{State, Subject},
};

/// Judges `code` or `backup_code` of the fields (of both, the code).
///
/// # Errors
/// Neither is there, or it does not count.
pub async fn confirm(
    context: &Context,
    account: &AccountId,
    origin: &Origin,
    fields: &Fields,
) -> Result<(), Problem> {
    let proof = Proof::read(context, account, fields).await?;
    let now = context.clock.now();
    let judged = context.store.transact(Subject::account(account.clone()), origin, now, |state| {
        let State { account: Some(account), events, .. } = state else {
            return Err(Problem::new(Code::NotEnabled));
        };
        proof.judge(account, now, events).map(drop)
    });
    judged.await?
}

/// Starts the setup of a first device, or goes on with the one that this sign-in has started.
///
/// # Errors
/// There is a device already, or the store is not available.
pub async fn start(
    context: &Context,
    account: &AccountId,
    login: LoginId,
    restart: bool,
    origin: &Origin,
) -> Result<Setup, Problem> {
    context.count_account(account)?;
    let now = context.clock.now();
    let started = context.store.transact(Subject::account(account.clone()), origin, now, |state| {
        let State { account: found, events, .. } = state;
        let found = found.get_or_insert_with(|| Account::new(account.clone(), now, &mut Entropy));
        if found.is_protected() {
            return Err(Problem::new(Code::Forbidden));
        }
        Ok(found.start_setup(login, None, restart, now, &mut Entropy, events)?)
    });
    let device = started.await??;
    Setup::of(account, None, device, &issuer(context), now)
}

/// What authenticators call the admin area: an operator may be a user of an application too.
fn issuer(context: &Context) -> String {
    let own = &context.settings.issuer;
    let marked = format!("{own} admin");
    if marked.len() <= sidekey_core::key_uri::MAX_ISSUER_BYTES { marked } else { own.clone() }
}

/// Makes the pending device active by its first code; the backup codes as they are shown.
///
/// # Errors
/// An unknown or expired setup, or a code that does not count.
pub async fn enrol(
    context: &Context,
    account_id: &AccountId,
    device: DeviceId,
    answer: &Answer,
    origin: &Origin,
) -> Result<Vec<String>, Problem> {
    let mut set: Option<FreshSet> = None;
    loop {
        let now = context.clock.now();
        let kept = set.as_ref().map(|set| &set.kept);
        let tried = context.store.transact(Subject::account(account_id.clone()), origin, now, |state| {
            let State { account: Some(account), events, .. } = state else {
                return Err(Problem::new(Code::DeviceNotFound));
            };
            // The codes are made outside the transaction, because that is slow.
            if kept.is_none() && would_be_first(account, device, answer, now) {
                return Ok(None);
            }
            Ok(Some(account.confirm(device, answer, kept.cloned(), now, events)?))
        });
        match tried.await?? {
            None => set = Some(context.hasher.set().await?.fresh_set(account_id, now).await?),
            Some(confirmed) => {
                let set = set.filter(|_| confirmed.first);
                return Ok(set.map(|set| shown::backup_codes(&set.codes)).unwrap_or_default());
            }
        }
    }
}
