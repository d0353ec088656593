//! What people see: the pages and their parts, embedded in the binary.

use bytes::Bytes;
use http::{HeaderName, StatusCode, header};
use rust_embed::RustEmbed;

use crate::{
    context::Context,
    http::{Code, Problem, Reply},
};

/// The files of `web/`, wasm module and bindings included (`cargo xtask wasm` makes those).
#[derive(RustEmbed)]
#[folder = "../web"]
#[include = "pages/*.html"]
#[include = "scripts/*.js"]
#[include = "styles/*.css"]
#[include = "icons/*"]
#[include = "generated/*.js"]
#[include = "generated/*.wasm"]
struct Web;

/// The pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// Set up a device.
    Enroll,
    /// Give a second factor.
    Challenge,
    /// Devices, backup codes, turning 2FA off.
    Account,
    /// The admin area's placeholder.
    Admin,
    /// The demo application.
    Demo,
}

/// Nothing inline, nothing from elsewhere, nobody's frame (CSP 3; `wasm-unsafe-eval` lets the wasm module compile).
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; \
    img-src 'self' data:; connect-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; \
    frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

impl Page {
    const fn file(self) -> &'static str {
        match self {
            Self::Enroll => "pages/enroll.html",
            Self::Challenge => "pages/challenge.html",
            Self::Account => "pages/account.html",
            Self::Admin => "pages/admin.html",
            Self::Demo => "pages/demo.html",
        }
    }
}

/// A page.
///
/// # Errors
/// The binary was built without it.
pub fn page(context: &Context, page: Page) -> Result<Reply, Problem> {
    rendered(context, StatusCode::OK, page.file())
}

/// The page of an address that leads nowhere.
///
/// # Errors
/// The binary was built without it.
pub fn not_found(context: &Context) -> Result<Reply, Problem> {
    rendered(context, StatusCode::NOT_FOUND, "pages/not-found.html")
}

/// A file of `web/pages/`, with the base path and the product name in their places.
fn rendered(context: &Context, status: StatusCode, file: &str) -> Result<Reply, Problem> {
    let file = Web::get(file).ok_or_else(|| Problem::new(Code::NotFound))?;
    let html = String::from_utf8_lossy(&file.data)
        .replace("{{base}}", &escaped(context.settings.base_path.as_str()))
        .replace("{{issuer}}", &escaped(&context.settings.issuer));
    let headers: [(HeaderName, &str); 5] = [
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (
            HeaderName::from_static("permissions-policy"),
            "camera=(), microphone=(), geolocation=(), clipboard-write=(self)",
        ),
    ];
    let reply = Reply::of(status, "text/html; charset=utf-8", html);
    Ok(headers.into_iter().fold(reply, |reply, (name, value)| reply.with_header(name, value)))
}

/// A script, style, icon or the wasm module.
///
/// # Errors
/// There is no such file, or it is no asset.
pub fn asset(name: &str) -> Result<Reply, Problem> {
    let not_found = || Problem::new(Code::NotFound);
    let content_type = content_type(name).ok_or_else(not_found)?;
    let file = Web::get(name).ok_or_else(not_found)?;
    let reply = Reply::of(StatusCode::OK, content_type, Bytes::from(file.data.into_owned()));
    // Kept, but asked for again each time: the name does not tell versions apart.
    Ok(reply
        .with_header(header::CACHE_CONTROL, "no-cache")
        .with_header(HeaderName::from_static("cross-origin-resource-policy"), "same-origin"))
}

/// The type of an asset by its name's end; pages are no assets.
fn content_type(name: &str) -> Option<&'static str> {
    Some(match name.rsplit_once('.')?.1 {
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "wasm" => "application/wasm",
        _ => return None,
    })
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_is_a_header_value() {
        assert!(http::HeaderValue::from_str(CONTENT_SECURITY_POLICY).is_ok());
    }

    #[test]
    fn product_names_are_escaped() {
        assert_eq!(escaped(r#"<A & "B">'"#), "&lt;A &amp; &quot;B&quot;&gt;&#39;");
    }

    #[test]
    fn pages_are_no_assets() {
        assert!(asset("pages/enroll.html").is_err());
        assert!(asset("../Cargo.toml").is_err());
    }
}
