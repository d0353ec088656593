//! Entries of the audit trail as pages show them.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use crate::audit::told;

/// An entry in parts for people. Texts are escaped by the template; control characters cannot be in them.
pub(super) struct Line {
    pub(super) sequence: u64,
    pub(super) at: String,
    pub(super) event: String,
    /// `shop/42`, `shop`, or `server`.
    pub(super) whom: String,
    pub(super) by: String,
    pub(super) from: String,
    pub(super) reason: String,
    /// What else the event says.
    pub(super) details: String,
    pub(super) request_id: String,
}

impl Line {
    /// Reads an entry as it is stored; `None` if it is none.
    pub(super) fn of(sequence: u64, stored: &[u8]) -> Option<Self> {
        Some(Self::of_told(sequence, &told(sequence, &serde_json::from_slice(stored).ok()?)))
    }

    fn of_told(sequence: u64, entry: &Map<String, Value>) -> Self {
        let text = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let event = entry.get("event").and_then(Value::as_object);
        let named = |name: &str| event.and_then(|event| event.get(name)).and_then(Value::as_str);
        let (app, user) = (text("app"), text("user"));
        let whom = match (app.is_empty(), user.is_empty()) {
            (true, _) => "server".to_owned(),
            (false, true) => app,
            (false, false) => format!("{app}/{user}"),
        };
        let actor = entry.get("actor").and_then(Value::as_object);
        let of_actor = |name: &str| actor.and_then(|actor| actor.get(name)).and_then(Value::as_str);
        let kind = of_actor("kind").unwrap_or("?").replace('_', " ");
        let by = of_actor("name").map_or_else(|| kind.clone(), |name| format!("{kind} {name}"));
        let (address, agent) = (text("ip_address"), text("user_agent"));
        let from =
            [address, agent].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" · ");
        Self {
            sequence,
            at: text("at"),
            event: named("type").unwrap_or("?").to_owned(),
            whom,
            by,
            from,
            reason: text("reason"),
            details: details(event),
            request_id: text("request_id"),
        }
    }
}

/// `method totp, device a1b2…`: what stands in an event besides its name.
fn details(event: Option<&Map<String, Value>>) -> String {
    let mut text = String::new();
    let others = event.into_iter().flatten().filter(|(name, value)| *name != "type" && !value.is_null());
    for (name, value) in others {
        let separator = if text.is_empty() { "" } else { ", " };
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        // Writing to a string cannot fail.
        let _ = write!(text, "{separator}{} {value}", name.replace('_', " "));
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn line(entry: Value) -> Line {
        let Value::Object(entry) = entry else { panic!("no entry") };
        Line::of_told(7, &entry)
    }

    #[test]
    fn a_line_says_whom_an_entry_is_about_who_did_it_and_from_where() {
        let line = line(json!({
            "at": "2026-11-23T08:00:00Z", "app": "shop", "user": "42", "reason": "lost phone",
            "actor": {"kind": "signed_in_operator", "name": "ann"}, "ip_address": "203.0.113.7", "user_agent": "Firefox",
            "event": {"type": "answer_refused", "method": "totp", "device": null, "left": 3},
        }));
        assert_eq!((line.whom.as_str(), line.by.as_str()), ("shop/42", "signed in operator ann"));
        assert_eq!((line.from.as_str(), line.reason.as_str()), ("203.0.113.7 · Firefox", "lost phone"));
        assert_eq!((line.event.as_str(), line.details.as_str()), ("answer_refused", "left 3, method totp"));
    }

    #[test]
    fn an_entry_about_no_account_is_about_its_app_or_the_server() {
        let of = |app: Value| line(json!({"app": app, "event": {"type": "restored"}}));
        assert_eq!((of("shop".into()).whom, of(Value::Null).whom), ("shop".to_owned(), "server".to_owned()));
        assert_eq!(of(Value::Null).by, "?");
    }
}
