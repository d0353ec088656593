//! Core's errors as JavaScript errors: a message for developers, and a `code` for programs. Neither holds any input.

use core::fmt::Display;

use sidekey_core::{key_uri::KeyUriError, qr::QrError, secret::SecretError};
use wasm_bindgen::prelude::wasm_bindgen;

#[wasm_bindgen]
extern "C" {
    /// A JavaScript `Error` with the property `code`.
    #[wasm_bindgen(js_name = Error, typescript_type = "SidekeyError")]
    pub type Failure;

    #[wasm_bindgen(constructor, js_class = "Error")]
    fn new(message: &str) -> Failure;

    #[wasm_bindgen(method, setter)]
    fn set_code(this: &Failure, code: &str);
}

/// The names that core has none for. The TypeScript declaration below lists these and those of [`KeyUriError::code`].
pub(crate) mod code {
    pub(crate) const INVALID_ARGUMENT: &str = "INVALID_ARGUMENT";
    pub(crate) const RANDOMNESS_UNAVAILABLE: &str = "RANDOMNESS_UNAVAILABLE";
}

#[wasm_bindgen(typescript_custom_section)]
const DECLARATIONS: &str = r#"
/** What went wrong; names stay, new ones may come. */
export type SidekeyErrorCode =
  | "ACCOUNT_INVALID" | "ALGORITHM_UNKNOWN" | "DIGITS_OUT_OF_RANGE" | "HOTP_UNSUPPORTED" | "INVALID_ARGUMENT"
  | "ISSUER_INVALID" | "ISSUER_MISMATCH" | "PERIOD_OUT_OF_RANGE" | "QR_TOO_LONG" | "RANDOMNESS_UNAVAILABLE"
  | "SECRET_MISSING" | "SECRET_NOT_BASE32" | "SECRET_TOO_LONG" | "SECRET_TOO_SHORT" | "URI_DUPLICATE_PARAMETER"
  | "URI_ENCODING" | "URI_PARAMETER" | "URI_SCHEME" | "URI_TOO_LONG" | "URI_TYPE";

/** What every function here throws. */
export interface SidekeyError extends Error {
  readonly code: SidekeyErrorCode;
}
"#;

impl Failure {
    pub(crate) fn with(code: &str, message: impl Display) -> Self {
        let failure = Self::new(&message.to_string());
        failure.set_code(code);
        failure
    }
}

impl From<SecretError> for Failure {
    fn from(error: SecretError) -> Self {
        KeyUriError::from(error).into()
    }
}

impl From<KeyUriError> for Failure {
    fn from(error: KeyUriError) -> Self {
        Self::with(error.code(), error)
    }
}

impl From<QrError> for Failure {
    fn from(error: QrError) -> Self {
        Self::with(error.code(), error)
    }
}
