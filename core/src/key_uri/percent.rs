//! Percent-encoding (RFC 3986 §2.1) of the parts of a key URI.

use zeroize::Zeroizing;

use super::KeyUriError;

const HEX: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];

/// Appends `text`, percent-encoded but for the unreserved characters (RFC 3986 §2.3) and `@`, which a path and a query may
/// have as it is (§3.3, §3.4).
pub(super) fn encode_into(uri: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~@".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            uri.push('%');
            uri.extend([byte >> 4, byte & 0xf].iter().filter_map(|digit| HEX.get(usize::from(*digit))));
        }
    }
}

/// Undoes percent-encoding, once. `+` means itself.
///
/// # Errors
/// A character that path and query cannot have (RFC 3986 §3.3, §3.4), a `%` without two hexadecimal digits, bytes that are
/// not UTF-8.
pub(crate) fn decode(text: &str) -> Result<Zeroizing<String>, KeyUriError> {
    let mut decoded = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => hex_digit(bytes.next())? << 4 | hex_digit(bytes.next())?,
            _ if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?".contains(&byte) => byte,
            _ => return Err(KeyUriError::Encoding),
        });
    }
    // Checked before it is copied: the error of `String::from_utf8` would carry the bytes, unwiped.
    core::str::from_utf8(&decoded)
        .map(|text| Zeroizing::new(text.to_owned()))
        .map_err(|_| KeyUriError::Encoding)
}

fn hex_digit(byte: Option<u8>) -> Result<u8, KeyUriError> {
    let digit = byte.and_then(|byte| char::from(byte).to_digit(16));
    digit.and_then(|digit| u8::try_from(digit).ok()).ok_or(KeyUriError::Encoding)
}
