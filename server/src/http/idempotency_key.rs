//! `Idempotency-Key`: what a client gives a request so that its repetition is known for one.

use std::fmt;

use http::HeaderMap;

use super::Problem;

/// The header (draft-ietf-httpapi-idempotency-key-header-07).
const HEADER: &str = "idempotency-key";
/// Its name among the `errors` of a problem.
pub const FIELD: &str = "idempotency_key";
/// Characters of the longest key.
const MAX_CHARS: usize = 255;

/// A key as it was sent. The draft writes a String of RFC 8941, with its quotes; many clients send the bare text. It is compared and never
/// read, so both do: the quotes are part of it.
#[derive(Clone, PartialEq, Eq)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// The key of a request, if it has one.
    ///
    /// # Errors
    /// It is empty, too long, has other characters than visible ASCII, or stands twice.
    pub fn read(headers: &HeaderMap) -> Result<Option<Self>, Problem> {
        let mut values = headers.get_all(HEADER).iter();
        let Some(value) = values.next() else { return Ok(None) };
        let text = value.to_str().unwrap_or_default();
        let is_key =
            (1..=MAX_CHARS).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        if values.next().is_some() || !is_key {
            return Err(Problem::field(FIELD, "must be one header of 1 to 255 visible ASCII characters"));
        }
        Ok(Some(Self(text.to_owned())))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for IdempotencyKey {
    /// Not shown: with what it was sent with, it gets the answer again.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("IdempotencyKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn read(values: &[&[u8]]) -> Result<Option<String>, ()> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(HEADER, HeaderValue::from_bytes(value).unwrap());
        }
        IdempotencyKey::read(&headers).map(|key| key.map(|key| key.0)).map_err(drop)
    }

    #[test]
    fn a_key_is_up_to_255_visible_characters_with_or_without_quotes() {
        let longest = "k".repeat(255);
        for key in ["k", "8e03978e-40d5", "\"8e03978e-40d5\"", longest.as_str()] {
            assert_eq!(read(&[key.as_bytes()]), Ok(Some(key.to_owned())));
        }
        assert_eq!(read(&[]), Ok(None));
    }

    #[test]
    fn anything_else_is_refused_and_not_ignored() {
        let too_long = "k".repeat(256);
        for values in [
            &[&b""[..]][..],
            &[b"a b"],
            &["schl\u{fc}ssel".as_bytes()],
            &[too_long.as_bytes()],
            &[b"a", b"a"],
        ] {
            assert_eq!(read(values), Err(()), "{values:?}");
        }
    }
}
