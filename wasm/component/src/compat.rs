//! The interface `compat`.

use sidekey_core::compat;

use crate::{
    Component,
    bindings::exports::sidekey::core::compat::{Config, Guest, KeyUriError, Kind, Scheme, Warning},
};

impl Guest for Component {
    fn warnings(config: Config, scheme: Option<Scheme>) -> Result<Vec<Warning>, KeyUriError> {
        let scheme = scheme.map(Into::into).unwrap_or_default();
        Ok(compat::warnings(&config.as_core(), scheme)?.into_iter().map(Into::into).collect())
    }
}

impl From<compat::Warning> for Warning {
    fn from(warning: compat::Warning) -> Self {
        Self {
            kind: warning.into(),
            field: warning.field().to_owned(),
            apps: warning.apps().iter().map(ToString::to_string).collect(),
            message: warning.to_string(),
        }
    }
}

impl From<compat::Warning> for Kind {
    fn from(warning: compat::Warning) -> Self {
        use compat::Warning as Core;
        match warning {
            Core::AlgorithmIgnored => Self::AlgorithmIgnored,
            Core::AlgorithmRejected => Self::AlgorithmRejected,
            Core::DigitsIgnored => Self::DigitsIgnored,
            Core::DigitsUnusual => Self::DigitsUnusual,
            Core::PeriodIgnored => Self::PeriodIgnored,
            Core::IssuerMissing => Self::IssuerMissing,
            Core::IssuerCharacters => Self::IssuerCharacters,
            Core::IssuerNoDomain => Self::IssuerNoDomain,
            Core::AccountColon => Self::AccountColon,
            Core::LabelLong => Self::LabelLong,
        }
    }
}
