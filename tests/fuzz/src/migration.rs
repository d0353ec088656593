//! Exports of Google Authenticator: no bytes make the reader panic, and what it takes over is a key URI that comes back.

use data_encoding::BASE64;
use sidekey_core::{
    key_uri::KeyUri,
    migration::{MAX_BYTES, Migration},
    totp::TotpParams,
};

/// The input as a migration URI, and as the payload of one.
pub fn run(input: &[u8]) {
    if let Ok(text) = std::str::from_utf8(input) {
        let read = Migration::parse(text);
        assert!(text.len() <= MAX_BYTES || read.is_err(), "longer than allowed");
        read.iter().for_each(whole);
    }
    let data = BASE64.encode(input);
    let escaped = data.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    let read = Migration::parse(&format!("otpauth-migration://offline?data={escaped}"));
    read.iter().for_each(whole);
    // Base64 as it is, where `+` means itself, says the same.
    if escaped.len() < MAX_BYTES - 100 {
        assert_eq!(Migration::parse(&format!("OTPAUTH-migration://offline?data={data}")), read);
    }
}

/// Each account has a key URI that says the same, or a reason why not.
fn whole(migration: &Migration) {
    for entry in &migration.entries {
        let Ok(uri) = &entry.outcome else { continue };
        let again = KeyUri::parse(&uri.to_string()).expect("what was taken over is a key URI");
        assert_eq!(&again, uri);
        assert_eq!(uri.params().period, TotpParams::default().period);
    }
}
