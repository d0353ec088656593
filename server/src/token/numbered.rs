//! Texts that name a login and a number of something it gives out, and that nobody else can make: refresh tokens, the one-time codes of a
//! return, links to the account page, the cookie of the pages.
//!
//! `base64url(login, number, MAC, app)`, the MAC under the store's pepper over what it is, app, login and number. So nothing of them is
//! stored but which number counts.

use data_encoding::BASE64URL_NOPAD;
use sidekey_core::id::{AppId, LoginId};
use subtle::ConstantTimeEq;

use crate::keyring::Pepper;

const LOGIN_BYTES: usize = 16;
const NUMBER_BYTES: usize = 8;
const MAC_BYTES: usize = 32;
/// Longer than any of them.
const MAX_BYTES: usize = 256;

/// What a text is good for. One of another purpose does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A refresh token.
    RefreshToken,
    /// A one-time code that the browser carries to the application.
    ReturnCode,
    /// A link that leads the browser to the account page.
    AccountLink,
    /// The cookie by which the pages know the login.
    PageLogin,
}

/// What a text of ours says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Numbered {
    /// The app of the login.
    pub app: AppId,
    /// The login.
    pub login: LoginId,
    /// Which of those that it gave out.
    pub number: u64,
}

impl Purpose {
    /// The domain of its MAC.
    const fn domain(self) -> &'static str {
        match self {
            Self::RefreshToken => "refresh-token",
            Self::ReturnCode => "return-code",
            Self::AccountLink => "account-link",
            Self::PageLogin => "page-login",
        }
    }
}

impl Numbered {
    /// The text.
    pub fn write(&self, pepper: &Pepper, purpose: Purpose) -> String {
        let app = self.app.as_str();
        let (login, number) = (self.login.as_bytes(), self.number.to_be_bytes());
        let mut bytes = Vec::with_capacity(LOGIN_BYTES + NUMBER_BYTES + MAC_BYTES + app.len());
        bytes.extend_from_slice(login);
        bytes.extend_from_slice(&number);
        bytes.extend_from_slice(&mac(pepper, purpose, app, login, &number));
        bytes.extend_from_slice(app.as_bytes());
        BASE64URL_NOPAD.encode(&bytes)
    }

    /// Reads a text, if it is one of ours and good for this.
    pub fn read(pepper: &Pepper, purpose: Purpose, text: &str) -> Option<Self> {
        if text.len() > MAX_BYTES {
            return None;
        }
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
        let (login, rest) = bytes.split_first_chunk::<LOGIN_BYTES>()?;
        let (number, rest) = rest.split_first_chunk::<NUMBER_BYTES>()?;
        let (given, app) = rest.split_first_chunk::<MAC_BYTES>()?;
        let app = std::str::from_utf8(app).ok()?;
        let ours: bool = mac(pepper, purpose, app, login, number).ct_eq(given).into();
        let app = AppId::parse(app).ok().filter(|_| ours)?;
        Some(Self { app, login: LoginId::from_bytes(*login), number: u64::from_be_bytes(*number) })
    }
}

/// The app is part of the MAC, so that a text is known with its app or not at all.
fn mac(pepper: &Pepper, purpose: Purpose, app: &str, login: &[u8], number: &[u8]) -> [u8; MAC_BYTES] {
    pepper.mac(purpose.domain(), &[app.as_bytes(), login, number])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::Entropy;

    #[test]
    fn a_text_counts_for_its_purpose_and_its_store_only() {
        let (pepper, other) = (Pepper::generate(&mut Entropy), Pepper::generate(&mut Entropy));
        let numbered = Numbered {
            app: AppId::parse("shop").unwrap(),
            login: LoginId::generate(&mut Entropy),
            number: 7,
        };
        let text = numbered.write(&pepper, Purpose::ReturnCode);
        assert_eq!(Numbered::read(&pepper, Purpose::ReturnCode, &text), Some(numbered));
        for purpose in [Purpose::RefreshToken, Purpose::AccountLink, Purpose::PageLogin] {
            assert_eq!(Numbered::read(&pepper, purpose, &text), None, "{purpose:?}");
        }
        assert_eq!(Numbered::read(&other, Purpose::ReturnCode, &text), None);
        for text in ["", "AAAA", &text.to_lowercase(), &format!("{text}AA"), &"A".repeat(300)] {
            assert_eq!(Numbered::read(&pepper, Purpose::ReturnCode, text), None, "{text}");
        }
    }

    #[test]
    fn a_text_with_any_bit_changed_is_none_of_ours() {
        let pepper = Pepper::generate(&mut Entropy);
        let app = AppId::parse("shop").unwrap();
        let numbered = Numbered { app, login: LoginId::generate(&mut Entropy), number: 7 };
        let text = numbered.write(&pepper, Purpose::RefreshToken);
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let changed = BASE64URL_NOPAD.encode(&changed);
            assert_eq!(Numbered::read(&pepper, Purpose::RefreshToken, &changed), None, "bit {bit}");
        }
    }
}
