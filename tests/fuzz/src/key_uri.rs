//! Key URIs: what is read is written again as something that reads as the same, and what is written is read.

use sidekey_core::{
    key_uri::{KeyUri, MAX_ACCOUNT_BYTES, MAX_BYTES, MAX_ISSUER_BYTES},
    secret::Secret,
    totp::TotpParams,
};

use crate::edit::halves;

/// The input as a key URI; and as issuer and account, with a zero byte between them, of a URI to be built.
pub fn run(input: &[u8]) {
    if let Ok(text) = std::str::from_utf8(input)
        && let Ok(uri) = KeyUri::parse(text)
    {
        comes_back(&uri);
    }
    let (issuer, account) = halves(input);
    let (Ok(issuer), Ok(account)) = (std::str::from_utf8(issuer), std::str::from_utf8(account)) else {
        return;
    };
    for issuer in [Some(issuer), None] {
        let secret = Secret::from_bytes(vec![7; 20]).expect("a length within the limits");
        if let Ok(uri) = KeyUri::new(issuer, account, secret, TotpParams::default()) {
            comes_back(&uri);
        }
    }
}

fn comes_back(uri: &KeyUri) {
    assert!(!uri.account().is_empty() && uri.account().len() <= MAX_ACCOUNT_BYTES);
    assert!(uri.issuer().is_none_or(|issuer| !issuer.is_empty() && issuer.len() <= MAX_ISSUER_BYTES));
    let text = uri.to_string();
    assert!(text.len() <= MAX_BYTES, "{} bytes", text.len());
    assert!(text.is_ascii());
    let again = KeyUri::parse(&text).expect("what is built is read");
    assert_eq!(&again, uri);
    assert_eq!(again.to_string(), text);
}
