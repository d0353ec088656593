//! The texts that many operations take or give, as the document names them.

use serde_json::Value;
use utoipa::{
    ToSchema,
    openapi::{Object, ObjectBuilder, Type},
};

/// A TOTP code: a string of 6 digits. ASCII blanks and hyphens are dropped before it is judged or compared with used ones; what
/// then has not the digits of the device is `VALIDATION_ERROR` and costs no attempt.
#[derive(Debug, ToSchema)]
#[schema(max_length = 64, examples("123456", "123 456"))]
pub struct Code(pub String);

/// Sixteen characters of Crockford base32. Case, blanks and hyphens do not count, `O` is `0`, `I` and `L` are `1`.
#[derive(Debug, ToSchema)]
#[schema(max_length = 128, examples("ABCD-EFGH-JKMN-PQRS"))]
pub struct BackupCode(pub String);

/// The user as the host application names it: opaque, 1 to 255 bytes of UTF-8, no control characters.
#[derive(Debug, ToSchema)]
#[schema(min_length = 1, max_length = 255)]
pub struct UserId(pub String);

/// Opaque; 256 random bits. It lives 300 s, takes 5 wrong answers, and is spent by one right one.
#[derive(Debug, ToSchema)]
#[schema(min_length = 43, max_length = 43)]
pub struct SessionId(pub String);

/// 32 lower-case hexadecimal digits.
#[derive(Debug, ToSchema)]
#[schema(pattern = "^[0-9a-f]{32}$")]
pub struct DeviceId(pub String);

/// 1 to 100 characters, not only blanks, no control characters.
#[derive(Debug, ToSchema)]
#[schema(min_length = 1, max_length = 100)]
pub struct DeviceName(pub String);

/// An address, http or https, without a user name or fragment, of printable ASCII characters.
#[derive(Debug, ToSchema)]
#[schema(format = "uri")]
pub struct Url(pub String);

/// An answer that says only that it is done.
#[derive(Debug, serde::Serialize, ToSchema)]
pub struct Message {
    /// For people.
    pub message: &'static str,
}

/// The one value that a member has.
fn only(kind: Type, value: impl Into<Value>) -> Object {
    ObjectBuilder::new().schema_type(kind).enum_values(Some([value.into()])).build()
}

/// Always `true`.
pub(crate) fn always() -> Object {
    only(Type::Boolean, true)
}

/// Always `false`.
pub(crate) fn never() -> Object {
    only(Type::Boolean, false)
}

/// Always this text.
pub(crate) fn only_text(text: &str) -> Object {
    only(Type::String, text)
}

/// How an access token is sent (RFC 6750).
pub(crate) fn bearer() -> Object {
    only_text("Bearer")
}
