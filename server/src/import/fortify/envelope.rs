//! What Laravel's `encrypt()` gives, and how it opens.

use aws_lc_rs::aead::{self, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{AES_128, AES_256, DecryptionContext, PaddedBlockDecryptingKey, UnboundCipherKey};
use aws_lc_rs::hmac;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use data_encoding::HEXLOWER_PERMISSIVE;
use zeroize::Zeroizing;

use crate::import::json::Json;

/// The most bytes of an envelope: more than a hundred recovery codes.
const MAX_BYTES: usize = 64 * 1024;

/// The application's keys: of 16 or 32 bytes, those of other lengths are dropped, as no cipher of Laravel's takes them.
pub(super) struct Keys(Vec<Zeroizing<Vec<u8>>>);

impl Keys {
    /// Reads `APP_KEY` and `APP_PREVIOUS_KEYS`, one a line or with commas between them: base64 after `base64:`, otherwise the text
    /// itself.
    pub(super) fn parse(text: &str) -> Self {
        let keys = text.split([',', '\n']).map(str::trim).filter(|key| !key.is_empty());
        let keys = keys.filter_map(|key| match key.strip_prefix("base64:") {
            Some(encoded) => BASE64_STANDARD.decode(encoded).ok().map(Zeroizing::new),
            None => Some(Zeroizing::new(key.as_bytes().to_vec())),
        });
        Self(keys.filter(|key| matches!(key.len(), 16 | 32)).collect())
    }

    /// The text that was encrypted; `None` where no key opens it.
    pub(super) fn open(&self, envelope: &str) -> Option<Zeroizing<String>> {
        if envelope.len() > MAX_BYTES {
            return None;
        }
        let json = Json::parse(&BASE64_STANDARD.decode(envelope.trim()).ok()?)?;
        let part = |name| json.get(name).and_then(Json::text);
        let (iv, value) = (part("iv")?, part("value")?);
        let tag = part("tag").filter(|tag| !tag.is_empty());
        self.0.iter().find_map(|key| {
            let plain = match tag {
                Some(tag) => open_gcm(key, iv, value, tag),
                None => open_cbc(key, iv, value, part("mac")?),
            }?;
            let text = std::str::from_utf8(&plain).ok()?;
            Some(Zeroizing::new(unserialized(text).to_owned()))
        })
    }
}

/// CBC mode, the MAC first: over the base64 texts, as they stand.
fn open_cbc(key: &[u8], iv: &str, value: &str, mac: &str) -> Option<Zeroizing<Vec<u8>>> {
    let mut signed = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    signed.update(iv.as_bytes());
    signed.update(value.as_bytes());
    let mac = HEXLOWER_PERMISSIVE.decode(mac.as_bytes()).ok()?;
    if !bool::from(subtle::ConstantTimeEq::ct_eq(signed.sign().as_ref(), mac.as_slice())) {
        return None;
    }
    let algorithm = if key.len() == 16 { &AES_128 } else { &AES_256 };
    let cipher = PaddedBlockDecryptingKey::cbc_pkcs7(UnboundCipherKey::new(algorithm, key).ok()?).ok()?;
    let iv: [u8; 16] = BASE64_STANDARD.decode(iv).ok()?.try_into().ok()?;
    let mut bytes = Zeroizing::new(BASE64_STANDARD.decode(value).ok()?);
    let plain = cipher.decrypt(&mut bytes, DecryptionContext::Iv128((&iv).into())).ok()?;
    Some(Zeroizing::new(plain.to_vec()))
}

fn open_gcm(key: &[u8], iv: &str, value: &str, tag: &str) -> Option<Zeroizing<Vec<u8>>> {
    let algorithm = if key.len() == 16 { &aead::AES_128_GCM } else { &aead::AES_256_GCM };
    let cipher = LessSafeKey::new(UnboundKey::new(algorithm, key).ok()?);
    let iv: [u8; 12] = BASE64_STANDARD.decode(iv).ok()?.try_into().ok()?;
    let mut bytes = Zeroizing::new(BASE64_STANDARD.decode(value).ok()?);
    bytes.extend(BASE64_STANDARD.decode(tag).ok()?);
    let plain = cipher.open_in_place(Nonce::assume_unique_for_key(iv), Aad::empty(), &mut bytes).ok()?;
    Some(Zeroizing::new(plain.to_vec()))
}

/// The text that PHP's `serialize` wrote, `s:LENGTH:"TEXT";`; any other text is one that was not serialized.
fn unserialized(text: &str) -> &str {
    let inner = || {
        let (length, quoted) = text.strip_prefix("s:")?.split_once(':')?;
        let inner = quoted.strip_prefix('"')?.strip_suffix("\";")?;
        (length.parse() == Ok(inner.len())).then_some(inner)
    };
    inner().unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn php_says_how_long_its_texts_are() {
        assert_eq!(unserialized("s:3:\"a\"b\";"), "a\"b");
        assert_eq!(unserialized("s:2:\"é\";"), "é", "in bytes");
        for text in ["", "GEZD", "s:4:\"abc\";", "s:3:\"abc\"", "s:x:\"abc\";", "a:0:{}"] {
            assert_eq!(unserialized(text), text);
        }
    }

    #[test]
    fn no_envelope_makes_it_fail_otherwise_than_by_saying_no() {
        let keys = Keys::parse("base64:AAAA,\n0123456789abcdef\n0123456789abcdef0123456789abcdef");
        assert_eq!(keys.0.len(), 2);
        let envelope = |json: &str| BASE64_STANDARD.encode(json);
        for text in [
            String::new(),
            "é".to_owned(),
            "A".repeat(MAX_BYTES + 1),
            envelope("{}"),
            envelope("[]"),
            envelope(r#"{"iv":"","value":"","mac":""}"#),
            envelope(r#"{"iv":"AAAA","value":"AAAA","mac":"00","tag":"AAAA"}"#),
            envelope(r#"{"iv":"AAAAAAAAAAAAAAAA","value":"","mac":"","tag":"AAAAAAAAAAAAAAAAAAAAAA=="}"#),
        ] {
            assert!(keys.open(&text).is_none());
        }
    }
}
