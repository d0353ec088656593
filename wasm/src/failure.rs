//! Core's errors as what the package makes its `OtpError` of: a code for programs, the field that is wrong, and a message for
//! developers. None of them holds any input.

use sidekey_core::{key_uri::KeyUriError, migration::MigrationError, qr::QrError, secret::SecretError};
use wasm_bindgen::JsValue;

use crate::json::Object;

/// Thrown as JSON.
pub struct Failure(String);

impl Failure {
    fn new(code: &str, field: Option<&str>, message: &str) -> Self {
        let failure = Object::new().text("code", code).text("message", message);
        Self(
            match field {
                Some(field) => failure.text("field", field),
                None => failure,
            }
            .end(),
        )
    }

    /// An argument of the skin itself, of which core knows nothing.
    pub(crate) fn argument(field: &str, message: &str) -> Self {
        Self::new("INVALID_ARGUMENT", Some(field), message)
    }
}

impl From<Failure> for JsValue {
    fn from(failure: Failure) -> Self {
        Self::from_str(&failure.0)
    }
}

impl From<SecretError> for Failure {
    fn from(error: SecretError) -> Self {
        KeyUriError::from(error).into()
    }
}

impl From<KeyUriError> for Failure {
    fn from(error: KeyUriError) -> Self {
        Self::new(error.code(), error.field(), &error.to_string())
    }
}

impl From<MigrationError> for Failure {
    fn from(error: MigrationError) -> Self {
        Self::new(error.code(), None, &error.to_string())
    }
}

impl From<QrError> for Failure {
    fn from(error: QrError) -> Self {
        Self::new(error.code(), None, &error.to_string())
    }
}
