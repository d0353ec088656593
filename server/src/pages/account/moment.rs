//! Times on the page.

use sidekey_core::time::UnixTime;

use crate::http::rfc3339;

/// A moment, for programs and for people.
pub(super) struct Moment {
    pub(super) iso: String,
    pub(super) shown: String,
}

impl Moment {
    /// To the minute, in UTC; a script says it in the reader's own way.
    pub(super) fn of(time: UnixTime) -> Self {
        let iso = rfc3339(time);
        let shown =
            iso.get(..16).map_or_else(|| iso.clone(), |text| format!("{} UTC", text.replace('T', " ")));
        Self { iso, shown }
    }
}
