//! What was in flight when the server went down: it happened as a whole, or not at all. The model learns which.

use super::account::{Account, Count, Flight, Stage};
use super::work::{refreshed, send_refresh, spend};
use super::world::{As, Down, World};

/// Seconds within which a refresh may be repeated with the same idempotency key (10), less what the repetition takes.
const RETRY: u64 = 8;

/// Asks the server about what was in flight.
pub(crate) async fn settle(account: &mut Account, world: &World) -> Result<(), Down> {
    match account.flight.take() {
        None => Ok(()),
        Some(Flight::Confirm { step }) => {
            if enabled(account, world).await? {
                (account.stage, account.accepted) = (Stage::Active, step);
                // The answer with the tokens and the codes was lost.
                (account.tokens, account.backups) = (None, None);
            }
            Ok(())
        }
        Some(Flight::Codes { step, sessions }) => codes(account, world, step, &sessions).await,
        Some(Flight::Wrong { session }) => {
            account.sessions[session].wrong.perhaps_one_more();
            account.row.perhaps_one_more();
            account.failures += 1;
            Ok(())
        }
        Some(Flight::Backup { code, sessions }) => backup(account, world, code, &sessions).await,
        Some(Flight::Rename { name }) => {
            account.names.push(name);
            Ok(())
        }
        Some(Flight::Refresh { key, sent_at }) => refresh(account, world, &key, sent_at).await,
        Some(Flight::Regenerate { step }) => {
            let left = state(account, world).await?["backup_codes_remaining"].as_u64();
            if left == Some(10) {
                account.accepted = step;
                account.row.none();
                account.backups = None;
            }
            Ok(())
        }
        Some(Flight::Disable { step }) => {
            if !enabled(account, world).await? {
                account.accepted = step;
                account.stage = Stage::Off;
            }
            Ok(())
        }
    }
}

/// The host application's view of the user.
pub(crate) async fn state(account: &mut Account, world: &World) -> Result<sidekey_tests::Value, Down> {
    let reply = world.get(&format!("/2fa/users/{}/", account.user), As::App).await?;
    if reply.status != 200 {
        account.unexpected(world, "the state of a user", &reply);
    }
    Ok(reply.body)
}

/// A session's status.
pub(crate) async fn status(account: &mut Account, world: &World, session: usize) -> Result<String, Down> {
    let path = format!("/2fa/sessions/{}/", account.sessions[session].id);
    let reply = world.get(&path, As::App).await?;
    if reply.status != 200 {
        account.unexpected(world, "the status of an acknowledged session", &reply);
    }
    Ok(reply.text("status"))
}

async fn enabled(account: &mut Account, world: &World) -> Result<bool, Down> {
    Ok(state(account, world).await?["has_2fa_enabled"] == true)
}

/// Which of the sessions were verified, where the answer did not say; how many answers may have been wrong.
async fn outcome(
    account: &mut Account,
    world: &World,
    sessions: &[(usize, Option<bool>)],
) -> Result<(usize, Count), Down> {
    let (mut successes, mut wrong) = (0, Count::default());
    for &(session, known) in sessions {
        let right = match known {
            Some(right) => right,
            None => status(account, world, session).await? == "verified",
        };
        if right {
            successes += 1;
            account.verified(session);
        } else if known.is_some() {
            account.sessions[session].wrong.one_more();
            wrong.one_more();
        } else {
            account.sessions[session].wrong.perhaps_one_more();
            wrong.perhaps_one_more();
        }
    }
    Ok((successes, wrong))
}

async fn codes(
    account: &mut Account,
    world: &World,
    step: u64,
    sessions: &[(usize, Option<bool>)],
) -> Result<(), Down> {
    let (successes, wrong) = outcome(account, world, sessions).await?;
    account.failures += wrong.1;
    if successes > 1 {
        account.broken(world, &format!("a code was accepted in {successes} sessions around the crash"));
    }
    if successes == 0 {
        account.row = Count(account.row.0 + wrong.0, account.row.1 + wrong.1);
        return Ok(());
    }
    account.accepted = step;
    account.row = Count(0, wrong.1);
    if sessions.iter().all(|(_, known)| *known != Some(true)) {
        account.tokens = None;
    }
    Ok(())
}

async fn backup(
    account: &mut Account,
    world: &World,
    code: usize,
    sessions: &[(usize, Option<bool>)],
) -> Result<(), Down> {
    let (successes, wrong) = outcome(account, world, sessions).await?;
    if successes > 1 {
        let what = format!("a backup code was accepted in {successes} sessions around the crash");
        account.broken(world, &what);
    }
    if successes == 0 {
        account.backup_row = Count(account.backup_row.0 + wrong.0, account.backup_row.1 + wrong.1);
        return Ok(());
    }
    spend(account, code);
    account.row.none();
    account.backup_row = Count(0, wrong.1);
    account.tokens = None;
    Ok(())
}

/// A client that lost the answer asks again with the same key, and gets the successor.
async fn refresh(account: &mut Account, world: &World, key: &str, sent_at: u64) -> Result<(), Down> {
    let early = world.now().await? <= sent_at + RETRY;
    let reply = send_refresh(account, world, key).await?;
    match reply.status {
        200 => refreshed(account, world, &reply),
        // Too late for a repetition, which then is a reuse: the login is over.
        401 if !early => account.tokens = None,
        _ => account.unexpected(world, "repeating a refresh that was in flight", &reply),
    }
    Ok(())
}
