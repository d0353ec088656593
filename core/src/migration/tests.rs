use proptest::prelude::*;

use super::*;
use crate::key_uri::KeyUriError;

#[test]
fn debug_shows_nothing_of_a_secret() {
    let secret = Secret::from_bytes(b"12345678901234567890".to_vec()).unwrap();
    let uri = KeyUri::new(None, "ann", secret, TotpParams::default()).unwrap();
    let entry = Entry { issuer: String::new(), name: "ann".into(), outcome: Ok(uri) };
    let shown = format!("{entry:?}");
    assert!(shown.contains("Secret(redacted)") && !shown.contains("1234"), "{shown}");
}

#[test]
fn an_error_is_a_sentence_without_input() {
    let error = Migration::parse("otpauth-migration://offline?data=SECRET!").unwrap_err();
    assert_eq!(error.to_string(), "a migration URI has one parameter `data`, in base64");
    assert_eq!(Refusal::Part(KeyUriError::Account).code(), "ACCOUNT_INVALID");
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Migration::decode(&bytes);
    }

    #[test]
    fn what_is_taken_over_has_the_usual_period(secret in proptest::collection::vec(any::<u8>(), 0..20), kind in 0_u8..4) {
        let mut message = vec![0x0a, u8::try_from(secret.len()).unwrap()];
        message.extend(&secret);
        message.extend([0x12, 1, b'a', 0x20, 1, 0x28, 2, 0x30, kind]);
        let entry = Entry::decode(&message).unwrap();
        prop_assert_eq!(entry.outcome.is_ok(), kind == 2 && secret.len() >= 16);
        if let Ok(uri) = entry.outcome {
            prop_assert_eq!(uri.params().period.seconds(), 30);
            prop_assert_eq!(uri.secret().expose(), secret);
        }
    }
}
