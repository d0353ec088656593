//! `POST /2fa/setup/confirm/`: the first code makes a device active; with the first device, backup codes are handed out.

use serde::Serialize;
use serde_json::json;
use sidekey_core::{
    account::Account,
    backup_code::BackupCodes,
    device::Answer,
    id::{DeviceId, LoginId},
    login::Grant,
    refresh::Family,
    time::UnixTime,
};
use utoipa::ToSchema;

use super::{
    answering::{Via, start_login, with_fresh_set},
    shown,
};
use crate::{
    caller::{Enroller, Enrolling, enroller},
    context::Context,
    entropy::Entropy,
    http::{Call, Code, Problem, Reply},
    openapi::{Operation, Tag, schemas},
    token::pair::{Tokens, issue},
};

/// A pending device and its first code.
#[derive(Debug, ToSchema)]
pub struct Confirm {
    /// Of the pending device.
    pub device_id: String,
    /// The first one that the authenticator shows.
    pub code: schemas::Code,
    /// The code of the step after that of `code`; where `NEXT_CODE_REQUIRED` asks for it.
    pub next_code: Option<schemas::Code>,
}

/// The tokens are those of a new login whose second factor is the code just given.
#[derive(Serialize, ToSchema)]
#[schema(as = Confirmed)]
struct Reply200 {
    /// For people.
    message: &'static str,
    #[serde(flatten)]
    tokens: Tokens,
    /// Only with the first device; never shown again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Vec<schemas::BackupCode>, min_items = 10, max_items = 10)]
    backup_codes: Option<Vec<String>>,
    /// Goes with `backup_codes`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    backup_codes_warning: Option<&'static str>,
    /// Of the enrolment session, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = "uri", nullable = false)]
    return_url: Option<String>,
}

pub(crate) fn described() -> Operation {
    let first_device = json!({
        "message": "The device is active.",
        "access_token": "eyJhbGciOiJF….eyJpc3MiOiJo….i63ECn3W…",
        "refresh_token": "zeQ92XhFQ_wG…",
        "token_type": "Bearer",
        "expires_in": 900,
        "backup_codes": [
            "696X-D10X-NJBW-4XPZ",
            "13CP-NDR9-KQ99-4CAZ",
            "3WZ9-39QD-Q7GY-T1KJ",
            "Z4YN-1334-0C1G-FNJ2",
            "1WK8-8CXS-42PM-6R6T",
            "XBXX-SXD0-NKSZ-NGAT",
            "5R1T-165Q-TK5F-1QS9",
            "C43K-VYVJ-F7D8-EHMH",
            "GZVA-QYXE-SJ2D-V0RR",
            "PDAE-NXV1-TJ6H-3XFD",
        ],
        "backup_codes_warning": shown::KEEP_BACKUP_CODES,
        "return_url": "https://app.example/after",
    });
    let further_device = json!({
        "message": "The device is active.",
        "access_token": "eyJhbGciOiJF….eyJpc3MiOiJo….qHndg7X2…",
        "refresh_token": "n4kxewl8ahHc…",
        "token_type": "Bearer",
        "expires_in": 900,
    });
    Operation::new("confirmSetup", Tag::Enrolment, "Confirm a device by its first code")
        .telling("A wrong code keeps the pending device and counts against the account's budget.")
        .takes::<Confirm>(json!({ "device_id": "11293aa031761f07451eb24bc8d556fe", "code": "781472" }))
        .answers::<Reply200>(
            "The device is active.",
            [("first_device", first_device), ("further_device", further_device)],
        )
        .refuses(&[
            Code::InvalidCode,
            Code::NextCodeRequired,
            Code::SetupExpired,
            Code::DeviceNotFound,
            Code::AccountLocked,
            Code::AccountThrottled,
        ])
}

/// A device that has become active, whose backup codes are still to be shown, if it is the first one.
struct Active {
    family: Family,
    first: bool,
    return_url: Option<String>,
}

/// Confirms a device.
///
/// # Errors
/// No valid credential, a malformed body, no fresh second factor where a device is active, an unknown or expired setup, or
/// a code that does not count.
pub async fn run(context: &Context, mut call: Call) -> Result<Reply, Problem> {
    let enroller = enroller(context, &call).await?;
    let fields = call.fields().await?;
    let device = DeviceId::parse(fields.text("device_id")?);
    let answer = fields.answer()?;
    let confirming = Confirming { device, answer, replaces: None, via: Via::Api };
    let confirmed = confirm(context, &enroller, &confirming).await?;
    let Confirmed { family, backup_codes, return_url } = confirmed;
    Ok(Reply::ok(&Reply200 {
        message: "The device is active.",
        tokens: issue(context, &family, context.clock.now())?,
        backup_codes_warning: backup_codes.as_ref().map(|_| shown::KEEP_BACKUP_CODES),
        backup_codes,
        return_url,
    }))
}

/// What is asked for.
#[derive(Debug)]
pub struct Confirming {
    /// The pending device.
    pub device: Option<DeviceId>,
    /// Its first code.
    pub answer: Answer,
    /// The device that goes when this one is active, if it is still there.
    pub replaces: Option<DeviceId>,
    /// Where it is asked for.
    pub via: Via,
}

/// A device that has become active. No `Debug`: it holds backup codes.
#[expect(missing_debug_implementations, reason = "it holds backup codes")]
pub struct Confirmed {
    /// The login that began with it.
    pub family: Family,
    /// The backup codes as they are shown, with the first device.
    pub backup_codes: Option<Vec<String>>,
    /// Where the enrolment session leads.
    pub return_url: Option<String>,
}

/// Confirms a device by its first code.
///
/// # Errors
/// No fresh second factor where a device is active, an unknown or expired setup, or a code that does not count.
pub async fn confirm(
    context: &Context,
    enroller: &Enroller,
    confirming: &Confirming,
) -> Result<Confirmed, Problem> {
    let account_id = enroller.account();
    let still_right = async |now| {
        let account = context.store.account(account_id).await?;
        let known = account.zip(confirming.device);
        Ok(known.is_some_and(|(account, device)| would_be_first(&account, device, &confirming.answer, now)))
    };
    let confirm = async |set: Option<BackupCodes>, now| {
        let decide = |enrolling: Enrolling<'_>| attempt(enrolling, confirming, set.as_ref(), now);
        enroller.transact(context, now, decide).await
    };
    let (active, set) = with_fresh_set(context, account_id, still_right, confirm).await?;
    let Active { family, first, return_url } = active;
    let backup_codes = set.filter(|_| first).map(|set| shown::backup_codes(&set.codes));
    Ok(Confirmed { family, backup_codes, return_url })
}

/// Confirms it; `None`, and nothing is used up, if the code is right and the backup codes, which the first device comes with, are still missing.
fn attempt(
    enrolling: Enrolling<'_>,
    confirming: &Confirming,
    codes: Option<&BackupCodes>,
    now: UnixTime,
) -> Result<Option<Active>, Problem> {
    let Enrolling { account, family, session, started, events } = enrolling;
    let Confirming { device, answer, replaces, via } = confirming;
    let device = device.ok_or_else(|| Problem::new(Code::DeviceNotFound))?;
    if codes.is_none() && would_be_first(account, device, answer, now) {
        return Ok(None);
    }
    let codes = codes.cloned();
    // The tokens are those of a new login: what was given out before had no second factor, and never gets one.
    let (confirmed, grant, return_url) = if let Some(session) = session {
        let (confirmed, grant) = session.confirm(account, device, answer, codes, now, events)?;
        (confirmed, grant, session.return_url.clone())
    } else {
        let confirmed = account.confirm(device, answer, codes, now, events)?;
        let remember_me = family.is_some_and(|family| family.remember_me);
        let second_factor = Some(confirmed.second_factor);
        (confirmed, Grant { login: LoginId::generate(&mut Entropy), second_factor, remember_me }, None)
    };
    // The old device goes with the code that proves the new one: until then it works.
    if let Some(old) = *replaces {
        account.replaced(old, device, events);
    }
    let family = start_login(account, return_url.as_deref(), grant, *via, now, started);
    Ok(Some(Active { family, first: confirmed.first, return_url }))
}

/// Whether confirming would succeed and turn 2FA on: judged on a copy, nothing is counted or used up by it.
pub(super) fn would_be_first(account: &Account, device: DeviceId, answer: &Answer, now: UnixTime) -> bool {
    let mut copy = account.clone();
    !account.is_protected() && copy.confirm(device, answer, None, now, &mut Vec::new()).is_ok()
}
