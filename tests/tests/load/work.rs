//! The operations of the load. Each tells the model what is in flight, sends it, and takes the answer down.

use futures_util::future::join_all;
use sidekey_tests::json;

use super::Random;
use super::account::{Account, Count, Flight, Stage, WORN};
use super::settle::state;
use super::world::{As, Down, Reply, World};

/// One operation of an account, by chance.
pub(crate) async fn one(account: &mut Account, world: &World, random: &mut Random) -> Result<(), Down> {
    match account.stage.clone() {
        Stage::New => invite(account, world).await,
        Stage::Invited { token, opened_at } => setup(account, world, token, opened_at).await,
        Stage::Pending { token, .. } => confirm(account, world, &token).await,
        Stage::Active => match random.between(0, 100) {
            0..32 => codes(account, world, 1).await,
            32..40 => codes(account, world, 3).await,
            40..52 => wrong(account, world, random).await,
            52..54 => exhaust(account, world, random).await,
            54..58 => backup(account, world, random, 1).await,
            58..60 => backup(account, world, random, 2).await,
            60..78 => refresh(account, world, random).await,
            78..93 => rename(account, world, random).await,
            93 => regenerate(account, world).await,
            94 => disable(account, world).await,
            _ => account.open(world).await.map(|_| ()),
        },
        Stage::Off | Stage::Dropped => Ok(()),
    }
}

async fn invite(account: &mut Account, world: &World) -> Result<(), Down> {
    let opened_at = world.reached();
    let body = json!({"user_id": account.user, "account_name": "load@example.com"});
    let reply = world.post("/2fa/sessions/", As::App, body).await?;
    if reply.status != 201 || reply.body["requires_enrollment"] != true {
        account.unexpected(world, "opening the first session", &reply);
        return Ok(());
    }
    world.acknowledged();
    account.stage = Stage::Invited { token: reply.text("enrollment_token"), opened_at };
    Ok(())
}

async fn setup(account: &mut Account, world: &World, token: String, opened_at: u64) -> Result<(), Down> {
    let body = json!({"device_name": "phone"});
    let reply = world.post("/2fa/setup/", As::Bearer(&token), body).await?;
    match reply.status {
        200 => {
            world.acknowledged();
            (account.device, account.secret) = (reply.text("device_id"), reply.text("secret"));
            account.names = vec!["phone".to_string()];
            account.stage = Stage::Pending { token, opened_at };
        }
        // The token is as short-lived as a session.
        401 => account.stage = Stage::New,
        _ => account.unexpected(world, "setup", &reply),
    }
    Ok(())
}

async fn confirm(account: &mut Account, world: &World, token: &str) -> Result<(), Down> {
    let (step, _guard) = world.step().await?;
    if step <= account.given {
        return Ok(());
    }
    account.given = step;
    account.flight = Some(Flight::Confirm { step });
    let body = json!({"device_id": account.device, "code": account.code(step)});
    let reply = world.post("/2fa/setup/confirm/", As::Bearer(token), body).await?;
    account.flight = None;
    match (reply.status, reply.code.as_str()) {
        (200, _) => {
            world.acknowledged();
            account.accepted = step;
            account.stage = Stage::Active;
            account.login(world, &reply);
            account.take_backups(&reply);
        }
        (400, "SETUP_EXPIRED") | (401, _) => account.stage = Stage::New,
        _ => account.unexpected(world, "confirm", &reply),
    }
    Ok(())
}

/// Answers sessions with the same fresh code at once: one of them is verified.
async fn codes(account: &mut Account, world: &World, at_once: usize) -> Result<(), Down> {
    if at_once > 1 && !account.bears_failures(2) {
        return Ok(());
    }
    let Some(sessions) = open(account, world, at_once).await? else { return Ok(()) };
    let (step, _guard) = world.step().await?;
    if step <= account.given {
        return Ok(());
    }
    account.given = step;
    let code = account.code(step);
    let replies = join_all(sessions.iter().map(|&session| account.answer(world, session, &code))).await;
    let known: Vec<_> = sessions.iter().zip(&replies).map(|(&s, r)| (s, right(r))).collect();
    account.flight = Some(Flight::Codes { step, sessions: known });
    if replies.iter().any(Result::is_err) {
        return Err(Down);
    }
    account.flight = None;
    let before = account.row;
    let mut successes = 0;
    for (&session, reply) in sessions.iter().zip(replies.iter().flatten()) {
        match (reply.status, reply.code.as_str()) {
            (200, _) => {
                world.acknowledged();
                successes += 1;
                account.accepted = step;
                account.verified(session);
                account.login(world, reply);
            }
            (400, "INVALID_CODE") if at_once > 1 => account.failed(session),
            _ => {
                account.unexpected(world, "answering with a fresh code", reply);
                return Ok(());
            }
        }
    }
    if successes != 1 {
        account.broken(world, &format!("one code in {at_once} sessions at once: {successes} accepted"));
    }
    // Which wrong answers came after the right one, and so count as in a row, is not known.
    account.row = Count(0, account.row.1 - before.1);
    Ok(())
}

/// What an answer says of a session, if there is one.
fn right(reply: &Result<Reply, Down>) -> Option<bool> {
    reply.as_ref().ok().map(|reply| reply.status == 200)
}

async fn open(account: &mut Account, world: &World, count: usize) -> Result<Option<Vec<usize>>, Down> {
    let mut sessions = Vec::new();
    for _ in 0..count {
        let Some(session) = account.open(world).await? else { return Ok(None) };
        sessions.push(session);
    }
    Ok(Some(sessions))
}

/// Answers a session wrongly once, twice or three times, and leaves it.
async fn wrong(account: &mut Account, world: &World, random: &mut Random) -> Result<(), Down> {
    let Some(session) = account.open(world).await? else { return Ok(()) };
    for _ in 0..random.between(1, 4) {
        if !account.bears_failures(1) || !wrong_once(account, world, random, session).await? {
            break;
        }
    }
    Ok(())
}

/// Sends one wrong code that must be judged as the session's next one; false after a finding.
pub(crate) async fn wrong_once(
    account: &mut Account,
    world: &World,
    random: &mut Random,
    session: usize,
) -> Result<bool, Down> {
    let (step, _guard) = world.step().await?;
    account.flight = Some(Flight::Wrong { session });
    let reply = account.answer(world, session, &account.wrong_code(step, random)).await?;
    account.flight = None;
    account.failed(session);
    let wrong = account.sessions[session].wrong;
    // The fifth ends the session.
    let found = match (reply.code.as_str(), reply.body["attempts_remaining"].as_u64()) {
        ("INVALID_CODE", Some(left)) => u32::try_from(left).ok().and_then(|left| 5u32.checked_sub(left)),
        ("MAX_ATTEMPTS_EXCEEDED", None) => Some(5),
        _ => None,
    };
    if let Some(found) = found.filter(|found| (wrong.0..=wrong.1).contains(found)) {
        world.acknowledged();
        account.sessions[session].wrong = Count(found, found);
        return Ok(true);
    }
    account.unexpected(world, &format!("wrong answers {wrong:?} of a session"), &reply);
    Ok(false)
}

/// Goes on with wrong answers up to the fifth in a row, after which the account waits. It is worn out then.
async fn exhaust(account: &mut Account, world: &World, random: &mut Random) -> Result<(), Down> {
    if account.row.0 != account.row.1 || account.failures >= WORN {
        return Ok(());
    }
    account.failures = WORN;
    while account.row.1 < 5 {
        let Some(session) = account.open(world).await? else { return Ok(()) };
        if !wrong_once(account, world, random, session).await? {
            return Ok(());
        }
    }
    Ok(())
}

/// Answers sessions with the same backup code at once.
async fn backup(
    account: &mut Account,
    world: &World,
    random: &mut Random,
    at_once: usize,
) -> Result<(), Down> {
    let fresh: Vec<usize> =
        account.backups.iter().flatten().enumerate().filter(|(_, b)| !b.spent).map(|(i, _)| i).collect();
    let Some(&index) = random.pick(&fresh) else { return Ok(()) };
    if at_once > 1 && account.backup_row.1 > 1 {
        return Ok(());
    }
    let Some(sessions) = open(account, world, at_once).await? else { return Ok(()) };
    let code = account.backups.as_ref().map(|all| all[index].code.clone()).unwrap_or_default();
    let replies =
        join_all(sessions.iter().map(|&session| account.answer_backup(world, session, &code))).await;
    let known: Vec<_> = sessions.iter().zip(&replies).map(|(&s, r)| (s, right(r))).collect();
    account.flight = Some(Flight::Backup { code: index, sessions: known });
    if replies.iter().any(Result::is_err) {
        return Err(Down);
    }
    account.flight = None;
    let mut successes = 0;
    for (&session, reply) in sessions.iter().zip(replies.iter().flatten()) {
        match (reply.status, reply.code.as_str()) {
            (200, _) => {
                world.acknowledged();
                successes += 1;
                spend(account, index);
                account.verified(session);
                account.login(world, reply);
            }
            (400, "INVALID_CODE") if at_once > 1 => account.sessions[session].wrong.one_more(),
            _ => {
                account.unexpected(world, "answering with an unused backup code", reply);
                return Ok(());
            }
        }
    }
    if successes != 1 {
        account
            .broken(world, &format!("one backup code in {at_once} sessions at once: {successes} accepted"));
    }
    account.row.none();
    account.backup_row = Count(0, u32::try_from(at_once - 1).expect("few"));
    Ok(())
}

/// A backup code was accepted.
pub(crate) fn spend(account: &mut Account, index: usize) {
    if let Some(backup) = account.backups.as_mut().and_then(|all| all.get_mut(index)) {
        backup.spent = true;
    }
}

async fn refresh(account: &mut Account, world: &World, random: &mut Random) -> Result<(), Down> {
    let key = format!("{:016x}", random.next());
    if account.tokens.is_none() {
        return Ok(());
    }
    account.flight = Some(Flight::Refresh { key: key.clone(), sent_at: world.now().await? });
    let reply = send_refresh(account, world, &key).await?;
    account.flight = None;
    if reply.status != 200 {
        account.unexpected(world, "refreshing with a living token", &reply);
        return Ok(());
    }
    world.acknowledged();
    refreshed(account, world, &reply);
    Ok(())
}

/// Sends the living refresh token.
pub(crate) async fn send_refresh(account: &Account, world: &World, key: &str) -> Result<Reply, Down> {
    let token = account.tokens.as_ref().map(|tokens| tokens.refresh.clone()).unwrap_or_default();
    let body = json!({"refresh_token": token});
    world.send("POST", "/2fa/token/refresh/", As::Anyone, &[("idempotency-key", key)], Some(body)).await
}

/// Takes the successor down.
pub(crate) fn refreshed(account: &mut Account, world: &World, reply: &Reply) {
    account.spent.extend(account.tokens.take().map(|tokens| tokens.refresh));
    account.take_tokens(world, reply);
}

async fn rename(account: &mut Account, world: &World, random: &mut Random) -> Result<(), Down> {
    let Some(access) = account.access(world) else { return Ok(()) };
    let name = format!("phone {:08x}", random.next() >> 32);
    account.flight = Some(Flight::Rename { name: name.clone() });
    let path = format!("/2fa/devices/{}/", account.device);
    let reply = world.send("PATCH", &path, As::Bearer(&access), &[], Some(json!({"name": name}))).await?;
    account.flight = None;
    if reply.status == 200 {
        world.acknowledged();
        account.names = vec![name];
    } else {
        account.unexpected(world, "rename", &reply);
    }
    Ok(())
}

async fn regenerate(account: &mut Account, world: &World) -> Result<(), Down> {
    // With none used, a later look could not tell new ones from old ones.
    let left = match account.backups_left() {
        Some(left) => Some(left as u64),
        None => state(account, world).await?["backup_codes_remaining"].as_u64(),
    };
    if left == Some(10) {
        return Ok(());
    }
    let Some(access) = account.access(world) else { return Ok(()) };
    let (step, _guard) = world.step().await?;
    if step <= account.given {
        return Ok(());
    }
    account.given = step;
    account.flight = Some(Flight::Regenerate { step });
    let body = json!({"code": account.code(step)});
    let reply = world.post("/2fa/backup-codes/regenerate/", As::Bearer(&access), body).await?;
    account.flight = None;
    if reply.status == 200 {
        world.acknowledged();
        account.accepted = step;
        account.row.none();
        account.take_backups(&reply);
    } else {
        account.unexpected(world, "regenerate", &reply);
    }
    Ok(())
}

async fn disable(account: &mut Account, world: &World) -> Result<(), Down> {
    let Some(access) = account.access(world) else { return Ok(()) };
    let (step, _guard) = world.step().await?;
    if step <= account.given {
        return Ok(());
    }
    account.given = step;
    account.flight = Some(Flight::Disable { step });
    let body = json!({"code": account.code(step)});
    let reply = world.post("/2fa/disable/", As::Bearer(&access), body).await?;
    account.flight = None;
    if reply.status == 200 {
        world.acknowledged();
        account.accepted = step;
        account.stage = Stage::Off;
    } else {
        account.unexpected(world, "disable", &reply);
    }
    Ok(())
}
