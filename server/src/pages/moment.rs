//! Times on the page.

use sidekey_core::time::UnixTime;

use crate::http::rfc3339;

/// A moment, for programs and for people.
pub(crate) struct Moment {
    pub(crate) iso: String,
    pub(crate) shown: String,
}

impl Moment {
    /// To the minute, in UTC; a script says it in the reader's own way.
    pub(crate) fn of(time: UnixTime) -> Self {
        let iso = rfc3339(time);
        let shown =
            iso.get(..16).map_or_else(|| iso.clone(), |text| format!("{} UTC", text.replace('T', " ")));
        Self { iso, shown }
    }
}
