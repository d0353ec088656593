//! How the values of a container are encrypted, and how they open (RFC 6030 §6).

use std::num::NonZeroU32;

use aws_lc_rs::cipher::{AES_128, AES_256, DecryptionContext, PaddedBlockDecryptingKey, UnboundCipherKey};
use aws_lc_rs::{hmac, pbkdf2};
use data_encoding::HEXLOWER_PERMISSIVE;
use roxmltree::Node;
use zeroize::Zeroizing;

use super::{base64, child, path};
use crate::import::{ImportError, SourceFile};

/// The most iterations of PBKDF2: more than are recommended today, and a second of work.
const MAX_ITERATIONS: u32 = 2_000_000;

/// The keys of a container.
pub(super) struct Encryption {
    keys: Option<(Zeroizing<Vec<u8>>, Option<Mac>)>,
}

/// §6.1.1: each encrypted value has a MAC of its own.
struct Mac {
    key: hmac::Key,
}

impl Encryption {
    /// The keys of the container `root`: none if nothing in it is encrypted.
    ///
    /// # Errors
    /// It is encrypted, and there is no key, or in a way that is not known here.
    pub(super) fn of(
        root: Node<'_, '_>,
        file: &SourceFile,
        given: Option<&Zeroizing<String>>,
    ) -> Result<Self, ImportError> {
        let malformed = |what| ImportError::Malformed { place: file.whole(), what };
        let Some(element) = child(root, "EncryptionKey") else { return Ok(Self { keys: None }) };
        if root.descendants().any(|node| node.tag_name().name() == "X509Data") {
            return Err(malformed("it is encrypted to a certificate, which is not supported"));
        }
        let given = given.ok_or_else(|| ImportError::KeyNeeded(file.whole()))?;
        let key = match child(element, "DerivedKey") {
            Some(derived) => derive(derived, given)
                .ok_or_else(|| malformed("how its key is derived from the passphrase is not known here"))?,
            None => preshared(given).ok_or_else(|| ImportError::WrongKey(file.whole()))?,
        };
        let mac = match child(root, "MACMethod") {
            None => None,
            Some(method) => {
                let algorithm = mac_algorithm(method).ok_or_else(|| {
                    malformed("its values are authenticated in a way that is not known here")
                })?;
                let sealed =
                    child(method, "MACKey").ok_or_else(|| malformed("it has no key for its MACs"))?;
                let opened = decrypt(&key, sealed).ok_or_else(|| ImportError::WrongKey(file.whole()))?;
                Some(Mac { key: hmac::Key::new(algorithm, &opened) })
            }
        };
        Ok(Self { keys: Some((key, mac)) })
    }

    /// Whether anything is encrypted.
    pub(super) fn is_in_use(&self) -> bool {
        self.keys.is_some()
    }

    /// Opens an `EncryptedValue`. All ciphers known here are in CBC mode, so its MAC has to be there and right (§6.1.1).
    pub(super) fn open(&self, value: Node<'_, '_>, mac: Option<Node<'_, '_>>) -> Option<Zeroizing<Vec<u8>>> {
        let (key, Some(method)) = self.keys.as_ref()? else { return None };
        // The MAC is over what is encrypted, the initialization vector before it.
        let sealed = base64(path(value, &["CipherData", "CipherValue"])?)?;
        hmac::verify(&method.key, &sealed, &base64(mac?)?).ok()?;
        decrypt(key, value)
    }
}

fn mac_algorithm(method: Node<'_, '_>) -> Option<hmac::Algorithm> {
    match method.attribute("Algorithm")?.rsplit('#').next()? {
        "hmac-sha1" => Some(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY),
        "hmac-sha256" => Some(hmac::HMAC_SHA256),
        "hmac-sha512" => Some(hmac::HMAC_SHA512),
        _ => None,
    }
}

/// AES in CBC mode, the initialization vector in front, padded as XML Encryption (§5.2) says: the last byte tells how much.
fn decrypt(key: &[u8], value: Node<'_, '_>) -> Option<Zeroizing<Vec<u8>>> {
    let algorithm = child(value, "EncryptionMethod")?.attribute("Algorithm")?;
    let algorithm = match (algorithm.rsplit('#').next()?, key.len()) {
        ("aes128-cbc", 16) => &AES_128,
        ("aes256-cbc", 32) => &AES_256,
        _ => return None,
    };
    let sealed = base64(path(value, &["CipherData", "CipherValue"])?)?;
    let (iv, sealed) = sealed.split_first_chunk::<16>()?;
    let cipher = PaddedBlockDecryptingKey::cbc_iso10126(UnboundCipherKey::new(algorithm, key).ok()?).ok()?;
    let mut bytes = Zeroizing::new(sealed.to_vec());
    let plain = cipher.decrypt(&mut bytes, DecryptionContext::Iv128(iv.into())).ok()?;
    Some(Zeroizing::new(plain.to_vec()))
}

/// A key agreed on beforehand, as hex or base64.
fn preshared(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let text = text.trim();
    let bytes = HEXLOWER_PERMISSIVE
        .decode(text.as_bytes())
        .or_else(|_| data_encoding::BASE64.decode(text.as_bytes()))
        .ok()
        .map(Zeroizing::new)?;
    matches!(bytes.len(), 16 | 32).then_some(bytes)
}

/// A key derived from a passphrase: PBKDF2 with the parameters of the container (§6.2).
fn derive(derived: Node<'_, '_>, passphrase: &str) -> Option<Zeroizing<Vec<u8>>> {
    let method = child(derived, "KeyDerivationMethod")?;
    if method.attribute("Algorithm")?.rsplit('#').next()? != "pbkdf2" {
        return None;
    }
    let params = child(method, "PBKDF2-params")?;
    let prf = child(params, "PRF").and_then(|prf| prf.attribute("Algorithm"));
    let algorithm =
        match prf.and_then(|name| name.rsplit(['#', ':']).next()).map(str::to_ascii_lowercase).as_deref() {
            None | Some("hmac-sha1") => pbkdf2::PBKDF2_HMAC_SHA1,
            Some("hmac-sha256") => pbkdf2::PBKDF2_HMAC_SHA256,
            Some("hmac-sha512") => pbkdf2::PBKDF2_HMAC_SHA512,
            Some(_) => return None,
        };
    let number = |name| child(params, name)?.text()?.trim().parse::<u32>().ok();
    let iterations =
        NonZeroU32::new(number("IterationCount")?).filter(|count| count.get() <= MAX_ITERATIONS)?;
    let length = match number("KeyLength") {
        None | Some(16) => 16,
        Some(32) => 32,
        Some(_) => return None,
    };
    let salt = base64(path(params, &["Salt", "Specified"])?)?;
    let mut key = Zeroizing::new(vec![0; length]);
    pbkdf2::derive(
        algorithm,
        iterations,
        &salt,
        passphrase.trim_end_matches(['\r', '\n']).as_bytes(),
        &mut key,
    );
    Some(key)
}

#[cfg(test)]
mod tests {
    use roxmltree::Document;

    use super::*;
    use crate::import::testing::{file, fixture};

    fn opened(name: &str, given: &str) -> Vec<u8> {
        let file = fixture(name);
        let document = Document::parse(file.text().unwrap()).unwrap();
        let root = document.root_element();
        let encryption = Encryption::of(root, &file, Some(&Zeroizing::new(given.to_owned()))).unwrap();
        let secret = root.descendants().find(|node| node.tag_name().name() == "Secret").unwrap();
        let value = child(secret, "EncryptedValue").unwrap();
        assert!(encryption.open(value, None).is_none(), "without its MAC");
        encryption.open(value, child(secret, "ValueMAC")).unwrap().to_vec()
    }

    /// Figures 6 and 7 hold the bytes `12345678901234567890`.
    #[test]
    fn rfc_6030_figures_6_and_7() {
        assert_eq!(
            opened("rfc6030-figure6.xml", "12345678901234567890123456789012"),
            b"12345678901234567890"
        );
        assert_eq!(opened("rfc6030-figure7.xml", "qwerty\n"), b"12345678901234567890");
    }

    #[test]
    fn unreasonable_parameters_are_refused_before_any_work() {
        let figure = fixture("rfc6030-figure7.xml");
        let figure = figure.text().unwrap();
        for (from, to) in [
            ("<IterationCount>1000<", "<IterationCount>4294967295<"),
            ("<IterationCount>1000<", "<IterationCount>0<"),
            ("<KeyLength>16<", "<KeyLength>4000000000<"),
            ("<PRF/>", "<PRF Algorithm=\"urn:md5\"/>"),
            ("pkcs-5v2-0#pbkdf2", "pkcs-5v2-0#pbkdf1"),
        ] {
            let changed = figure.replace(from, to);
            assert_ne!(changed, figure, "{from}");
            let file = file("f.xml", &changed);
            let document = Document::parse(file.text().unwrap()).unwrap();
            let key = Zeroizing::new("qwerty".to_owned());
            assert!(Encryption::of(document.root_element(), &file, Some(&key)).is_err(), "{to}");
        }
    }
}
