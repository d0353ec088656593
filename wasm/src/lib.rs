//! Sidekey's core in the browser: exports, and nothing that decides.
//!
//! These functions are called by the hand-written package in `wasm/npm`, which checks the types of arguments and turns texts
//! into objects; nobody else calls them. Most objects come out as JSON, and all go in part by part: one import for each property of an
//! object would make the module and its glue larger by a tenth.
//!
//! - [`arguments`]: what comes in: numbers as JavaScript has them, the parts of a configuration
//! - [`results`]: what goes out
//! - `json`: how it is written
//! - `failure`: core's errors
//!
//! Randomness and time are arguments here too.

pub mod arguments;
mod failure;
mod json;
pub mod results;

use sidekey_core::{
    compat, key_uri::KeyUri, migration::Migration, preview::Preview, qr::QrMatrix, secret, secret::Secret,
    text,
};
use wasm_bindgen::prelude::wasm_bindgen;

use crate::failure::Failure;

/// A third of the size of the standard library's, and as fast for what lives as shortly as everything here.
#[cfg(target_family = "wasm")]
#[global_allocator]
static ALLOCATOR: rlsf::SmallGlobalTlsf = rlsf::SmallGlobalTlsf::new();

/// These bytes as a secret in base32; random ones make a fresh secret.
///
/// # Errors
/// Fewer than 16 or more than 128 bytes.
#[wasm_bindgen(js_name = encodeSecret)]
pub fn encode_secret(bytes: &[u8]) -> Result<String, Failure> {
    Ok(Secret::from_bytes(bytes.to_vec())?.to_base32().to_string())
}

/// A base32 secret in groups of four, as people read and type it.
#[wasm_bindgen(js_name = formatSecret)]
pub fn format_secret(secret: &str) -> String {
    secret::grouped(secret)
}

/// A typed or pasted code made ready to send: digits of other scripts in ASCII, no blanks and no hyphens.
#[wasm_bindgen(js_name = normalizeCode)]
pub fn normalize_code(text: &str) -> String {
    text::code_from_input(text)
}

/// A typed or pasted backup code made ready to send: ASCII digits, blanks and hyphens. What counts of the rest is the server's to say.
#[wasm_bindgen(js_name = normalizeBackupCode)]
pub fn normalize_backup_code(text: &str) -> String {
    text::backup_code_from_input(text)
}

/// The key URI with these parts.
///
/// # Errors
/// A part that is missing or out of its range.
#[wasm_bindgen(js_name = buildUri)]
pub fn build_uri(
    secret: &str,
    issuer: Option<String>,
    account: Option<String>,
    algorithm: Option<String>,
    digits: Option<f64>,
    period: Option<f64>,
    scheme: &str,
) -> Result<String, Failure> {
    let parts = arguments::Parts { issuer, account, algorithm, digits, period };
    let uri = parts.config(secret).key_uri()?;
    Ok(uri.to_string_under(arguments::scheme(scheme)?).to_string())
}

/// What a key URI says.
///
/// # Errors
/// Whatever is not exactly a key URI for time-based codes.
#[wasm_bindgen(js_name = parseUri)]
pub fn parse_uri(uri: &str) -> Result<String, Failure> {
    Ok(results::key_uri(&KeyUri::parse(uri)?))
}

/// The accounts of a Google Authenticator export.
///
/// # Errors
/// Whatever is not exactly such an export.
#[wasm_bindgen(js_name = parseMigration)]
pub fn parse_migration(uri: &str) -> Result<String, Failure> {
    Ok(results::migration(&Migration::parse(uri)?))
}

/// What some authenticator apps will ignore or misread.
///
/// # Errors
/// A part that is out of its range.
#[wasm_bindgen]
pub fn compat(
    issuer: Option<String>,
    account: Option<String>,
    algorithm: Option<String>,
    digits: Option<f64>,
    period: Option<f64>,
    scheme: &str,
) -> Result<String, Failure> {
    let parts = arguments::Parts { issuer, account, algorithm, digits, period };
    Ok(results::warnings(&compat::warnings(&parts.config(""), arguments::scheme(scheme)?)?))
}

/// The code at `now` and the time it has left, as [`results`] puts it; all times in milliseconds.
///
/// # Errors
/// A secret that is not base32 or has the wrong length, an unknown algorithm, a number out of its range.
#[wasm_bindgen]
pub fn preview(
    secret: &str,
    algorithm: Option<String>,
    digits: Option<f64>,
    period: Option<f64>,
    now: f64,
) -> Result<Vec<f64>, Failure> {
    let parts = arguments::Parts { issuer: None, account: None, algorithm, digits, period };
    let config = parts.config(secret);
    let params = config.params()?;
    let preview = Preview::at(&config.secret()?, params, arguments::milliseconds(now)?);
    Ok(results::preview(&preview, params))
}

/// The modules of a QR code row by row without the quiet zone, 1 for dark.
///
/// # Errors
/// A text that is too long, an unknown level.
#[wasm_bindgen(js_name = qrModules)]
pub fn qr_modules(text: &str, level: Option<String>) -> Result<Vec<u8>, Failure> {
    Ok(qr(text, level)?.modules().iter().copied().map(u8::from).collect())
}

/// The QR code of a text as an SVG document.
///
/// # Errors
/// A text that is too long, an unknown level.
#[wasm_bindgen(js_name = qrSvg)]
#[expect(clippy::needless_pass_by_value, reason = "wasm-bindgen has no optional borrowed strings")]
pub fn qr_svg(text: &str, level: Option<String>, title: Option<String>) -> Result<String, Failure> {
    Ok(qr(text, level)?.to_svg(title.as_deref()))
}

/// The QR code of a text as what an SVG element is made of.
///
/// # Errors
/// A text that is too long, an unknown level.
#[wasm_bindgen(js_name = qrDrawing)]
pub fn qr_drawing(text: &str, level: Option<String>) -> Result<String, Failure> {
    Ok(results::drawing(&qr(text, level)?))
}

/// The QR code of a text as a PNG; `scale` is the side of a module in pixels.
///
/// # Errors
/// A text that is too long, an unknown level, a scale that is not a whole number from 1 to 32.
#[wasm_bindgen(js_name = qrPng)]
pub fn qr_png(text: &str, level: Option<String>, scale: Option<f64>) -> Result<Vec<u8>, Failure> {
    Ok(qr(text, level)?.to_png(arguments::scale(scale)?))
}

fn qr(text: &str, level: Option<String>) -> Result<QrMatrix, Failure> {
    Ok(match level {
        Some(level) => QrMatrix::encode_at(text, arguments::level(&level)?)?,
        None => QrMatrix::encode(text)?,
    })
}
