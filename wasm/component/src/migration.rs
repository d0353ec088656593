//! The interface `migration`.

use sidekey_core::migration;

use crate::{
    Component,
    bindings::exports::sidekey::core::migration::{Batch, Entry, ExportPart, Guest, MigrationError, Refusal},
};

impl Guest for Component {
    fn parse(uri: String) -> Result<ExportPart, MigrationError> {
        Ok(migration::Migration::parse(&uri)?.into())
    }
}

impl From<migration::Migration> for ExportPart {
    fn from(migration: migration::Migration) -> Self {
        let migration::Batch { id, index, size } = migration.batch;
        Self {
            version: migration.version,
            batch: Batch { id, index, size },
            entries: migration.entries.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<migration::Entry> for Entry {
    fn from(entry: migration::Entry) -> Self {
        Self {
            issuer: entry.issuer,
            name: entry.name,
            outcome: entry.outcome.map(Into::into).map_err(Into::into),
        }
    }
}

impl From<migration::Refusal> for Refusal {
    fn from(refusal: migration::Refusal) -> Self {
        match refusal {
            migration::Refusal::Hotp => Self::Hotp,
            migration::Refusal::Type => Self::Kind,
            migration::Refusal::Algorithm => Self::Algorithm,
            migration::Refusal::Digits => Self::Digits,
            migration::Refusal::Part(error) => Self::Part(error.into()),
        }
    }
}

impl From<migration::MigrationError> for MigrationError {
    fn from(error: migration::MigrationError) -> Self {
        match error {
            migration::MigrationError::TooLong => Self::TooLong,
            migration::MigrationError::Scheme => Self::Scheme,
            migration::MigrationError::Data => Self::Data,
            migration::MigrationError::Payload => Self::Payload,
        }
    }
}
