//! Base32 (RFC 4648 §6) of secrets, without padding.
//!
//! By hand because of the browser: a general encoder takes 60 KB of the module, a third of it, and leaves copies unwiped.

use zeroize::Zeroizing;

/// The text for these bytes, in upper case.
pub(crate) fn encode(bytes: &[u8]) -> Zeroizing<String> {
    // Never grows, since growing would leave a copy behind; the same holds below.
    let mut text = Zeroizing::new(String::with_capacity((bytes.len() * 8).div_ceil(5)));
    let mut bits = Bits::default();
    for &byte in bytes {
        bits.push(byte.into(), 8);
        while let Some(value) = bits.pop(5) {
            text.push(letter(value));
        }
    }
    // The last group is filled with zero bits (§6).
    if let Some(rest) = bits.rest_as_high_bits_of(5) {
        text.push(letter(rest));
    }
    text
}

/// The bytes that a text in any case stands for; `None` for padding, blanks and any other character, for a length that no
/// bytes have, and for a last character with bits left over, which would be a second spelling of the same bytes (§3.5).
pub(crate) fn decode(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len() * 5 / 8));
    let mut bits = Bits::default();
    for letter in text.bytes() {
        bits.push(value(letter)?, 5);
        if let Some(byte) = bits.pop(8) {
            bytes.push(byte);
        }
    }
    bits.rest_is_padding_of(5).then_some(bytes)
}

/// Up to thirteen bits on their way from groups of one size to groups of another.
#[derive(Default)]
pub(crate) struct Bits {
    value: u16,
    count: u32,
}

impl Bits {
    pub(crate) fn push(&mut self, value: u16, count: u32) {
        self.value = self.value << count | value;
        self.count += count;
    }

    pub(crate) fn pop(&mut self, count: u32) -> Option<u8> {
        self.count = self.count.checked_sub(count)?;
        let popped = self.value >> self.count;
        self.value &= (1 << self.count) - 1;
        u8::try_from(popped).ok()
    }

    /// Whether what is left came from filling up the last group: less than one group, and no bit of it set.
    pub(crate) fn rest_is_padding_of(&self, group: u32) -> bool {
        self.count < group && self.value == 0
    }

    fn rest_as_high_bits_of(&self, count: u32) -> Option<u8> {
        if self.count == 0 { None } else { u8::try_from(self.value << (count - self.count)).ok() }
    }
}

fn letter(value: u8) -> char {
    char::from(if value < 26 { b'A' + value } else { b'2' + (value - 26) })
}

fn value(letter: u8) -> Option<u16> {
    match letter.to_ascii_uppercase() {
        letter @ b'A'..=b'Z' => Some(u16::from(letter - b'A')),
        digit @ b'2'..=b'7' => Some(u16::from(digit - b'2') + 26),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rfc_4648_section_10() {
        for (bytes, text) in [
            ("", ""),
            ("f", "MY"),
            ("fo", "MZXQ"),
            ("foo", "MZXW6"),
            ("foob", "MZXW6YQ"),
            ("fooba", "MZXW6YTB"),
            ("foobar", "MZXW6YTBOI"),
        ] {
            assert_eq!(encode(bytes.as_bytes()).as_str(), text);
            assert_eq!(decode(text).unwrap().as_slice(), bytes.as_bytes());
        }
    }

    #[test]
    fn case_does_not_count_and_everything_else_does() {
        assert_eq!(decode("mzxW6").unwrap().as_slice(), b"foo");
        for text in ["MZXW6===", "MZ XW6", "MZXW6!", "MZXW1", "MZXW8", "MZXWé", "MZXW６"] {
            assert_eq!(decode(text), None, "{text}");
        }
    }

    #[test]
    fn bytes_have_one_spelling() {
        for text in ["M", "MZX", "MZXW6Y", "MZ", "MZXR", "MZXW7", "MZXW6YR"] {
            assert_eq!(decode(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn it_agrees_with_another_implementation(bytes in proptest::collection::vec(any::<u8>(), 0..=130)) {
            let text = encode(&bytes);
            prop_assert_eq!(text.as_str(), data_encoding::BASE32_NOPAD.encode(&bytes));
            prop_assert_eq!(decode(&text).map(|decoded| decoded.to_vec()), Some(bytes));
        }

        #[test]
        fn what_another_implementation_refuses_is_refused(text in "[A-Z2-7]{0,40}|\\PC{0,20}") {
            let other = data_encoding::BASE32_NOPAD.decode(text.to_ascii_uppercase().as_bytes()).ok();
            prop_assert_eq!(decode(&text).map(|bytes| bytes.to_vec()), other);
        }
    }
}
