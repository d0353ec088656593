//! What other products keep of their users' second factors, read into [`ImportedUser`]s: one file, one format. No reader opens a file
//! or a store: bytes come in, and users and what is to be said about them come out.
//!
//! - this file: what all formats share;
//! - `gathered`: users whose devices stand in rows of their own;
//! - `table`, `json`, `moment`, `parts`: what tables have in common, whoever wrote them;
//! - `key_uris`, `google_authenticator`, `pskc`, `django_otp`, `django_allauth`, `django_cfg`, `fortify`, `keycloak`, `better_auth`,
//!   `sidekey`: a format each, with what was looked up of it and where;
//! - `wire`: users as JSON;
//! - `apply`: users become accounts.
//!
//! Whoever reads a format gives an [`ImportError`] for a file that is not of that format, and a [`Refusal`] or a
//! [`DeviceRefusal`](sidekey_core::import::DeviceRefusal) for what is, and cannot be taken over. None of them holds a value of the file.

pub mod apply;
mod better_auth;
mod django_allauth;
mod django_cfg;
mod django_otp;
mod fortify;
mod gathered;
mod google_authenticator;
mod json;
mod key_uris;
mod keycloak;
mod moment;
mod object;
mod parts;
mod pskc;
mod sidekey;
mod table;
pub mod wire;

use std::fmt;

use clap::ValueEnum;
use sidekey_core::import::ImportedUser;
use sidekey_core::key_uri::KeyUriError;
use sidekey_core::migration::MigrationError;
use sidekey_core::totp::TotpParams;
use zeroize::Zeroizing;

pub use django_allauth::RecoverySettings;
pub use gathered::Gathered;
pub use wire::WireUser;

/// The most bytes of all files of one import.
pub const MAX_BYTES: usize = 256 << 20;

/// What a file may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Key URIs (`otpauth://totp/…`), one a line, or a table with the user of each
    KeyUris,
    /// What Google Authenticator transfers (`otpauth-migration://…`), one a line, or a table with the user of each
    GoogleAuthenticator,
    /// Containers of token makers (RFC 6030), and tables that say whose the tokens are
    Pskc,
    /// Tables or a fixture of django-otp
    DjangoOtp,
    /// The table or a fixture of django-allauth
    DjangoAllauth,
    /// Tables or a fixture of django-cfg
    DjangoCfg,
    /// The table of users of Laravel Fortify
    Fortify,
    /// The table of credentials or an exported realm of Keycloak
    Keycloak,
    /// The table of better-auth
    BetterAuth,
    /// What `sidekey export` has written; its key is the source key
    Sidekey,
}

/// A file as it was read.
pub struct SourceFile {
    /// Its name, for reports.
    pub name: String,
    /// What is in it.
    pub bytes: Zeroizing<Vec<u8>>,
}

/// What a reader is told besides the files.
#[derive(Default)]
pub struct SourceOptions {
    /// What decrypts what is encrypted in them.
    pub source_key: Option<Zeroizing<String>>,
    /// What of a label names its user, where nothing else does.
    pub user_from: UserFrom,
    /// What the other product's settings say of its codes, where its files do not.
    pub params: TotpParams,
    /// How django-allauth derives its recovery codes.
    pub recovery: RecoverySettings,
}

/// What of the label of a key URI is the host application's name for the user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum UserFrom {
    /// The account: `ann` of `Shop:ann`
    #[default]
    Account,
    /// Issuer and account: `Shop:ann`
    IssuerAndAccount,
}

/// What was read.
#[derive(Debug, Default)]
pub struct Source {
    /// The users, in the order in which they stand.
    pub users: Vec<Read>,
    /// What is to be said about them besides.
    pub notes: Vec<Note>,
}

/// A user that was read, or why not.
#[derive(Debug, PartialEq, Eq)]
pub struct Read {
    /// Where it stands.
    pub place: Place,
    /// The user.
    pub outcome: Result<ImportedUser, Refusal>,
}

/// Something to be said about what was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note(pub String);

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    file: String,
    number: Option<(Unit, usize)>,
}

/// What is counted in a file, from 1 on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Lines of text.
    Line,
    /// Rows of a table, the header not counted.
    Row,
    /// Members of a list.
    Entry,
}

/// Why a user cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No user can have this name.
    #[error("the user's name has not 1 to 255 bytes, or a control character")]
    UserId,
    /// It is no key URI.
    #[error(transparent)]
    KeyUri(#[from] KeyUriError),
    /// It is no export of Google Authenticator.
    #[error(transparent)]
    Migration(#[from] MigrationError),
    /// A value that is needed is missing.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// A value is not what it should be.
    #[error("`{0}` is not what it should be")]
    Malformed(&'static str),
    /// A value is encrypted, and the key does not open it.
    #[error("`{0}` does not open with this key")]
    Locked(&'static str),
}

/// Why nothing can be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// It is not of the format.
    #[error("{place}: {what}")]
    Malformed {
        /// Where.
        place: Place,
        /// What is wrong.
        what: &'static str,
    },
    /// A table lacks a column.
    #[error("{place}: there is no column `{column}`")]
    NoColumn {
        /// Which table.
        place: Place,
        /// Its name.
        column: &'static str,
    },
    /// What stands in it is encrypted.
    #[error("{0}: this needs the key of the other product: name its file with `--source-key-file FILE`")]
    KeyNeeded(Place),
    /// The key opens nothing of it.
    #[error("{0}: it does not open with this key")]
    WrongKey(Place),
}

/// Reads files of a format.
///
/// # Errors
/// A file is not of the format.
pub fn read(format: Format, files: &[SourceFile], options: &SourceOptions) -> Result<Source, ImportError> {
    match format {
        Format::KeyUris => key_uris::read(files, options),
        Format::GoogleAuthenticator => google_authenticator::read(files, options),
        Format::Pskc => pskc::read(files, options),
        Format::DjangoOtp => django_otp::read(files),
        Format::DjangoAllauth => django_allauth::read(files, options),
        Format::DjangoCfg => django_cfg::read(files),
        Format::Fortify => fortify::read(files, options),
        Format::Keycloak => keycloak::read(files),
        Format::BetterAuth => better_auth::read(files, options),
        Format::Sidekey => sidekey::read(files, options),
    }
}

impl SourceFile {
    /// Its text.
    ///
    /// # Errors
    /// It is not UTF-8.
    pub fn text(&self) -> Result<&str, ImportError> {
        let text = std::str::from_utf8(&self.bytes);
        // What spreadsheets put in front.
        text.map(|text| text.trim_start_matches('\u{feff}'))
            .map_err(|_| ImportError::Malformed { place: self.whole(), what: "it is no UTF-8 text" })
    }

    /// The file as a whole, as a place.
    pub fn whole(&self) -> Place {
        Place { file: self.name.clone(), number: None }
    }

    /// What is wrong at a place in it.
    pub(crate) fn wrong(&self, unit: Unit, number: usize, what: &'static str) -> ImportError {
        ImportError::Malformed { place: self.at(unit, number), what }
    }

    /// A place in it.
    pub fn at(&self, unit: Unit, number: usize) -> Place {
        Place { file: self.name.clone(), number: Some((unit, number)) }
    }
}

impl Place {
    /// A place within this one.
    pub(crate) fn within(&self, unit: Unit, number: usize) -> Self {
        Self { file: self.file.clone(), number: Some((unit, number)) }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.file)?;
        let Some((unit, number)) = self.number else { return Ok(()) };
        let unit = match unit {
            Unit::Line => "line",
            Unit::Row => "row",
            Unit::Entry => "entry",
        };
        write!(formatter, ", {unit} {number}")
    }
}

impl fmt::Debug for SourceFile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SourceFile").field("name", &self.name).finish_non_exhaustive()
    }
}

impl fmt::Debug for SourceOptions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SourceOptions").field("user_from", &self.user_from).finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    /// A file with this text.
    pub(crate) fn file(name: &str, text: &str) -> SourceFile {
        SourceFile { name: name.to_owned(), bytes: text.as_bytes().to_vec().into() }
    }

    /// A file of tests/import/fixtures.
    pub(crate) fn fixture(name: &str) -> SourceFile {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/import/fixtures/");
        SourceFile { name: name.to_owned(), bytes: std::fs::read(format!("{folder}{name}")).unwrap().into() }
    }

    /// The options with the key in this fixture.
    pub(crate) fn key(name: &str) -> SourceOptions {
        let key = fixture(name).text().unwrap().to_owned();
        SourceOptions { source_key: Some(Zeroizing::new(key)), ..SourceOptions::default() }
    }

    /// The user of this name among those that were read.
    pub(crate) fn user<'a>(source: &'a Source, name: &str) -> &'a ImportedUser {
        let users = || source.users.iter().filter_map(|read| read.outcome.as_ref().ok());
        users().find(|user| user.user.as_str() == name).unwrap_or_else(|| panic!("no {name}: {source:?}"))
    }
}

#[cfg(test)]
mod tests {
    use super::{testing::file, *};

    #[test]
    fn a_place_says_file_and_number() {
        let file = file("users.csv", "");
        assert_eq!(file.whole().to_string(), "users.csv");
        assert_eq!(file.at(Unit::Row, 7).to_string(), "users.csv, row 7");
        let error = ImportError::NoColumn { place: file.whole(), column: "secret" };
        assert_eq!(error.to_string(), "users.csv: there is no column `secret`");
    }

    #[test]
    fn what_is_no_text_is_refused_and_a_byte_order_mark_dropped() {
        assert_eq!(file("a", "\u{feff}x").text(), Ok("x"));
        let binary = SourceFile { name: "a".to_owned(), bytes: vec![0xff, 0xfe].into() };
        assert!(binary.text().is_err());
        assert!(!format!("{:?}", file("a", "otpauth")).contains("otpauth"));
    }
}
