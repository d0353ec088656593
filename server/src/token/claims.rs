//! What an access token says.

use serde::{Deserialize, Serialize};
use sidekey_core::login::{ACR_ONE_FACTOR, ACR_TWO_FACTORS};
use utoipa::{
    ToSchema,
    openapi::{Object, ObjectBuilder, Type},
};

use crate::openapi::schemas;

/// What an access token says. Header: `alg` ES256, `typ` `at+jwt`, `kid` of the JWKS. Times are Unix times in seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = AccessTokenClaims)]
pub struct AccessClaims {
    /// The public URL of this server with its base path; `/.well-known/jwks.json` lies under it.
    #[schema(format = "uri")]
    pub iss: String,
    /// The user, as the host application names it.
    #[schema(value_type = schemas::UserId)]
    pub sub: String,
    /// The id of the host application.
    pub aud: String,
    /// When it was issued: Unix time.
    pub iat: u64,
    /// From when on it is refused, Unix time: `iat` + 900.
    pub exp: u64,
    /// A name of its own, random.
    pub jti: String,
    /// The login: the family of refresh tokens. 32 hexadecimal digits.
    pub sid: String,
    /// Unix time of the last second factor; no refresh moves it. Absent without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub auth_time: Option<u64>,
    /// `["otp","mfa"]`, `["backup_code","mfa"]`, or empty without a second factor; RFC 8176 has no name for backup codes.
    #[schema(value_type = Vec<AuthenticationMethod>, inline)]
    pub amr: Vec<String>,
    /// The class of the login.
    #[schema(schema_with = classes)]
    pub acr: String,
}

/// How a second factor was given, as tokens tell it.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum AuthenticationMethod {
    /// A code of an authenticator.
    Otp,
    /// A backup code.
    BackupCode,
    /// More than one factor.
    Mfa,
}

fn classes() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some([ACR_TWO_FACTORS, ACR_ONE_FACTOR]))
        .build()
}
