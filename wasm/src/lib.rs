//! Sidekey's core in the browser: exports, and nothing that decides.
//!
//! - [`types`]: the JavaScript objects that come in and go out, and their TypeScript declarations
//! - `failure`: core's errors as JavaScript errors with a `code`
//! - `entropy`: the browser's random bytes
//!
//! What pages must know of times and texts is documented where the rules are, in `sidekey-core`.

mod entropy;
mod failure;
pub mod types;

use sidekey_core::{key_uri::KeyUri, preview::Preview, qr::QrMatrix, secret, secret::Secret, text};
use wasm_bindgen::prelude::wasm_bindgen;

use crate::failure::Failure;

/// The code at `nowMs` and the time it has left; all times in milliseconds.
///
/// # Errors
/// A secret that is not base32 or has the wrong length, an unknown algorithm, a number out of its range.
#[wasm_bindgen(js_name = totpPreview)]
pub fn totp_preview(
    #[wasm_bindgen(js_name = secretBase32)] secret_base32: &str,
    #[wasm_bindgen(unchecked_param_type = "Algorithm")] algorithm: &str,
    digits: f64,
    period: f64,
    #[wasm_bindgen(js_name = nowMs)] now_ms: f64,
) -> Result<types::Preview, Failure> {
    let secret = Secret::from_base32(secret_base32)?;
    let params = types::totp_params(algorithm, digits, period)?;
    let preview = Preview::at(&secret, params, types::milliseconds(now_ms)?);
    Ok(types::Preview::of(&preview, params))
}

/// A base32 secret in groups of four, as people read and type it.
#[wasm_bindgen(js_name = formatSecret)]
pub fn format_secret(secret: &str) -> String {
    secret::grouped(secret)
}

/// A fresh secret in base32, of 20 bytes where no number of bytes is given.
///
/// # Errors
/// A length outside 16 to 128 bytes, or a browser without randomness.
#[wasm_bindgen(js_name = generateSecret)]
pub fn generate_secret(bytes: Option<f64>) -> Result<String, Failure> {
    let length = match bytes {
        Some(bytes) => types::length(bytes)?,
        None => secret::DEFAULT_BYTES,
    };
    // One byte more than a secret may have is enough for core to refuse it.
    let secret = Secret::from_bytes(entropy::bytes(length.min(secret::MAX_BYTES + 1))?)?;
    Ok(secret.to_base32().to_string())
}

/// A typed or pasted code made ready to send: digits of other scripts in ASCII, no blanks and no hyphens.
#[wasm_bindgen(js_name = normalizeCode)]
pub fn normalize_code(text: &str) -> String {
    text::code_from_input(text)
}

/// A typed or pasted backup code made ready to send.
#[wasm_bindgen(js_name = normalizeBackupCode)]
pub fn normalize_backup_code(text: &str) -> String {
    text::backup_code_from_input(text)
}

/// The QR code of a text as an SVG document.
///
/// # Errors
/// A text of more than 2,953 bytes.
#[wasm_bindgen(js_name = qrSvg)]
pub fn qr_svg(text: &str) -> Result<String, Failure> {
    Ok(QrMatrix::encode(text)?.to_svg(None))
}

/// The modules of the QR code of a text, row by row without the quiet zone, 1 for dark.
///
/// # Errors
/// A text of more than 2,953 bytes.
#[wasm_bindgen(js_name = qrMatrix)]
pub fn qr_matrix(text: &str) -> Result<types::QrMatrix, Failure> {
    Ok(types::QrMatrix::of(&QrMatrix::encode(text)?))
}

/// What a key URI says.
///
/// # Errors
/// Whatever is not exactly a key URI for time-based codes.
#[wasm_bindgen(js_name = parseUri)]
pub fn parse_uri(uri: &str) -> Result<types::KeyUriParts, Failure> {
    Ok(types::KeyUriParts::of(&KeyUri::parse(uri)?))
}

/// The key URI with these parts; algorithm, digits and period are `SHA1`, 6 and 30 where they are left out.
///
/// # Errors
/// A part that is missing, of the wrong type or out of its range.
#[wasm_bindgen(js_name = buildUri)]
pub fn build_uri(config: &types::KeyUriConfig) -> Result<String, Failure> {
    Ok(config.read()?.to_string().to_string())
}
