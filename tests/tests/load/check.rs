//! The model against the server, after a crash: what was acknowledged is there, what was used up is refused, what was
//! refused stays counted.

use sidekey_tests::json;

use super::Random;
use super::account::{Account, SESSION, Stage, WORN};
use super::settle::{settle, state, status};
use super::work::{refreshed, send_refresh, wrong_once};
use super::world::{As, Down, World};

/// Everything that must be checked while the time is still that of the crash.
pub(crate) async fn before_the_next_step(
    account: &mut Account,
    world: &World,
    random: &mut Random,
) -> Result<(), Down> {
    settle(account, world).await?;
    match account.stage.clone() {
        Stage::New | Stage::Dropped => Ok(()),
        Stage::Invited { .. } => same_state(account, world, false).await,
        Stage::Pending { token, opened_at } => pending(account, world, &token, opened_at).await,
        Stage::Off => off(account, world).await,
        Stage::Active => active(account, world, random).await,
    }
}

/// The secret still gives codes that count, and only once.
pub(crate) async fn after_the_next_step(
    account: &mut Account,
    world: &World,
    random: &mut Random,
) -> Result<(), Down> {
    if account.stage != Stage::Active || account.row.1 >= 5 || account.failures >= WORN {
        return Ok(());
    }
    let Some(session) = account.open(world).await? else { return Ok(()) };
    let (step, _guard) = world.step().await?;
    account.given = step;
    let code = account.code(step);
    let reply = account.answer(world, session, &code).await?;
    if reply.status != 200 {
        account.unexpected(world, "a fresh code after the crash", &reply);
        return Ok(());
    }
    account.accepted = step;
    account.row.none();
    account.verified(session);
    account.login(world, &reply);
    device(account, world, "after the crash").await?;
    if random.chance(20) { replay(account, world, "after its use").await } else { Ok(()) }
}

async fn active(account: &mut Account, world: &World, random: &mut Random) -> Result<(), Down> {
    same_state(account, world, true).await?;
    sessions(account, world, random).await?;
    // Another one is refused whether it was used or not, and each refusal wears the account out.
    if account.bears_failures(1) && account.accepted_in_window(world.reached()) {
        replay(account, world, "before the crash").await?;
    }
    backup_codes(account, world, random).await?;
    tokens(account, world, random).await?;
    if account.failures >= WORN && account.stage == Stage::Active {
        row(account, world, random).await?;
    }
    Ok(())
}

async fn off(account: &mut Account, world: &World) -> Result<(), Down> {
    same_state(account, world, false).await?;
    if account.tokens.is_none() {
        return Ok(());
    }
    let reply = send_refresh(account, world, "after-disable").await?;
    if reply.status != 401 {
        account.unexpected(world, "a refresh token after disable", &reply);
    }
    account.tokens = None;
    Ok(())
}

/// The host application sees what was acknowledged.
async fn same_state(account: &mut Account, world: &World, enabled: bool) -> Result<(), Down> {
    let state = state(account, world).await?;
    let devices = u64::from(enabled);
    let left = match account.backups_left() {
        _ if !enabled => Some(0),
        known => known.map(|left| left as u64),
    };
    let same_left = left.is_none_or(|left| state["backup_codes_remaining"] == left);
    if state["has_2fa_enabled"] != enabled || state["devices"] != devices || !same_left {
        let what = format!("{devices} device, {left:?} backup codes were acknowledged, not {state}");
        account.broken(world, &what);
    }
    Ok(())
}

/// A pending device shows the same secret as before.
async fn pending(account: &mut Account, world: &World, token: &str, opened_at: u64) -> Result<(), Down> {
    let reply = world.post("/2fa/setup/", As::Bearer(token), json!({"device_name": "phone"})).await?;
    let same = reply.text("device_id") == account.device && reply.text("secret") == account.secret;
    if reply.status == 401 && world.reached() > opened_at + SESSION {
        account.stage = Stage::New;
    } else if reply.status != 200 || !same && world.reached() <= opened_at + SESSION {
        account.unexpected(world, "setup again with the same login", &reply);
    } else if !same {
        (account.device, account.secret) = (reply.text("device_id"), reply.text("secret"));
        account.given = 0;
    }
    Ok(())
}

/// Sessions are as they were, the wrong answers counted, the verified ones spent.
async fn sessions(account: &mut Account, world: &World, random: &mut Random) -> Result<(), Down> {
    let open = |opened_at: u64| world.reached() < opened_at + SESSION;
    account.sessions.retain(|session| open(session.opened_at));
    for index in 0..account.sessions.len() {
        let (verified, wrong) = (account.sessions[index].verified, account.sessions[index].wrong);
        let found = status(account, world, index).await?;
        let fits = match found.as_str() {
            "verified" => verified,
            "pending" => !verified && wrong.0 < 5,
            "failed" => !verified && wrong.1 >= 5,
            _ => false,
        };
        if !fits {
            account.broken(
                world,
                &format!("a session is {found}, verified: {verified}, {wrong:?} answers wrong"),
            );
        }
        if found != "pending" && random.chance(30) {
            let refusal = if verified { "SESSION_ALREADY_VERIFIED" } else { "MAX_ATTEMPTS_EXCEEDED" };
            let reply = account.answer(world, index, "000000").await?;
            if !reply.is(refusal) {
                account.unexpected(world, &format!("answering a {found} session again"), &reply);
            }
        } else if found == "pending" && wrong.1 > 0 && account.bears_failures(2) {
            wrong_once(account, world, random, index).await?;
        }
        if account.stage == Stage::Dropped {
            break;
        }
    }
    Ok(())
}

/// The code that was accepted last is refused, in a session of its own.
async fn replay(account: &mut Account, world: &World, when: &str) -> Result<(), Down> {
    let Some(session) = account.open(world).await? else { return Ok(()) };
    let (now, _guard) = world.step().await?;
    let (accepted, code) = (account.accepted, account.code(account.accepted));
    // One time in half a million it is that of a later step too, and rightly accepted as such.
    if (accepted + 1..=now + 2).any(|step| account.code(step) == code) {
        return Ok(());
    }
    if account.accepted_in_window(world.reached()) {
        world.replayed();
    }
    let reply = account.answer(world, session, &code).await?;
    account.failed(session);
    if !reply.is("INVALID_CODE") {
        let what = format!("at step {now} the code of step {accepted}, which was accepted {when}");
        account.unexpected(world, &what, &reply);
    }
    Ok(())
}

/// A backup code that was used is refused.
async fn backup_codes(account: &mut Account, world: &World, random: &mut Random) -> Result<(), Down> {
    if account.stage != Stage::Active || account.backup_row.1 >= 3 {
        return Ok(());
    }
    let spent: Vec<&str> =
        account.backups.iter().flatten().filter(|b| b.spent).map(|b| b.code.as_str()).collect();
    let Some(code) = random.pick(&spent).map(ToString::to_string) else { return Ok(()) };
    let Some(session) = account.open(world).await? else { return Ok(()) };
    let reply = account.answer_backup(world, session, &code).await?;
    account.backup_row.one_more();
    account.sessions[session].wrong.one_more();
    if !reply.is("INVALID_CODE") {
        account.unexpected(world, "a backup code that was used", &reply);
    }
    Ok(())
}

/// The access token is good, and shows the device as it was left.
async fn device(account: &mut Account, world: &World, when: &str) -> Result<(), Down> {
    let Some(access) = account.access(world) else { return Ok(()) };
    let reply = world.get("/2fa/devices/", As::Bearer(&access)).await?;
    let devices = reply.body["devices"].as_array().map(Vec::as_slice).unwrap_or_default();
    // An enrolment that was too late leaves a pending one beside it.
    let active: Vec<_> = devices.iter().filter(|device| device["status"] == "active").collect();
    let found = match active[..] {
        [device] if device["id"] == account.device.as_str() => &device["name"],
        _ => &sidekey_tests::Value::Null,
    };
    match account.names.iter().find(|name| found == name.as_str()) {
        Some(name) => account.names = vec![name.clone()],
        None => account.unexpected(world, &format!("devices with a token from {when}"), &reply),
    }
    Ok(())
}

/// The tokens that were given are good, the spent ones dead.
async fn tokens(account: &mut Account, world: &World, random: &mut Random) -> Result<(), Down> {
    if account.stage != Stage::Active {
        return Ok(());
    }
    device(account, world, "before the crash").await?;
    if account.tokens.is_none() {
        return Ok(());
    }
    let reply = send_refresh(account, world, &format!("{:016x}", random.next())).await?;
    if reply.status != 200 {
        account.unexpected(world, "a refresh token from before the crash", &reply);
        return Ok(());
    }
    refreshed(account, world, &reply);
    let reused = random.chance(20).then(|| random.pick(&account.spent).cloned()).flatten();
    let Some(reused) = reused else { return Ok(()) };
    let reply = world.post("/2fa/token/refresh/", As::Anyone, json!({"refresh_token": reused})).await?;
    if reply.status != 401 {
        account.unexpected(world, "a refresh token that was spent", &reply);
    }
    let reply = send_refresh(account, world, "after-the-reuse").await?;
    if reply.status != 401 {
        account.unexpected(world, "the family of a refresh token that was used twice", &reply);
    }
    account.tokens = None;
    Ok(())
}

/// How far the clocks of several servers may be apart, in seconds: they are set one after the other, by whole seconds, and the one that
/// tells how long to wait need not be the one that counted the last failure.
const CLOCKS_APART: u64 = 2;

/// Wrong codes in a row stay counted: the account waits after exactly the fifth, or waits the longer.
async fn row(account: &mut Account, world: &World, random: &mut Random) -> Result<(), Down> {
    let before = account.row;
    let mut judged = 0;
    let mut session = 0;
    let waits = loop {
        if judged % 2 == 0 {
            let Some(opened) = account.open(world).await? else { return Ok(()) };
            session = opened;
        }
        let (step, _guard) = world.step().await?;
        let code = account.wrong_code(step, random);
        let reply = account.answer(world, session, &code).await?;
        match reply.code.as_str() {
            "INVALID_CODE" if judged < 6 => judged += 1,
            "ACCOUNT_THROTTLED" => break reply.retry_after,
            _ => {
                account.unexpected(world, &format!("wrong code after {before:?} in a row"), &reply);
                return Ok(());
            }
        }
    };
    // 30 s after the fifth, doubled with each further one; the wait may have begun before the crash.
    let fits = |row: u32| {
        let total = row + judged;
        let longest = 30u64 << total.saturating_sub(5).min(7);
        total >= 5
            && (judged == 0 || total == 5 || row >= 5 && judged == 1)
            && waits <= longest + CLOCKS_APART
            && (judged == 0 || waits + 10 > longest)
    };
    if !(before.0..=before.1).any(fits) {
        let what = format!("{before:?} wrong codes in a row, then {judged} more until a wait of {waits} s");
        account.broken(world, &what);
    }
    // Known no more exactly, and not needed: the account is worn out.
    account.stage = Stage::Dropped;
    Ok(())
}
