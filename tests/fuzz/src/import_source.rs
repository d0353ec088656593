//! Files of other products: no bytes make a reader panic or work for ever, and a user who was read can be sent to a server as they are.

use sidekey_core::{import::MAX_SECRET_BYTES, secret::MIN_BYTES};
use sidekey_server::import::{Format, SourceFile, SourceOptions, WireUser, read};

/// The formats by the letter that an input begins with, and what opens the fixtures of each.
const FORMATS: [(u8, Format, &str); 9] = [
    (b'k', Format::KeyUris, ""),
    (b'g', Format::GoogleAuthenticator, ""),
    (b'p', Format::Pskc, "12345678901234567890123456789012"),
    (b'o', Format::DjangoOtp, ""),
    (b'a', Format::DjangoAllauth, ""),
    (b'c', Format::DjangoCfg, ""),
    (
        b'f',
        Format::Fortify,
        "base64:a2tra2tra2tra2tra2tra0tLS0tLS0tLS0tLS0tLS0s=\nbase64:cHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHA=",
    ),
    (b'y', Format::Keycloak, ""),
    (b'b', Format::BetterAuth, "a made-up secret of better-auth (1)"),
];

/// The first byte is the format, the rest one file, or several with zero bytes between them.
pub fn run(input: &[u8]) {
    let Some((letter, rest)) = input.split_first() else { return };
    let Some((_, format, key)) = FORMATS.iter().find(|format| format.0 == *letter) else { return };
    let files: Vec<SourceFile> = rest
        .split(|byte| *byte == 0)
        .map(|bytes| SourceFile { name: "file".to_owned(), bytes: bytes.to_vec().into() })
        .collect();
    let options = SourceOptions { source_key: Some((*key).to_owned().into()), ..SourceOptions::default() };
    let source = match read(*format, &files, &options) {
        Ok(source) => source,
        Err(error) => return assert!(error.to_string().starts_with("file"), "it says where"),
    };
    for user in source.users.into_iter().filter_map(|read| read.outcome.ok()) {
        for device in &user.devices {
            assert!((MIN_BYTES..=MAX_SECRET_BYTES).contains(&device.secret.expose().len()));
        }
        let mut sent = user;
        sent.left_out.clear();
        sent.recovery_left_out = None;
        assert_eq!(WireUser::of(&sent).parse().as_ref(), Ok(&sent));
    }
}
