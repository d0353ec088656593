//! The search for a user: who is called exactly so in any application, then everybody whose user id or account name has the text in it.
//!
//! The second is a look through all accounts, some thousand a page: "Search on" goes on where it ended, so that no page takes long.

use askama::Template;
use data_encoding::BASE64URL_NOPAD;
use http::StatusCode;
use sidekey_core::account::Account;
use sidekey_core::id::{AccountId, UserId};

use super::user::address;
use super::{Frame, Section};
use crate::caller::Operator;
use crate::context::Context;
use crate::http::{Call, Problem};
use crate::pages::{Moment, Shown, page};
use crate::store::Key;

/// Longest text that is looked for, in characters.
const MAX_CHARS: usize = 255;

#[derive(Template)]
#[template(path = "admin/users.html")]
struct UsersPage {
    frame: Frame,
    /// What is looked for.
    text: String,
    /// Users who are called exactly so.
    exact: Vec<Row>,
    /// Users with the text in their names.
    found: Vec<Row>,
    /// How many accounts were looked at for that.
    looked_at: usize,
    /// Whether this page goes on after another one.
    goes_on: bool,
    /// The query by which the search goes on.
    next: Option<String>,
}

/// A user.
struct Row {
    /// Where the user's page is, below `/admin/`.
    address: String,
    app: String,
    user: String,
    name: Option<String>,
    is_protected: bool,
    is_locked: bool,
    seen: Option<Moment>,
}

impl Row {
    fn new<S>(account: &Account<S>) -> Self {
        Self {
            address: address(&account.id),
            app: account.id.app.to_string(),
            user: account.id.user.to_string(),
            name: account.name.as_ref().map(ToString::to_string),
            is_protected: account.is_protected(),
            is_locked: account.is_locked(),
            seen: account.last_verified_at.map(Moment::of),
        }
    }
}

/// The page.
///
/// # Errors
/// The store is not available.
pub(super) async fn show(context: &Context, operator: &Operator, call: &Call) -> Result<Shown, Problem> {
    let text: String = call.parameter("q").unwrap_or_default().trim().chars().take(MAX_CHARS).collect();
    let after = call.parameter("after").and_then(|place| place_of(&place));
    let goes_on = after.is_some();
    let exact = if goes_on { Vec::new() } else { called(context, &text).await? };
    let wanted = text.to_lowercase();
    let search = context.store.search(after, |account| fits(account, &text, &wanted)).await?;
    let next = search.next.map(|key| {
        let place = BASE64URL_NOPAD.encode(key.as_bytes());
        let query = [("q", text.as_str()), ("after", &place)];
        form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish()
    });
    Ok(page(
        StatusCode::OK,
        &UsersPage {
            frame: Frame::of(context, operator, call, Section::Users),
            exact,
            found: search.found.iter().map(Row::new).collect(),
            looked_at: search.looked_at,
            goes_on,
            next,
            text,
        },
    ))
}

/// The users of all applications with exactly this id.
async fn called(context: &Context, text: &str) -> Result<Vec<Row>, Problem> {
    let Ok(user) = UserId::parse(text) else { return Ok(Vec::new()) };
    let mut rows = Vec::new();
    for app in context.apps.list().await? {
        let id = AccountId { app: app.id, user: user.clone() };
        rows.extend(context.store.account(&id).await?.as_ref().map(Row::new));
    }
    Ok(rows)
}

/// Whether an account is one of those that are looked for besides.
fn fits<S>(account: &Account<S>, text: &str, wanted: &str) -> bool {
    let has = |name: &str| name.to_lowercase().contains(wanted);
    let AccountId { user, .. } = &account.id;
    user.as_str() != text
        && (has(user.as_str()) || account.name.as_ref().is_some_and(|name| has(name.as_str())))
}

/// The place that an earlier page ended at; anything else is none.
fn place_of(text: &str) -> Option<Key> {
    BASE64URL_NOPAD.decode(text.as_bytes()).ok().map(|bytes| Key::from_bytes(&bytes))
}

#[cfg(test)]
mod tests {
    use sidekey_core::id::{AccountName, AppId};
    use sidekey_core::time::UnixTime;

    use super::*;
    use crate::entropy::Entropy;

    #[test]
    fn a_user_is_found_by_a_part_of_either_name_in_any_case() {
        let id = AccountId { app: AppId::parse("shop").unwrap(), user: UserId::parse("Änne-7").unwrap() };
        let mut ann: Account = Account::new(id, UnixTime::from_secs(1), &mut Entropy);
        ann.name = AccountName::parse("Ann@Example.com").ok();
        for text in ["", "änn", "NE-7", "ann@example.COM", "example"] {
            assert!(fits(&ann, text, &text.to_lowercase()), "{text}");
        }
        for text in ["bob", "Änne-7"] {
            assert!(!fits(&ann, text, &text.to_lowercase()), "{text}: nobody, or found exactly");
        }
    }
}
