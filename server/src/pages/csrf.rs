//! A form counts only if it is ours and this browser's (OWASP: signed double submit, bound to the cookie that it acts for).

use data_encoding::BASE64URL_NOPAD;
use http::{HeaderMap, header};
use subtle::ConstantTimeEq;

use super::Form;
use crate::{
    context::Context,
    http::{Code, Problem},
    keyring::Pepper,
};

/// The name of the hidden field.
pub(crate) const FIELD: &str = "csrf";

/// What the forms of a browser with this cookie carry.
pub(crate) fn token(pepper: &Pepper, cookie: &str) -> String {
    BASE64URL_NOPAD.encode(&pepper.mac("csrf", &[cookie.as_bytes()]))
}

/// The form carries the token of the cookie that it acts for.
///
/// # Errors
/// It does not.
pub(crate) fn require_token(context: &Context, cookie: &str, form: &Form) -> Result<(), Problem> {
    require_value(&token(&context.pepper, cookie), form)
}

/// The form carries this token.
///
/// # Errors
/// It does not.
pub(crate) fn require_value(expected: &str, form: &Form) -> Result<(), Problem> {
    let given = form.text(FIELD);
    if expected.as_bytes().ct_eq(given.as_bytes()).into() {
        Ok(())
    } else {
        Err(Problem::new(Code::Forbidden))
    }
}

/// The browser says that one of our pages posted the form, or says nothing. With `no-referrer` it calls the origin of a form `null`;
/// `Sec-Fetch-Site` is the better witness then.
///
/// # Errors
/// It comes from elsewhere.
pub(crate) fn require_own_origin(context: &Context, headers: &HeaderMap) -> Result<(), Problem> {
    let value = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let is_ours = match (value("sec-fetch-site"), value(header::ORIGIN.as_str())) {
        (Some(site), _) => matches!(site, "same-origin" | "none"),
        (None, Some(origin)) => origin == "null" || origin == context.public_url.origin(),
        (None, None) => true,
    };
    if is_ours { Ok(()) } else { Err(Problem::new(Code::Forbidden)) }
}
