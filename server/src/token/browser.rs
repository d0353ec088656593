//! The tokens of trusted browsers: `base64url(browser, number, MAC, app)`, the MAC under the store's pepper. Nothing of them is
//! stored but the number of the living one.

use std::fmt;

use data_encoding::BASE64URL_NOPAD;
use sidekey_core::{
    id::{AppId, BrowserId},
    trusted_browser::TrustedBrowser,
};
use subtle::ConstantTimeEq;

use crate::keyring::Pepper;

/// Characters of the longest token.
const MAX_CHARS: usize = 256;
const DOMAIN: &str = "trusted-browser";

/// A token as it was presented; never shown.
#[derive(Clone)]
pub struct Presented(String);

impl Presented {
    /// What somebody sent as a token.
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Debug for Presented {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Presented(…)")
    }
}

/// The token of a browser that is alive.
pub fn write(pepper: &Pepper, browser: &TrustedBrowser) -> String {
    let (app, id, number) = (&browser.account.app, browser.id.as_bytes(), browser.number().to_be_bytes());
    let mac = mac(pepper, app, id, &number);
    BASE64URL_NOPAD.encode(&[&id[..], &number, &mac, app.as_str().as_bytes()].concat())
}

/// Which browser of an app a token belongs to, and its number, if it is one of ours.
pub fn read(pepper: &Pepper, app: &AppId, Presented(text): &Presented) -> Option<(BrowserId, u64)> {
    if text.len() > MAX_CHARS {
        return None;
    }
    let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
    let (id, rest) = bytes.split_first_chunk::<16>()?;
    let (number, rest) = rest.split_first_chunk::<8>()?;
    let (given, of) = rest.split_first_chunk::<32>()?;
    let ours: bool = mac(pepper, app, id, number).ct_eq(given).into();
    (ours && of == app.as_str().as_bytes()).then(|| (BrowserId::from_bytes(*id), u64::from_be_bytes(*number)))
}

fn mac(pepper: &Pepper, app: &AppId, id: &[u8], number: &[u8]) -> [u8; 32] {
    pepper.mac(DOMAIN, &[app.as_str().as_bytes(), id, number])
}
