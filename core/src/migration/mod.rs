//! What Google Authenticator exports: `otpauth-migration://offline?data=…`, several accounts in one QR code.
//!
//! The format has no public description; its fields are known from the app's exports:
//!
//! ```text
//! Payload { otp_parameters = 1 (repeated), version = 2, batch_size = 3, batch_index = 4, batch_id = 5 }
//! OtpParameters { secret = 1, name = 2, issuer = 3, algorithm = 4, digits = 5, type = 6, counter = 7 }
//! ```
//!
//! There is no field for the period: the app knows 30 seconds only. Every account is judged by itself. What it does not say
//! is not guessed, since a wrong guess shows up as codes that are never right, long after the old telephone is gone.

mod error;
mod protobuf;

#[cfg(test)]
mod tests;

use zeroize::Zeroizing;

pub use self::error::{MigrationError, Refusal};
use self::protobuf::Fields;
use crate::{
    base64,
    key_uri::{KeyUri, parse::strip_prefix_of_any_case, percent},
    secret::Secret,
    totp::{Algorithm, Digits, TotpParams},
};

/// The most bytes of a migration URI that is read: more than the largest QR code holds (2,953).
pub const MAX_BYTES: usize = 4_096;

/// Everything that one QR code of an export says.
#[derive(Debug, PartialEq, Eq)]
pub struct Migration {
    /// The version of the format, as the app wrote it.
    pub version: u32,
    /// Which part of the export this is.
    pub batch: Batch,
    /// The accounts, in the app's order.
    pub entries: Vec<Entry>,
}

/// An export of many accounts is spread over several QR codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The same in all QR codes of one export.
    pub id: i32,
    /// This one's place among them, from 0.
    pub index: u32,
    /// How many there are.
    pub size: u32,
}

/// One account of an export.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry {
    /// The issuer as the app had it; may be empty.
    pub issuer: String,
    /// The account's name as the app had it, which may begin with the issuer and a colon.
    pub name: String,
    /// The account, or why it cannot be taken over.
    pub outcome: Result<KeyUri, Refusal>,
}

impl Migration {
    /// Reads a migration URI.
    ///
    /// # Errors
    /// Whatever is not exactly such a URI. An account that cannot be taken over is no error: its [`Entry`] says why.
    pub fn parse(uri: &str) -> Result<Self, MigrationError> {
        Self::decode(&payload(uri)?)
    }

    fn decode(payload: &[u8]) -> Result<Self, MigrationError> {
        let mut migration =
            Self { version: 0, batch: Batch { id: 0, index: 0, size: 1 }, entries: Vec::new() };
        let mut fields = Fields::of(payload);
        while let Some((number, value)) = fields.next()? {
            match number {
                1 => migration.entries.push(Entry::decode(value.bytes()?)?),
                2 => migration.version = value.small()?,
                3 => migration.batch.size = value.small()?,
                4 => migration.batch.index = value.small()?,
                5 => migration.batch.id = value.signed()?,
                _ => {}
            }
        }
        Ok(migration)
    }
}

/// The bytes of the parameter `data`; other parameters count for nothing.
fn payload(uri: &str) -> Result<Zeroizing<Vec<u8>>, MigrationError> {
    if uri.len() > MAX_BYTES {
        return Err(MigrationError::TooLong);
    }
    let query =
        strip_prefix_of_any_case(uri, "otpauth-migration://offline?").ok_or(MigrationError::Scheme)?;
    let mut values = query.split('&').filter_map(|pair| pair.strip_prefix("data="));
    let (Some(data), None) = (values.next(), values.next()) else {
        return Err(MigrationError::Data);
    };
    let text = percent::decode(data).map_err(|_| MigrationError::Data)?;
    base64::decode(&text).ok_or(MigrationError::Data)
}

/// The fields of one account, not yet judged.
#[derive(Default)]
struct Parameters<'a> {
    secret: &'a [u8],
    name: &'a str,
    issuer: &'a str,
    algorithm: u64,
    digits: u64,
    kind: u64,
}

impl Entry {
    fn decode(message: &[u8]) -> Result<Self, MigrationError> {
        let mut parameters = Parameters::default();
        let mut fields = Fields::of(message);
        while let Some((number, value)) = fields.next()? {
            match number {
                1 => parameters.secret = value.bytes()?,
                2 => parameters.name = value.text()?,
                3 => parameters.issuer = value.text()?,
                4 => parameters.algorithm = value.number()?,
                5 => parameters.digits = value.number()?,
                6 => parameters.kind = value.number()?,
                // The counter of HOTP, and what later versions may add.
                _ => {}
            }
        }
        Ok(Self {
            issuer: parameters.issuer.to_owned(),
            name: parameters.name.to_owned(),
            outcome: parameters.judge(),
        })
    }
}

impl Parameters<'_> {
    fn judge(&self) -> Result<KeyUri, Refusal> {
        match self.kind {
            1 => return Err(Refusal::Hotp),
            2 => {}
            _ => return Err(Refusal::Type),
        }
        let algorithm = match self.algorithm {
            1 => Algorithm::Sha1,
            2 => Algorithm::Sha256,
            3 => Algorithm::Sha512,
            _ => return Err(Refusal::Algorithm),
        };
        let digits = match self.digits {
            1 => 6,
            2 => 8,
            _ => return Err(Refusal::Digits),
        };
        let digits = Digits::new(digits).map_err(|_| Refusal::Digits)?;
        let secret = Secret::from_bytes(self.secret.to_vec()).map_err(|error| Refusal::Part(error.into()))?;
        let (issuer, account) = self.label();
        KeyUri::new(issuer, account, secret, TotpParams { algorithm, digits, ..TotpParams::default() })
            .map_err(Refusal::Part)
    }

    /// Issuer and account: the app keeps the label of a scanned key URI, so the issuer may stand before the account as well.
    fn label(&self) -> (Option<&str>, &str) {
        match (self.issuer, self.name.split_once(':')) {
            ("", Some((prefix, account))) => (Some(prefix), account),
            ("", None) => (None, self.name),
            (issuer, Some((prefix, account))) if prefix.trim() == issuer.trim() => (Some(issuer), account),
            // Another prefix: somebody renamed one of the two, and neither decides about the codes.
            (issuer, _) => (Some(issuer), self.name),
        }
    }
}
