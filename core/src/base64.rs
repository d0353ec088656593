//! Reading base64 (RFC 4648 §4), by hand for the same reasons as [`crate::base32`].

use zeroize::Zeroizing;

use crate::base32::Bits;

/// The bytes that a text stands for, with or without padding; `None` for any other character, for a length that no bytes
/// have, and for a last character with bits left over (§3.5).
pub(crate) fn decode(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let text = text.trim_end_matches('=');
    // Never grows, since growing would leave a copy behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len() * 6 / 8));
    let mut bits = Bits::default();
    for letter in text.bytes() {
        bits.push(value(letter)?, 6);
        if let Some(byte) = bits.pop(8) {
            bytes.push(byte);
        }
    }
    bits.rest_is_padding_of(6).then_some(bytes)
}

fn value(letter: u8) -> Option<u16> {
    let value = match letter {
        b'A'..=b'Z' => letter - b'A',
        b'a'..=b'z' => letter - b'a' + 26,
        b'0'..=b'9' => letter - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(value.into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rfc_4648_section_10() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg"),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(decode(text).unwrap().as_slice(), bytes.as_bytes());
        }
    }

    #[test]
    fn everything_else_is_no_base64() {
        for text in ["Z", "Zm9vZ", "Zh", "Zm9", "Zm 9v", "Zm9v\n", "Zm-v", "Zm_v", "Z=g", "é"] {
            assert_eq!(decode(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn it_agrees_with_another_implementation(text in "[A-Za-z0-9+/]{0,40}|\\PC{0,20}") {
            let other = data_encoding::BASE64_NOPAD.decode(text.trim_end_matches('=').as_bytes()).ok();
            prop_assert_eq!(decode(&text).map(|bytes| bytes.to_vec()), other);
        }
    }
}
