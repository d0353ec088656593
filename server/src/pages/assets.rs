//! What pages refer to, embedded in the binary.

use bytes::Bytes;
use http::{HeaderName, StatusCode, header};
use rust_embed::RustEmbed;

use crate::http::{Code, Problem, Reply};

/// The files of `web/`, with the scripts of the package, which hold the browser module (`cargo xtask wasm` brings them here).
#[derive(RustEmbed)]
#[folder = "../web"]
#[include = "scripts/*.js"]
#[include = "styles/*.css"]
#[include = "icons/*"]
#[include = "generated/sidekey/**/*.js"]
struct Web;

/// A script, style or icon.
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
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_no_assets() {
        assert!(asset("pages/setup.html").is_err());
        assert!(asset("locales/en.json").is_err());
        assert!(asset("../Cargo.toml").is_err());
    }
}
