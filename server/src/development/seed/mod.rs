//! Users for the end-to-end tests of a host application: in every state that a login can meet, with the secrets and codes that a test needs.
//!
//! - this file: `POST /development/seed/`, and the same at a start with `--seed`;
//! - `persona`: the users that are made where none are described;
//! - `described`: users as a request describes them;
//! - `person`: what is to become of a user, and the life that leads there;
//! - `random`: secrets and codes that are the same in each run.
//!
//! Nobody is written down: each user goes through the rules that every other one goes through, at times that have passed.

mod described;
mod person;
mod persona;
mod random;

use std::io;

use serde_json::{Value, json};
use sidekey_core::{
    account::Account,
    backup_code::{BackupCode, CODES, Salt},
    id::{AccountId, AppId, DeviceId, DeviceName, UserId},
    import::ReducedCode,
    key_uri::KeyUri,
    secret::Secret,
    time::UnixTime,
    totp::TotpParams,
};

use self::{
    described::Described,
    person::{Hashed, Person},
    persona::Persona,
    random::Random,
};
use super::demo::{self, DEMO_APP};
use crate::{
    apps::App,
    audit::{Actor, Origin},
    caller::host,
    context::Context,
    http::{Call, Code, Problem, Reply},
    operations::erase_user,
    store::Subject,
};

/// The number that secrets and codes are made from where none is given.
const SEED: u64 = 1;
/// The file in the data folder that tells of the users whom `--seed` has made.
pub const SEED_FILE: &str = "development-seed.json";

/// `POST /development/seed/`: makes users of the demo application or, with an API key, of that key's application. Users of these names
/// are erased before.
///
/// # Errors
/// An API key that does not count, a malformed body, or the store is not available.
pub async fn run(context: &Context, mut call: Call) -> Result<Reply, Problem> {
    let fields = call.optional_fields().await?;
    let seed = fields.optional_number("seed")?.unwrap_or(SEED);
    let people = if fields.has("users") {
        Described::people(fields.list("users")?, seed)?
    } else {
        Persona::people(seed)
    };
    let (app, origin) = if call.bearer().is_some() {
        let host = host(context, &call).await?;
        (host.app, host.origin)
    } else {
        let id = AppId::parse(DEMO_APP).map_err(|_| Problem::new(Code::Internal))?;
        let app = context.apps.find(&id).await?.ok_or_else(|| Problem::new(Code::NotFound))?;
        (app, call.origin_as(Actor::App))
    };
    Ok(Reply::ok(&seeded(context, &app, people, seed, &origin).await?))
}

/// Why the users of `--seed` are not there.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// They cannot be made.
    #[error("cannot make the users of `--seed`; the log says why")]
    Refused,
    /// They cannot be told.
    #[error("cannot write `{SEED_FILE}`: {0}")]
    File(#[from] io::Error),
}

/// Makes all personas of the demo application at a start, and writes down what a test needs of them.
///
/// # Errors
/// The store or the file fails.
pub async fn at_start(context: &Context, seed: u64) -> Result<(), SeedError> {
    let origin = Origin::local(Actor::Server, context.clock.now());
    let app = AppId::parse(DEMO_APP).map_err(|_| SeedError::Refused)?;
    let app = context.apps.find(&app).await.ok().flatten().ok_or(SeedError::Refused)?;
    let told = seeded(context, &app, Persona::people(seed), seed, &origin).await;
    let told = told.map_err(|_| SeedError::Refused)?;
    Ok(demo::write_private(&context.settings.data.join(SEED_FILE), &format!("{told:#}"))?)
}

/// The personas of the demo application that are there.
///
/// # Errors
/// The store is not available.
pub async fn present(context: &Context) -> Result<Vec<UserId>, Problem> {
    let app = AppId::parse(DEMO_APP).map_err(|_| Problem::new(Code::Internal))?;
    let mut present = Vec::new();
    for user in Persona::users() {
        let id = AccountId { app: app.clone(), user };
        if context.store.account(&id).await?.is_some() {
            present.push(id.user);
        }
    }
    Ok(present)
}

async fn seeded(
    context: &Context,
    app: &App,
    people: Vec<Person>,
    seed: u64,
    origin: &Origin,
) -> Result<Value, Problem> {
    let mut users = Vec::with_capacity(people.len());
    for person in people {
        users.push(made(context, app, &person, seed, origin).await?);
    }
    Ok(json!({ "app_id": app.id, "seed": seed, "users": users }))
}

/// Makes one user, and tells what a test needs to be that user.
async fn made(
    context: &Context,
    app: &App,
    person: &Person,
    seed: u64,
    origin: &Origin,
) -> Result<Value, Problem> {
    let id = AccountId { app: app.id.clone(), user: person.user.clone() };
    let random = Random::new(seed, &person.user, "codes");
    let codes =
        if person.devices.is_empty() { None } else { Some(backup_codes(context, &id, random).await?) };
    erase_user::erase(context, id.clone(), origin).await?;
    let now = context.clock.now();
    let hashed = codes.as_ref().map(|(_, hashed)| hashed);
    let account = context
        .store
        .transact(Subject::account(id.clone()), origin, now, |state| {
            let random = &mut Random::new(seed, &person.user, "devices");
            let lived = person.live(&id, app.enforcement, hashed, now, random, &mut state.events);
            state.account.clone_from(&lived);
            lived
        })
        .await?;
    let account = account.ok_or_else(|| {
        tracing::error!(app = %app.id, "a user of the seed cannot become what it is to be");
        Problem::new(Code::Internal)
    })?;
    let codes = codes.map(|(codes, _)| codes).unwrap_or_default();
    let shown = |codes: &[BackupCode]| codes.iter().map(|code| code.shown().to_string()).collect::<Vec<_>>();
    let (used, left) = codes.split_at(codes.len() - person.backup_codes_left.min(codes.len()));
    Ok(json!({
        "user_id": person.user,
        "persona": person.persona.map(Persona::name),
        "account_name": account.name,
        "devices": devices(context, &account, now)?,
        "backup_codes": shown(left),
        "used_backup_codes": shown(used),
    }))
}

async fn backup_codes(
    context: &Context,
    id: &AccountId,
    mut random: Random,
) -> Result<(Vec<BackupCode>, Hashed), Problem> {
    let salt = Salt::generate(&mut random);
    let codes: Vec<_> = (0..CODES).map(|_| BackupCode::generate(&mut random)).collect();
    let reduced = codes.iter().map(ReducedCode::from).collect();
    let hashes = context.hasher.set().await?.hashes(id, salt, reduced).await?;
    Ok((codes, Hashed { salt, hashes }))
}

fn devices(context: &Context, account: &Account, now: UnixTime) -> Result<Vec<Value>, Problem> {
    let shown = |id: DeviceId, name: &DeviceName, status: &str, secret: &Secret, params: TotpParams| {
        let uri =
            KeyUri::new(Some(&context.settings.issuer), account.id.user.as_str(), secret.clone(), params);
        let uri = uri.map_err(|_| Problem::field("users", "must have names that a key URI can have"))?;
        Ok::<_, Problem>(json!({
            "id": id.to_string(),
            "name": name,
            "is_primary": account.is_primary(id),
            "status": status,
            "secret": secret.to_base32().as_str(),
            "provisioning_uri": uri.to_string().as_str(),
        }))
    };
    let active = account.active_devices().iter();
    let active = active.map(|device| shown(device.id, &device.name, "active", &device.secret, device.params));
    let pending = account.pending_devices(now);
    let pending =
        pending.map(|device| shown(device.id, &device.name, "pending", &device.secret, device.params));
    active.chain(pending).collect()
}
