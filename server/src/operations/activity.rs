//! `GET /2fa/activity/`: what has happened to the user's account lately.

use data_encoding::BASE64URL_NOPAD;
use serde::Serialize;
use serde_json::json;
use sidekey_core::{account::Account, event::Event, id::AccountId};
use subtle::ConstantTimeEq as _;
use utoipa::{
    ToSchema,
    openapi::{Object, ObjectBuilder, Type, path::ParameterIn},
};

use crate::{
    audit::{Outcome, Shown, method_name},
    caller::user,
    context::Context,
    http::{Call, Code, Problem, Reply, rfc3339},
    keyring::Pepper,
    openapi::{Operation, Tag, parameter},
};

/// Entries of a page where no number is asked for.
const PAGE: usize = 20;
/// Most entries of a page.
const MAX_PAGE: usize = 100;

/// A page of entries.
#[derive(Serialize, ToSchema)]
#[schema(as = Activity)]
struct Answer {
    #[schema(max_items = 100)]
    activity: Vec<Happened>,
    /// For `before`; null if there is no more.
    #[schema(required)]
    next: Option<String>,
}

/// One entry of the audit log.
#[derive(Serialize, ToSchema)]
#[schema(as = ActivityEntry)]
struct Happened {
    /// When. RFC 3339, UTC, whole seconds.
    #[schema(format = DateTime)]
    at: String,
    /// What happened, such as `session_opened`, `second_factor_accepted`, `answer_refused`, `account_throttled`,
    /// `device_confirmed`, `two_factor_disabled`. There will be more.
    event: &'static str,
    /// `refused` where something was not right, and somebody may have tried what they should not.
    outcome: Outcome,
    /// `totp` or `backup_code`, where it is about one.
    #[schema(required)]
    method: Option<&'static str>,
    /// The device, where it is about one.
    #[schema(required)]
    device_id: Option<String>,
    /// Where the request came from.
    #[schema(required)]
    ip_address: Option<String>,
    /// What made the request, by its own account.
    #[schema(required)]
    user_agent: Option<String>,
    /// `X-Request-Id` of that request's answer.
    request_id: String,
}

pub(crate) fn described() -> Operation {
    let limit = ObjectBuilder::new()
        .schema_type(Type::Integer)
        .minimum(Some(1))
        .maximum(Some(MAX_PAGE))
        .default(Some(PAGE.into()));
    let before = Object::with_type(Type::String);
    Operation::new("listActivity", Tag::Activity, "List what has happened to the user's account lately")
        .telling(
            "Entries of the audit log about this account, newest first, for as long as they are kept. Refused answers are among \
             them: they tell the owner that somebody has tried.",
        )
        .parameter(parameter(ParameterIn::Query, "limit", "Most entries of the page.", limit))
        .parameter(parameter(ParameterIn::Query, "before", "`next` of a page, to go on after it.", before))
        .answers::<Answer>(
            "A page of entries.",
            json!({
                "activity": [{
                    "at": "2026-11-22T18:59:00Z",
                    "event": "second_factor_accepted",
                    "outcome": "ok",
                    "method": "totp",
                    "device_id": "11293aa031761f07451eb24bc8d556fe",
                    "ip_address": "203.0.113.7",
                    "user_agent": "Mozilla/5.0",
                    "request_id": "9f2c1c7d0e6b4a5f8d3e2b1a",
                }],
                "next": null,
            }),
        )
        .refuses(&[Code::Validation])
}

/// Lists the newest entries of the audit log about the user, or those before the end of another page.
///
/// # Errors
/// No valid access token, one without a second factor where there is a device, or a malformed query.
pub async fn run(context: &Context, call: Call) -> Result<Reply, Problem> {
    let user = user(context, &call).await?;
    let query = call.query();
    let limit = query.optional("limit", |text| {
        let number = text.parse().ok().filter(|number| (1..=MAX_PAGE).contains(number));
        number.ok_or("must be a number from 1 to 100")
    })?;
    let before = query.optional("before", |text| {
        Cursor::new(&context.pepper, &user.account).read(text).ok_or("must be `next` of another page")
    })?;
    let since = user.account(context, context.clock.now()).await?.created_at;
    let limit = limit.unwrap_or(PAGE);
    let entries = context.store.activity(&user.account, before, limit).await?;
    let last = entries.last().filter(|_| entries.len() == limit).map(|(sequence, _)| *sequence);
    // The id may have belonged to somebody else, whom the host has erased.
    let own = entries.into_iter().map(|(_, entry)| entry.for_owner()).filter(|entry| entry.at >= since);
    Ok(Reply::ok(&Answer {
        activity: own.map(Happened::new).collect(),
        next: last.map(|last| Cursor::new(&context.pepper, &user.account).write(last)),
    }))
}

/// The newest entries of the audit log about an account, at most that many. The id may have belonged to somebody else, whom the host
/// has erased: of them nothing is told.
///
/// # Errors
/// The store is not available.
pub async fn newest<S: Sync>(
    context: &Context,
    account: &Account<S>,
    limit: usize,
) -> Result<Vec<Shown>, Problem> {
    let entries = context.store.activity(&account.id, None, limit).await?;
    Ok(entries
        .into_iter()
        .map(|(_, entry)| entry.for_owner())
        .filter(|entry| entry.at >= account.created_at)
        .collect())
}

impl Happened {
    fn new(entry: Shown) -> Self {
        let (method, device) = match entry.event {
            Event::SecondFactorAccepted { method, device } => (Some(method), device),
            Event::AnswerRefused { method, .. } | Event::AccountThrottled { method, .. } => {
                (Some(method), None)
            }
            Event::SetupStarted { device }
            | Event::DeviceConfirmed { device, .. }
            | Event::DeviceRenamed { device }
            | Event::PrimaryChanged { device }
            | Event::DeviceDisabled { device }
            | Event::DeviceEnabled { device }
            | Event::DeviceRemoved { device } => (None, Some(device)),
            _ => (None, None),
        };
        Self {
            at: rfc3339(entry.at),
            event: entry.name(),
            outcome: entry.outcome(),
            method: method.map(method_name),
            device_id: device.map(|device| device.to_string()),
            ip_address: entry.ip_address.map(|address| address.to_string()),
            user_agent: entry.user_agent,
            request_id: entry.request_id,
        }
    }
}

/// The place of an entry as its user sees it. Numbers count what happens on the whole server, which is nobody's business: so a
/// place is a MAC of the number and the number under a pad that the MAC gives, both for this account only.
struct Cursor<'a> {
    pepper: &'a Pepper,
    account: &'a AccountId,
}

impl<'a> Cursor<'a> {
    fn new(pepper: &'a Pepper, account: &'a AccountId) -> Self {
        Self { pepper, account }
    }

    fn write(&self, sequence: u64) -> String {
        let tag = self.mac("activity-tag", &sequence.to_be_bytes());
        let number = sequence ^ u64::from_be_bytes(self.mac("activity-pad", &tag));
        BASE64URL_NOPAD.encode(&[tag, number.to_be_bytes()].concat())
    }

    fn read(&self, text: &str) -> Option<u64> {
        let bytes = BASE64URL_NOPAD.decode(text.get(..22).filter(|_| text.len() == 22)?.as_bytes()).ok()?;
        let (tag, number) = bytes.split_first_chunk::<8>()?;
        let pad = u64::from_be_bytes(self.mac("activity-pad", tag));
        let sequence = u64::from_be_bytes(number.try_into().ok()?) ^ pad;
        let ours: bool = self.mac("activity-tag", &sequence.to_be_bytes()).ct_eq(tag).into();
        ours.then_some(sequence)
    }

    fn mac(&self, domain: &str, part: &[u8]) -> [u8; 8] {
        let AccountId { app, user } = self.account;
        let mac = self.pepper.mac(domain, &[app.as_str().as_bytes(), user.as_str().as_bytes(), part]);
        let mut short = [0; 8];
        short.copy_from_slice(&mac[..8]);
        short
    }
}

#[cfg(test)]
mod tests {
    use sidekey_core::id::{AppId, UserId};

    use super::*;
    use crate::entropy::Entropy;

    #[test]
    fn a_place_is_known_to_its_account_only() {
        let pepper = Pepper::generate(&mut Entropy);
        let of =
            |user: &str| AccountId { app: AppId::parse("shop").unwrap(), user: UserId::parse(user).unwrap() };
        let (ann, bob) = (of("ann"), of("bob"));
        let (ann, bob) = (Cursor::new(&pepper, &ann), Cursor::new(&pepper, &bob));
        for number in [1, 2, 77, u64::MAX] {
            let text = ann.write(number);
            assert_eq!(ann.read(&text), Some(number));
            assert_eq!(bob.read(&text), None);
            assert_eq!(ann.read(&text[1..]), None);
        }
        for wrong in ["", "77", "AAAAAAAAAAAAAAAAAAAAAA", "é"] {
            assert_eq!(ann.read(wrong), None);
        }
    }
}
