//! An app's logo. Pages show it in an `<img>` and nowhere else: there, an SVG runs no script and loads nothing.

use std::fmt;

use data_encoding::BASE64;
use serde::{Deserialize, Serialize};

/// Most bytes of the picture: with the other settings, a record has room for no more.
pub(super) const MAX_BYTES: usize = 2_500;

/// Whether bytes are a picture of a kind.
type Test = fn(&[u8]) -> bool;

/// The kinds of pictures: how their data URI begins, and how their bytes do.
const KINDS: [(&str, Test); 3] = [
    ("data:image/png;base64,", |bytes| bytes.starts_with(b"\x89PNG\r\n\x1a\n")),
    ("data:image/webp;base64,", |bytes| bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP")),
    ("data:image/svg+xml;base64,", is_svg),
];

/// A picture as a data URI (RFC 2397).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Logo(String);

impl Logo {
    /// Reads a data URI in base64.
    ///
    /// # Errors
    /// It is none of a PNG, WebP or SVG, or too large: a sentence that says so.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        const WHAT: &str = "must be a data URI in base64 of a PNG, a WebP or an SVG";
        let kind = KINDS.iter().find_map(|(prefix, is_one)| Some((text.strip_prefix(prefix)?, is_one)));
        let (encoded, is_one) = kind.ok_or(WHAT)?;
        if encoded.len() > BASE64.encode_len(MAX_BYTES) {
            return Err(TOO_LARGE);
        }
        let bytes = BASE64.decode(encoded.as_bytes()).map_err(|_| WHAT)?;
        if is_one(&bytes) { Ok(Self(text.to_owned())) } else { Err(WHAT) }
    }

    /// The data URI of a picture.
    ///
    /// # Errors
    /// As [`Logo::parse`].
    pub fn of_picture(bytes: &[u8]) -> Result<Self, &'static str> {
        if bytes.len() > MAX_BYTES {
            return Err(TOO_LARGE);
        }
        let kind = KINDS.iter().find(|(_, is_one)| is_one(bytes));
        let (prefix, _) = kind.ok_or("must be a PNG, a WebP or an SVG")?;
        Ok(Self(format!("{prefix}{}", BASE64.encode(bytes))))
    }

    /// The picture and its media type.
    pub fn picture(&self) -> Option<(&'static str, Vec<u8>)> {
        let (prefix, _) = KINDS.iter().find(|(prefix, _)| self.0.starts_with(prefix))?;
        let media_type = prefix.strip_prefix("data:")?.strip_suffix(";base64,")?;
        Some((media_type, BASE64.decode(self.0.strip_prefix(prefix)?.as_bytes()).ok()?))
    }

    /// The data URI.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

const TOO_LARGE: &str =
    "must have at most 2,500 bytes: an SVG, or a PNG of 64 by 64 pixels, has room in them";

fn is_svg(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|text| {
        let text = text.trim_start_matches('\u{feff}').trim_start();
        (text.starts_with("<svg") || text.starts_with("<?xml") || text.starts_with("<!--"))
            && text.contains("<svg")
    })
}

impl TryFrom<String> for Logo {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        Self::parse(&text)
    }
}

impl From<Logo> for String {
    fn from(logo: Logo) -> Self {
        logo.0
    }
}

impl fmt::Debug for Logo {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Logo({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_known_by_its_bytes_and_comes_back_from_its_uri() {
        for (bytes, kind) in [
            (&b"\x89PNG\r\n\x1a\nrest"[..], "image/png"),
            (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
            (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/svg+xml"),
            (b"<?xml version='1.0'?>\n<svg/>", "image/svg+xml"),
        ] {
            let logo = Logo::of_picture(bytes).unwrap();
            assert!(logo.as_str().starts_with(&format!("data:{kind};base64,")));
            assert_eq!(logo.picture(), Some((kind, bytes.to_vec())));
            assert_eq!(Logo::parse(logo.as_str()), Ok(logo));
        }
    }

    #[test]
    fn nothing_else_is_a_logo() {
        assert!(Logo::of_picture(b"GIF89a").is_err());
        assert!(Logo::of_picture(b"<html><svg/></html>").is_err());
        assert!(Logo::of_picture(format!("<svg>{}</svg>", " ".repeat(MAX_BYTES)).as_bytes()).is_err());
        let html = BASE64.encode(b"<script>1</script>");
        for bad in [
            "",
            "https://app.example/logo.png",
            "data:image/png,abc",
            "data:image/png;base64,!",
            &format!("data:text/html;base64,{html}"),
            &format!("data:image/svg+xml;base64,{html}"),
        ] {
            assert!(Logo::parse(bad).is_err(), "{bad}");
        }
    }
}
