use proptest::prelude::*;

use super::*;
use crate::{
    secret::SecretError,
    totp::{Digits, Period},
};

const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

fn secret() -> Secret {
    Secret::from_base32(SECRET).unwrap()
}

fn built(issuer: Option<&str>, account: &str) -> Result<KeyUri, KeyUriError> {
    KeyUri::new(issuer, account, secret(), TotpParams::default())
}

fn with_query(query: &str) -> Result<KeyUri, KeyUriError> {
    KeyUri::parse(&format!("otpauth://totp/Acme:ann?secret={SECRET}{query}"))
}

#[test]
fn a_key_uri_is_written_the_way_most_authenticators_read_it() {
    let uri = built(Some("ACME Co"), "ann+totp@example.com").unwrap();
    assert_eq!(
        uri.to_string().as_str(),
        "otpauth://totp/ACME%20Co:ann%2Btotp@example.com?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\
         &issuer=ACME%20Co&algorithm=SHA1&digits=6&period=30"
    );
}

#[test]
fn without_an_issuer_neither_prefix_nor_parameter_is_written() {
    let uri = built(None, "Zoë").unwrap();
    assert_eq!(
        uri.to_string().as_str(),
        "otpauth://totp/Zo%C3%AB?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&algorithm=SHA1&digits=6&period=30"
    );
}

#[test]
fn the_longest_key_uri_fits_the_limit_and_a_qr_code() {
    let uri = KeyUri::new(
        Some(&"%".repeat(MAX_ISSUER_BYTES)),
        &"%".repeat(MAX_ACCOUNT_BYTES),
        Secret::from_bytes(vec![0xff; crate::secret::MAX_BYTES]).unwrap(),
        TotpParams {
            algorithm: Algorithm::Sha512,
            digits: Digits::new(8).unwrap(),
            period: Period::new(120).unwrap(),
        },
    )
    .unwrap();
    let text = uri.to_string();
    assert!(text.len() <= 1_700, "{} bytes", text.len());
    assert_eq!(KeyUri::parse(&text), Ok(uri));
    assert!(crate::qr::QrMatrix::encode(&text).is_ok());
}

#[test]
fn names_that_the_format_cannot_carry_are_refused() {
    for issuer in ["", "  ", "a:b", "a\nb", &"a".repeat(101)] {
        assert_eq!(built(Some(issuer), "ann"), Err(KeyUriError::Issuer), "{issuer:?}");
    }
    for account in ["", "\u{a0}", "a\0b", &"a".repeat(256)] {
        assert_eq!(built(Some("Acme"), account), Err(KeyUriError::Account), "{account:?}");
    }
    assert_eq!(built(None, "a:b"), Err(KeyUriError::Account));
    assert_eq!(built(Some("Acme"), "a:b").unwrap().account(), "a:b");
}

#[test]
fn an_encoded_colon_separates_only_where_no_literal_one_does() {
    let parsed = |label: &str| {
        let uri = KeyUri::parse(&format!("otpauth://totp/{label}?secret={SECRET}")).unwrap();
        (uri.issuer().map(str::to_owned), uri.account().to_owned())
    };
    assert_eq!(parsed("Big%20Corp%3A%20ann"), (Some("Big Corp".into()), "ann".into()));
    assert_eq!(parsed("Acme:ann%3A8000"), (Some("Acme".into()), "ann:8000".into()));
    assert_eq!(parsed("Acme:ann:8000"), (Some("Acme".into()), "ann:8000".into()));
    assert_eq!(parsed("ann"), (None, "ann".into()));
}

#[test]
fn each_fault_has_its_own_error() {
    assert_eq!(with_query("").unwrap().params(), TotpParams::default());
    assert_eq!(with_query("&issuer=Other"), Err(KeyUriError::IssuerMismatch));
    assert_eq!(with_query("&algorithm=MD5"), Err(KeyUriError::Algorithm));
    assert_eq!(with_query("&digits=06"), Err(KeyUriError::Digits));
    assert_eq!(with_query("&period=%2B30"), Err(KeyUriError::Period));
    assert_eq!(with_query("&secret=AAAA"), Err(KeyUriError::Duplicate));
    assert_eq!(with_query("&"), Err(KeyUriError::Parameter));
    assert_eq!(with_query("&image=%zz"), Err(KeyUriError::Encoding));
    assert_eq!(with_query(&format!("&image={}", "a".repeat(MAX_BYTES))), Err(KeyUriError::TooLong));
    assert_eq!(KeyUri::parse("otpauth://totp/ann"), Err(KeyUriError::NoSecret));
    assert_eq!(KeyUri::parse("otpauth://totp/ann?secret=GE"), Err(SecretError::TooShort.into()));
    assert_eq!(KeyUri::parse("otpauth://hotp/ann?counter=0"), Err(KeyUriError::Hotp));
    assert_eq!(KeyUri::parse("otpauth://steam/ann"), Err(KeyUriError::Type));
    assert_eq!(KeyUri::parse("https://totp/ann"), Err(KeyUriError::Scheme));
}

#[test]
fn neither_debug_nor_an_error_shows_the_secret() {
    let uri = with_query("").unwrap();
    assert!(format!("{uri:?}").contains("Secret(redacted)"));
    for text in [format!("otpauth://totp/a?secret={SECRET}1"), format!("otpauth://totp/a?{SECRET}")] {
        let error = KeyUri::parse(&text).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("GEZD"));
    }
}

fn params() -> impl Strategy<Value = TotpParams> {
    let algorithm = prop_oneof![Just(Algorithm::Sha1), Just(Algorithm::Sha256), Just(Algorithm::Sha512)];
    (algorithm, 6..=8u8, 15..=120u8).prop_map(|(algorithm, digits, period)| TotpParams {
        algorithm,
        digits: Digits::new(digits).unwrap(),
        period: Period::new(period).unwrap(),
    })
}

/// Printable characters of all scripts, with those that mean something in a URI more often than chance has them.
fn label() -> impl Strategy<Value = String> {
    prop_oneof!["\\PC{1,30}", "[%+:&=?/#@ 20A\\\\üЖ😀]{1,30}"]
}

proptest! {
    #[test]
    fn what_is_built_is_read_back(
        issuer in proptest::option::of(label()),
        account in label(),
        bytes in proptest::collection::vec(any::<u8>(), 16..=128),
        params in params(),
    ) {
        let secret = Secret::from_bytes(bytes).unwrap();
        let issuer = issuer.map(|issuer| issuer.replace(':', ""));
        let uri = KeyUri::new(issuer.as_deref(), &account, secret, params);
        // What the type refuses is told by the tests above; here it only has to be one of those two reasons.
        match uri {
            Err(error) => prop_assert!(matches!(error, KeyUriError::Issuer | KeyUriError::Account)),
            Ok(uri) => {
                let text = uri.to_string();
                prop_assert!(text.is_ascii() && !text.contains('+') && !text.contains(' '));
                prop_assert_eq!(KeyUri::parse(&text), Ok(uri));
            }
        }
    }

    #[test]
    fn reading_never_panics(text in ".*") {
        prop_assert!(KeyUri::parse(&text).is_err());
    }

    #[test]
    fn reading_text_close_to_a_key_uri_never_panics(
        label in "[a-z%:0-9A-F]{0,12}",
        query in "(secret=|issuer=|digits=|period=|algorithm=|[A-Z2-7]{26}|[&=%+#:?é]|[0-9]){0,16}",
    ) {
        if let Ok(uri) = KeyUri::parse(&format!("otpauth://totp/{label}?{query}")) {
            prop_assert_eq!(KeyUri::parse(&uri.to_string()), Ok(uri));
        }
    }
}
