//! The interface `totp`.

use sidekey_core::preview;

use crate::{
    Component,
    bindings::exports::sidekey::core::totp::{Config, Guest, KeyUriError, Preview},
};

impl Guest for Component {
    fn preview_at(config: Config, now: u64) -> Result<Preview, KeyUriError> {
        let config = config.as_core();
        Ok(preview::Preview::at(&config.secret()?, config.params()?, now).into())
    }
}

impl From<preview::Preview> for Preview {
    fn from(preview: preview::Preview) -> Self {
        Self {
            code: preview.code,
            display: preview.display,
            step: preview.step.number(),
            valid_from: preview.valid_from,
            valid_until: preview.valid_until,
            remaining: preview.remaining,
        }
    }
}
