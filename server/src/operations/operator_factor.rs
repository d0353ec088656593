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
            // A password alone connects the first device and no other, also where two are being connected at once.
            if account.is_protected() {
                return Err(Problem::new(Code::Forbidden));
            }
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

#[cfg(test)]
mod tests {
    use sidekey_core::{
        code::Code as TotpCode,
        id::{AppId, UserId},
        secret::Secret,
        time::{Step, UnixTime},
        totp::{TotpParams, code_at},
    };

    use super::*;
    use crate::{audit::Actor, context::testing::context};

    const NOW: UnixTime = UnixTime::from_secs(1_790_000_000);

    fn answer(setup: &Setup) -> Answer {
        let secret = Secret::from_base32(&setup.secret).unwrap();
        let params = TotpParams::default();
        let code = code_at(&secret, params, Step::at(NOW, params.period));
        Answer::of(TotpCode::parse(&code).unwrap())
    }

    #[tokio::test]
    async fn of_two_setups_at_once_one_connects_a_device_and_the_other_does_not() {
        let (_folder, context) = context(NOW, &[]).await;
        let origin = Origin::local(Actor::Server, NOW);
        let account = AccountId { app: AppId::operators(), user: UserId::parse("ann").unwrap() };
        let mut setups = Vec::new();
        for _ in 0..2 {
            let login = LoginId::generate(&mut Entropy);
            setups.push(start(&context, &account, login, false, &origin).await.unwrap());
        }
        assert_ne!(setups[0].device, setups[1].device);
        let codes = enrol(&context, &account, setups[0].device, &answer(&setups[0]), &origin).await.unwrap();
        assert_eq!(codes.len(), 10);
        let refused = enrol(&context, &account, setups[1].device, &answer(&setups[1]), &origin).await;
        assert_eq!(refused.unwrap_err().code(), Code::Forbidden);
        let account = context.store.account(&account).await.unwrap().unwrap();
        assert_eq!(account.active_devices().len(), 1);
    }
}
