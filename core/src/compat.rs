//! What authenticator apps ignore, misread or refuse, as warnings. A server that honours a parameter is of no use to a user
//! whose app does not: the app says nothing and shows codes that are never right.
//!
//! The facts were collected from the apps' own documentation and issue trackers, and apps change. `SHA1`, six digits, 30
//! seconds, and an issuer of plain letters give no warning and work everywhere.

use core::fmt;

use crate::{
    config::Config,
    key_uri::{KeyUriError, Scheme, checked_account, checked_issuer},
    totp::{Algorithm, Digits, Period},
};

/// From here on, issuer and account together are cut off on a telephone's screen.
const LONG_LABEL_CHARACTERS: usize = 64;

/// One thing that some apps do otherwise than the key URI says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Warning {
    /// Apps that compute with SHA-1 whatever is asked for.
    AlgorithmIgnored,
    /// Apps that refuse the code when it is scanned.
    AlgorithmRejected,
    /// Apps that show six digits whatever is asked for.
    DigitsIgnored,
    /// Apps that know six and eight digits only.
    DigitsUnusual,
    /// Apps that change the code every 30 seconds whatever is asked for.
    PeriodIgnored,
    /// Without an issuer the account is a name among others.
    IssuerMissing,
    /// Characters that apps decode differently.
    IssuerCharacters,
    /// Apple's password manager finds the website by the issuer.
    IssuerNoDomain,
    /// A second colon in the label, which the format forbids.
    AccountColon,
    /// Longer than apps show.
    LabelLong,
}

impl Warning {
    /// What programs branch on; it stays when the sentence changes.
    pub const fn code(self) -> &'static str {
        match self {
            Self::AlgorithmIgnored => "ALGORITHM_IGNORED",
            Self::AlgorithmRejected => "ALGORITHM_REJECTED",
            Self::DigitsIgnored => "DIGITS_IGNORED",
            Self::DigitsUnusual => "DIGITS_UNUSUAL",
            Self::PeriodIgnored => "PERIOD_IGNORED",
            Self::IssuerMissing => "ISSUER_MISSING",
            Self::IssuerCharacters => "ISSUER_CHARACTERS",
            Self::IssuerNoDomain => "ISSUER_NO_DOMAIN",
            Self::AccountColon => "ACCOUNT_COLON",
            Self::LabelLong => "LABEL_LONG",
        }
    }

    /// The part to change, by its name in a [`Config`].
    pub const fn field(self) -> &'static str {
        match self {
            Self::AlgorithmIgnored | Self::AlgorithmRejected => "algorithm",
            Self::DigitsIgnored | Self::DigitsUnusual => "digits",
            Self::PeriodIgnored => "period",
            Self::IssuerMissing | Self::IssuerCharacters | Self::IssuerNoDomain => "issuer",
            Self::AccountColon | Self::LabelLong => "account",
        }
    }

    /// The apps that are known for it; none where it is a matter of all.
    pub const fn apps(self) -> &'static [&'static str] {
        match self {
            Self::AlgorithmIgnored => {
                &["Microsoft Authenticator", "Authy", "Duo Mobile", "Google Authenticator for Android"]
            }
            Self::AlgorithmRejected | Self::DigitsUnusual => &["Google Authenticator"],
            Self::DigitsIgnored => &["Microsoft Authenticator"],
            Self::PeriodIgnored => &["Microsoft Authenticator", "Google Authenticator"],
            Self::IssuerNoDomain => &["Apple Passwords"],
            Self::AccountColon => &["FreeOTP"],
            Self::IssuerMissing | Self::IssuerCharacters | Self::LabelLong => &[],
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::AlgorithmIgnored => "some apps ignore the algorithm and show codes of SHA1, which are never right",
            Self::AlgorithmRejected => "some apps refuse to scan a key with this algorithm",
            Self::DigitsIgnored => "some apps show six digits whatever is asked for",
            Self::DigitsUnusual => "some apps know six and eight digits only",
            Self::PeriodIgnored => "some apps change the code every 30 seconds whatever is asked for",
            Self::IssuerMissing => "without an issuer people cannot tell this account from others",
            Self::IssuerCharacters => {
                "some apps misread issuers with other characters than ASCII letters, digits, blanks, `.`, `-` and `_`"
            }
            Self::IssuerNoDomain => "under Apple's scheme the issuer is the domain of the website",
            Self::AccountColon => "some apps refuse an account with a colon",
            Self::LabelLong => "apps cut off a label of more than 64 characters",
        })
    }
}

/// What some apps will do otherwise than `config` says, most harmful first. The secret is not looked at, and an account may
/// be missing.
///
/// # Errors
/// A part that no key URI can have: there is no point in warning of what is wrong everywhere.
pub fn warnings(config: &Config<'_>, scheme: Scheme) -> Result<Vec<Warning>, KeyUriError> {
    let params = config.params()?;
    let issuer = config.issuer().map(checked_issuer).transpose()?;
    let account = config.account.map(|account| checked_account(account, issuer.is_some())).transpose()?;
    let characters = |text: &Option<String>| text.as_ref().map_or(0, |text| text.chars().count());
    let of_issuer = |holds: fn(&str) -> bool| issuer.as_deref().is_some_and(holds);
    let eight = params.digits.count() == Digits::MAX;

    let found = [
        (params.algorithm != Algorithm::Sha1, Warning::AlgorithmIgnored),
        (params.algorithm == Algorithm::Sha256, Warning::AlgorithmRejected),
        (params.digits != Digits::default(), Warning::DigitsIgnored),
        (params.digits != Digits::default() && !eight, Warning::DigitsUnusual),
        (params.period != Period::default(), Warning::PeriodIgnored),
        (issuer.is_none(), Warning::IssuerMissing),
        (of_issuer(|issuer| !issuer.bytes().all(is_plain)), Warning::IssuerCharacters),
        (scheme == Scheme::AppleOtpauth && of_issuer(|issuer| !is_domain(issuer)), Warning::IssuerNoDomain),
        (account.as_deref().is_some_and(|account| account.contains(':')), Warning::AccountColon),
        (characters(&issuer) + characters(&account) > LONG_LABEL_CHARACTERS, Warning::LabelLong),
    ];
    Ok(found.into_iter().filter_map(|(applies, warning)| applies.then_some(warning)).collect())
}

/// Blanks are plain: they are written `%20`, never `+`, which made codes unscannable on iOS.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b" .-_".contains(&byte)
}

/// At least two labels of letters, digits and hyphens (RFC 1123 §2.1), the last without a digit at its start.
fn is_domain(text: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    text.rsplit_once('.').is_some_and(|(rest, last)| {
        rest.split('.').all(is_label) && is_label(last) && !last.starts_with(|c: char| c.is_ascii_digit())
    })
}
