//! What pages refer to, embedded in the binary.

use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, StatusCode, header};
use rust_embed::RustEmbed;

use crate::http::{Code, Problem, Reply, entity_tag, is_held};

/// The files of `web/`, with the scripts of the package, which hold the browser module (`cargo xtask wasm` brings them here).
#[derive(RustEmbed)]
#[folder = "../web"]
#[include = "scripts/*.js"]
#[include = "styles/*.css"]
#[include = "icons/*"]
#[include = "generated/sidekey/**/*.js"]
struct Web;

/// A script, style or icon; 304 for a browser that holds it as it is.
///
/// # Errors
/// There is no such file, or it is no asset.
pub fn asset(name: &str, headers: &HeaderMap) -> Result<Reply, Problem> {
    let not_found = || Problem::new(Code::NotFound);
    let content_type = content_type(name).ok_or_else(not_found)?;
    let file = Web::get(name).ok_or_else(not_found)?;
    let tag = entity_tag(&file.metadata.sha256_hash());
    let data = match file.data {
        Cow::Borrowed(data) => Bytes::from_static(data),
        Cow::Owned(data) => Bytes::from(data),
    };
    // Kept, but asked for again each time: the name does not tell versions apart.
    let reply = Reply::of(StatusCode::OK, content_type, data)
        .with_header(header::CACHE_CONTROL, "no-cache")
        .with_header(header::ETAG, &tag)
        .with_header(HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    Ok(if is_held(headers, &tag) { reply.not_modified() } else { reply })
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
        for name in ["pages/setup.html", "locales/en.json", "../Cargo.toml"] {
            assert!(asset(name, &HeaderMap::new()).is_err(), "{name}");
        }
    }
}
