//! The plain JavaScript objects of the exports, and the numbers among their arguments.

use sidekey_core::{
    key_uri::{KeyUri, KeyUriError, algorithm_named},
    preview, qr,
    secret::Secret,
    totp::{Digits, Period, TotpParams},
};
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};
use zeroize::Zeroizing;

use crate::failure::{Failure, code};

#[wasm_bindgen(typescript_custom_section)]
const DECLARATIONS: &str = r#"
export type Algorithm = "SHA1" | "SHA256" | "SHA512";

/** A code and when it is valid; times in milliseconds since 1970, durations in milliseconds. */
export interface Preview {
  code: string;
  /** The code in two groups: `123 456`. */
  display: string;
  /** The time step of RFC 6238. */
  counter: number;
  validFrom: number;
  /** The first moment at which the next code is valid. */
  validUntil: number;
  /** From now to `validUntil`, at least 1. */
  remainingMs: number;
  period: number;
}

/** The modules row by row, `size` times `size` of them, 1 for dark; the quiet zone of 4 is not among them. */
export interface QrMatrix {
  size: number;
  modules: Uint8Array;
}

/** What a key URI is built from. */
export interface KeyUriConfig {
  /** Base32. */
  secret: string;
  account: string;
  issuer?: string | null;
  algorithm?: Algorithm;
  /** 6 to 8. */
  digits?: number;
  /** 15 to 120 seconds. */
  period?: number;
}

/** What a key URI says. */
export type KeyUriParts = Required<KeyUriConfig>;
"#;

#[wasm_bindgen]
extern "C" {
    /// A plain object: a code and when it is valid.
    #[wasm_bindgen(js_name = Object, typescript_type = "Preview")]
    pub type Preview;
    #[wasm_bindgen(constructor, js_class = "Object")]
    fn new() -> Preview;
    #[wasm_bindgen(method, setter)]
    fn set_code(this: &Preview, code: &str);
    #[wasm_bindgen(method, setter)]
    fn set_display(this: &Preview, display: &str);
    #[wasm_bindgen(method, setter)]
    fn set_counter(this: &Preview, counter: f64);
    #[wasm_bindgen(method, setter, js_name = validFrom)]
    fn set_valid_from(this: &Preview, time: f64);
    #[wasm_bindgen(method, setter, js_name = validUntil)]
    fn set_valid_until(this: &Preview, time: f64);
    #[wasm_bindgen(method, setter, js_name = remainingMs)]
    fn set_remaining(this: &Preview, milliseconds: f64);
    #[wasm_bindgen(method, setter)]
    fn set_period(this: &Preview, seconds: f64);

    /// A plain object: the modules of a QR code.
    #[wasm_bindgen(js_name = Object, typescript_type = "QrMatrix")]
    pub type QrMatrix;
    #[wasm_bindgen(constructor, js_class = "Object")]
    fn new() -> QrMatrix;
    #[wasm_bindgen(method, setter)]
    fn set_size(this: &QrMatrix, size: usize);
    #[wasm_bindgen(method, setter)]
    fn set_modules(this: &QrMatrix, modules: Vec<u8>);

    /// A plain object: the parts of a key URI.
    #[wasm_bindgen(js_name = Object, typescript_type = "KeyUriParts")]
    pub type KeyUriParts;
    #[wasm_bindgen(constructor, js_class = "Object")]
    fn new() -> KeyUriParts;
    #[wasm_bindgen(method, setter)]
    fn set_secret(this: &KeyUriParts, secret: &str);
    #[wasm_bindgen(method, setter)]
    fn set_issuer(this: &KeyUriParts, issuer: JsValue);
    #[wasm_bindgen(method, setter)]
    fn set_account(this: &KeyUriParts, account: &str);
    #[wasm_bindgen(method, setter)]
    fn set_algorithm(this: &KeyUriParts, algorithm: &str);
    #[wasm_bindgen(method, setter)]
    fn set_digits(this: &KeyUriParts, digits: u8);
    #[wasm_bindgen(method, setter)]
    fn set_period(this: &KeyUriParts, seconds: u8);

    /// Any object that a caller gives as the parts of a key URI.
    #[wasm_bindgen(js_name = Object, typescript_type = "KeyUriConfig")]
    pub type KeyUriConfig;
    #[wasm_bindgen(method, getter)]
    fn secret(this: &KeyUriConfig) -> JsValue;
    #[wasm_bindgen(method, getter)]
    fn issuer(this: &KeyUriConfig) -> JsValue;
    #[wasm_bindgen(method, getter)]
    fn account(this: &KeyUriConfig) -> JsValue;
    #[wasm_bindgen(method, getter)]
    fn algorithm(this: &KeyUriConfig) -> JsValue;
    #[wasm_bindgen(method, getter)]
    fn digits(this: &KeyUriConfig) -> JsValue;
    #[wasm_bindgen(method, getter)]
    fn period(this: &KeyUriConfig) -> JsValue;
}

impl Preview {
    pub(crate) fn of(preview: &preview::Preview, params: TotpParams) -> Self {
        let object = Self::new();
        object.set_code(&preview.code);
        object.set_display(&preview.display);
        object.set_counter(number(preview.step.number()));
        object.set_valid_from(number(preview.valid_from));
        object.set_valid_until(number(preview.valid_until));
        object.set_remaining(number(preview.remaining));
        object.set_period(number(params.period.seconds()));
        object
    }
}

impl QrMatrix {
    pub(crate) fn of(matrix: &qr::QrMatrix) -> Self {
        let object = Self::new();
        object.set_size(matrix.size());
        object.set_modules(matrix.modules().iter().copied().map(u8::from).collect());
        object
    }
}

impl KeyUriParts {
    pub(crate) fn of(uri: &KeyUri) -> Self {
        let object = Self::new();
        object.set_secret(&uri.secret().to_base32());
        object.set_issuer(uri.issuer().map_or(JsValue::NULL, JsValue::from_str));
        object.set_account(uri.account());
        object.set_algorithm(uri.params().algorithm.name());
        object.set_digits(uri.params().digits.into());
        object.set_period(uri.params().period.into());
        object
    }
}

impl KeyUriConfig {
    pub(crate) fn read(&self) -> Result<KeyUri, Failure> {
        // A getter of what is no object would throw through Rust's frames.
        if !AsRef::<JsValue>::as_ref(self).is_object() {
            return Err(Failure::with(code::INVALID_ARGUMENT, "the parts of a key URI are an object"));
        }
        let secret = Zeroizing::new(string(&self.secret(), "secret")?.ok_or(KeyUriError::NoSecret)?);
        let secret = Secret::from_base32(&secret)?;
        let account = string(&self.account(), "account")?.ok_or(KeyUriError::Account)?;
        let issuer = string(&self.issuer(), "issuer")?;
        let mut params = TotpParams::default();
        if let Some(name) = string(&self.algorithm(), "algorithm")? {
            params.algorithm = algorithm_named(&name)?;
        }
        if let Some(count) = float(&self.digits(), "digits")? {
            params.digits = digits(count)?;
        }
        if let Some(seconds) = float(&self.period(), "period")? {
            params.period = period(seconds)?;
        }
        Ok(KeyUri::new(issuer.as_deref(), &account, secret, params)?)
    }
}

pub(crate) fn totp_params(
    algorithm: &str,
    digits_count: f64,
    period_seconds: f64,
) -> Result<TotpParams, Failure> {
    Ok(TotpParams {
        algorithm: algorithm_named(algorithm)?,
        digits: digits(digits_count)?,
        period: period(period_seconds)?,
    })
}

/// A point in time, of whose fractions of a millisecond nothing is left.
pub(crate) fn milliseconds(value: f64) -> Result<u64, Failure> {
    whole(value.floor())
        .ok_or_else(|| Failure::with(code::INVALID_ARGUMENT, "a time is a number of milliseconds since 1970"))
}

/// A number of bytes.
pub(crate) fn length(value: f64) -> Result<usize, Failure> {
    let bytes = whole(value).and_then(|bytes| usize::try_from(bytes).ok());
    bytes.ok_or_else(|| Failure::with(code::INVALID_ARGUMENT, "a length is a whole number of bytes"))
}

fn digits(value: f64) -> Result<Digits, Failure> {
    Ok(small(value).and_then(|count| Digits::new(count).ok()).ok_or(KeyUriError::Digits)?)
}

fn period(value: f64) -> Result<Period, Failure> {
    Ok(small(value).and_then(|seconds| Period::new(seconds).ok()).ok_or(KeyUriError::Period)?)
}

fn small(value: f64) -> Option<u8> {
    whole(value).and_then(|value| u8::try_from(value).ok())
}

/// The integer that a JavaScript number is, up to the largest that it can tell from its neighbours (`MAX_SAFE_INTEGER`).
fn whole(value: f64) -> Option<u64> {
    const MAX_SAFE_INTEGER: f64 = 9_007_199_254_740_991.0;
    let safe = (0.0..=MAX_SAFE_INTEGER).contains(&value) && value.fract() == 0.0;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a whole number within 53 bits"
    )]
    safe.then_some(value as u64)
}

#[expect(clippy::cast_precision_loss, reason = "core's times end with JavaScript's own, within 53 bits")]
fn number(value: u64) -> f64 {
    value as f64
}

/// A string, if the property is there; `undefined` and `null` are as if it were not.
fn string(value: &JsValue, property: &str) -> Result<Option<String>, Failure> {
    if value.is_undefined() || value.is_null() {
        return Ok(None);
    }
    let wrong = || Failure::with(code::INVALID_ARGUMENT, format_args!("`{property}` is not a string"));
    value.as_string().ok_or_else(wrong).map(Some)
}

/// A number, if the property is there; `undefined` and `null` are as if it were not.
fn float(value: &JsValue, property: &str) -> Result<Option<f64>, Failure> {
    if value.is_undefined() || value.is_null() {
        return Ok(None);
    }
    let wrong = || Failure::with(code::INVALID_ARGUMENT, format_args!("`{property}` is not a number"));
    value.as_f64().ok_or_else(wrong).map(Some)
}
