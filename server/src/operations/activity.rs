//! `GET /2fa/activity/`: what has happened to the user's account lately.

use data_encoding::BASE64URL_NOPAD;
use serde::Serialize;
use sidekey_core::{account::Account, event::Event, id::AccountId, login::Method};
use subtle::ConstantTimeEq as _;

use crate::{
    audit::{Outcome, Shown},
    caller::user,
    context::Context,
    http::{Call, Problem, Reply, rfc3339},
    keyring::Pepper,
};

/// Entries of a page where no number is asked for.
const PAGE: usize = 20;
/// Most entries of a page.
const MAX_PAGE: usize = 100;

#[derive(Serialize)]
struct Answer {
    activity: Vec<Happened>,
    /// For `before`, if there may be more.
    next: Option<String>,
}

#[derive(Serialize)]
struct Happened {
    at: String,
    event: String,
    outcome: Outcome,
    method: Option<&'static str>,
    device_id: Option<String>,
    ip_address: Option<String>,
    user_agent: Option<String>,
    request_id: String,
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
    let own = entries.into_iter().map(|(_, entry)| entry).filter(|entry| entry.at >= since);
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
pub async fn newest(context: &Context, account: &Account, limit: usize) -> Result<Vec<Shown>, Problem> {
    let entries = context.store.activity(&account.id, None, limit).await?;
    Ok(entries.into_iter().map(|(_, entry)| entry).filter(|entry| entry.at >= account.created_at).collect())
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
            | Event::DeviceRemoved { device } => (None, Some(device)),
            _ => (None, None),
        };
        Self {
            at: rfc3339(entry.at),
            event: entry.name(),
            outcome: entry.outcome(),
            method: method.map(|method| match method {
                Method::Otp => "totp",
                Method::BackupCode => "backup_code",
            }),
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
