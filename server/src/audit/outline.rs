//! What is looked at of any entry, whatever its event says besides.

use serde::Deserialize;
use sidekey_core::time::UnixTime;

/// When, about whom, and the event's name.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Outline {
    /// When.
    pub at: UnixTime,
    /// The app that it is about.
    pub app: Option<String>,
    /// The user that it is about.
    pub user: Option<String>,
    /// What happened.
    pub event: Named,
}

/// An event by its name.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Named {
    /// The name.
    #[serde(rename = "type")]
    pub name: String,
}

#[derive(Deserialize)]
struct Dated {
    at: UnixTime,
}

impl Outline {
    /// Reads an entry as it is stored; `None` if it is none.
    pub fn read(stored: &[u8]) -> Option<Self> {
        serde_json::from_slice(stored).ok()
    }
}

/// When an entry was made, as it is stored; `None` if it does not say.
pub fn made_at(stored: &[u8]) -> Option<UnixTime> {
    serde_json::from_slice(stored).ok().map(|Dated { at }| at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_says_when_and_about_whom_and_one_without_an_event_only_when() {
        let entry = br#"{"at":7,"app":"shop","user":"42","actor":{"kind":"app"},"event":{"type":"account_locked","left":3}}"#;
        let outline = Outline::read(entry).unwrap();
        assert_eq!((outline.at, outline.event.name.as_str()), (UnixTime::from_secs(7), "account_locked"));
        assert_eq!((outline.app.as_deref(), outline.user.as_deref()), (Some("shop"), Some("42")));
        assert_eq!(
            (Outline::read(br#"{"at":7}"#), made_at(br#"{"at":7}"#)),
            (None, Some(UnixTime::from_secs(7)))
        );
        assert_eq!(made_at(b"entry"), None);
    }
}
