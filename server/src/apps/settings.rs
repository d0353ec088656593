//! What can be changed of an app at run time.

use serde::{Deserialize, Serialize};
use sidekey_core::{colour::Colour, id::AppId, policy::Enforcement};

use super::{App, AppError, Apps, Logo, MAX_NAME_CHARS, ReturnUrls, record};
use crate::audit::{Entry, Origin, ServerEvent};
use crate::store::{Batch, CommitError};

/// Attempts to change an app that is being changed by others.
const ATTEMPTS: usize = 8;

/// The longest grace period, in days.
pub const GRACE_DAYS_MAX: u16 = 365;

/// Seconds of a day.
pub const DAY: u64 = 24 * 60 * 60;

/// One setting and what it becomes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Edit {
    /// What people read.
    Name(String),
    /// What the app demands of its users.
    Enforcement(Enforcement),
    /// Where it lets its users be sent back to.
    ReturnUrls(ReturnUrls),
    /// The colour of its buttons.
    AccentColor(Option<Colour>),
    /// Its logo.
    Logo(Option<Logo>),
}

impl Edit {
    /// The setting's name, in the API and the audit trail.
    const fn field(&self) -> &'static str {
        match self {
            Self::Name(_) => "name",
            Self::Enforcement(_) => "enforcement",
            Self::ReturnUrls(_) => "return_urls",
            Self::AccentColor(_) => "accent_color",
            Self::Logo(_) => "logo",
        }
    }

    fn apply(self, app: &mut App) {
        match self {
            Self::Name(name) => app.name = name,
            Self::Enforcement(enforcement) => app.enforcement = enforcement,
            Self::ReturnUrls(urls) => app.return_urls = urls,
            Self::AccentColor(colour) => app.accent_color = colour,
            Self::Logo(logo) => app.logo = logo,
        }
    }
}

impl Apps {
    /// Changes settings of an app, all or none, and gives the app as it is then. The audit trail has the names of those that have
    /// become different.
    ///
    /// # Errors
    /// When there is no such app, a name is none, or the store fails.
    pub async fn change(&self, id: &AppId, edits: &[Edit], origin: &Origin) -> Result<App, AppError> {
        for edit in edits {
            if let Edit::Name(name) = edit {
                check_name(name)?;
            }
        }
        let place = record::app_place(id);
        let mut conflict = None;
        for _ in 0..ATTEMPTS {
            let stored = self.engine.get(&place).await?.ok_or_else(|| AppError::UnknownApp(id.clone()))?;
            let before = record::decode_app(&place, &stored)?;
            let (app, fields) = changed(before, edits);
            if fields.is_empty() {
                return Ok(app);
            }
            let mut batch = Batch::new();
            batch.expect(place.clone(), Some(stored.version));
            batch.put(place.clone(), record::encode_app(&place, &app)?);
            batch.append(Entry::of_server(Some(id), origin, &ServerEvent::AppChanged { fields }).to_bytes());
            match self.commit(batch).await {
                Ok(()) => return Ok(app),
                Err(error @ CommitError::Conflict(_)) => conflict = Some(error),
                Err(error) => return Err(error.into()),
            }
        }
        conflict.map_or_else(|| Err(AppError::UnknownApp(id.clone())), |error| Err(error.into()))
    }
}

/// The app after the edits, and the names of the settings that are different then.
fn changed(before: App, edits: &[Edit]) -> (App, Vec<&'static str>) {
    let (mut app, mut fields) = (before, Vec::new());
    for edit in edits {
        let unedited = app.clone();
        edit.clone().apply(&mut app);
        if app != unedited && !fields.contains(&edit.field()) {
            fields.push(edit.field());
        }
    }
    (app, fields)
}

/// Whether an app can have this name.
///
/// # Errors
/// It is empty, too long, or not printable.
pub(super) fn check_name(name: &str) -> Result<(), AppError> {
    let is_short = name.chars().count() <= MAX_NAME_CHARS;
    if is_short && !name.trim().is_empty() && !name.chars().any(char::is_control) {
        Ok(())
    } else {
        Err(AppError::InvalidName)
    }
}

/// The word for what an app demands.
pub const fn word(enforcement: Enforcement) -> &'static str {
    match enforcement {
        Enforcement::Optional => "optional",
        Enforcement::Encouraged => "encouraged",
        Enforcement::Required { .. } => "required",
        Enforcement::AdminsOnly => "admins",
    }
}

/// What a word demands, with a grace period in days where it is `required`.
///
/// # Errors
/// There is no such word, or a grace period goes with another one: a sentence that says so.
pub fn enforcement(word: &str, grace_days: Option<u16>) -> Result<Enforcement, &'static str> {
    let enforcement = match word {
        "required" => {
            return Ok(Enforcement::Required { grace_seconds: u64::from(grace_days.unwrap_or(0)) * DAY });
        }
        "optional" => Enforcement::Optional,
        "encouraged" => Enforcement::Encouraged,
        "admins" => Enforcement::AdminsOnly,
        _ => return Err("must be optional, encouraged, required or admins"),
    };
    match grace_days {
        None | Some(0) => Ok(enforcement),
        Some(_) => Err("has a grace period only where it is required"),
    }
}

#[cfg(test)]
mod tests {
    use sidekey_core::time::UnixTime;

    use super::*;
    use crate::apps::ReturnUrl;
    use crate::store::engine::MAX_VALUE;

    fn largest() -> App {
        let url = |n: u8| ReturnUrl::parse(&format!("https://{n:02}.example/{}", "a".repeat(81))).unwrap();
        let picture = [b"\x89PNG\r\n\x1a\n".to_vec(), vec![7; super::super::logo::MAX_BYTES - 8]].concat();
        App {
            id: AppId::parse(&"a".repeat(64)).unwrap(),
            name: "\u{10ffff}".repeat(MAX_NAME_CHARS),
            enforcement: Enforcement::Required { grace_seconds: u64::MAX },
            created_at: UnixTime::from_secs(u64::MAX),
            return_urls: ReturnUrls::new((0..20).map(url).collect()).unwrap(),
            accent_color: Some(Colour::WHITE),
            logo: Some(Logo::of_picture(&picture).unwrap()),
        }
    }

    #[test]
    fn the_largest_app_fits_into_a_record_and_comes_back_as_it_was() {
        let app = largest();
        let place = record::app_place(&app.id);
        let bytes = record::encode_app(&place, &app).unwrap();
        assert!(bytes.len() <= MAX_VALUE, "{} bytes", bytes.len());
        let stored = crate::store::Record { version: crate::store::Version::of_test(1), value: bytes };
        assert_eq!(record::decode_app(&place, &stored).unwrap(), app);
    }

    #[test]
    fn only_what_becomes_different_is_a_change() {
        let app = largest();
        let (same, fields) =
            changed(app.clone(), &[Edit::Name(app.name.clone()), Edit::Logo(app.logo.clone())]);
        assert_eq!((same, fields), (app.clone(), vec![]));
        let (other, fields) =
            changed(app, &[Edit::AccentColor(None), Edit::Enforcement(Enforcement::Optional)]);
        assert_eq!(fields, ["accent_color", "enforcement"]);
        assert_eq!((other.accent_color, other.enforcement), (None, Enforcement::Optional));
    }

    #[test]
    fn a_word_comes_back_and_only_required_has_a_grace_period() {
        for name in ["optional", "encouraged", "required", "admins"] {
            assert_eq!(word(enforcement(name, None).unwrap()), name);
            assert_eq!(enforcement(name, Some(7)).is_ok(), name == "required");
        }
        assert_eq!(enforcement("required", Some(7)), Ok(Enforcement::Required { grace_seconds: 604_800 }));
        assert!(enforcement("Required", None).is_err());
    }
}
