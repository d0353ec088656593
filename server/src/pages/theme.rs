//! What an application's settings change in the look of its users' pages: a stylesheet of its accent colour, and its logo.
//!
//! Both are files with a name of their own, because the policy of the pages lets nothing inline in. The name ends in a MAC of the content:
//! so it may be kept for ever, and nobody can find out by guessing which applications there are (contract, rule 8).

use askama::Template;
use bytes::Bytes;
use data_encoding::HEXLOWER;
use http::{HeaderName, StatusCode, header};
use sidekey_core::{
    accent::{Scheme, Shades},
    colour::Colour,
    id::AppId,
};

use crate::{
    apps::{App, Logo},
    context::Context,
    http::{Call, Code, Problem, Reply, entity_tag, is_held},
    keyring::Pepper,
};

/// The light and the dark colours of `web/styles/tokens.css`.
const LIGHT: Scheme = Scheme { paper: Colour::new(0xf5, 0xf3, 0xee), card: Colour::WHITE };
const DARK: Scheme = Scheme { paper: Colour::new(0x11, 0x17, 0x15), card: Colour::new(0x1a, 0x23, 0x20) };

/// Bytes of the MAC in a name.
const TAG_BYTES: usize = 16;

/// What a frame shows of its application's look: paths below the base path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Theme {
    /// The stylesheet, if the application has a colour.
    pub(crate) stylesheet: Option<String>,
    /// The logo, if it has one.
    pub(crate) logo: Option<String>,
}

impl Theme {
    /// The look of an application.
    pub(super) fn of(pepper: &Pepper, app: &App) -> Self {
        let path = |file: File| format!("/2fa/theme/{}", file.name(pepper, &app.id));
        Self { stylesheet: stylesheet(app).map(path), logo: logo(app).map(path) }
    }
}

/// One file of a theme.
struct File {
    media_type: &'static str,
    extension: &'static str,
    policy: &'static str,
    data: Vec<u8>,
}

impl File {
    fn tag(&self, pepper: &Pepper, app: &AppId) -> Vec<u8> {
        let mut mac = pepper.mac("theme", &[app.as_str().as_bytes(), &self.data]).to_vec();
        mac.truncate(TAG_BYTES);
        mac
    }

    fn name(&self, pepper: &Pepper, app: &AppId) -> String {
        format!("{app}-{}.{}", HEXLOWER.encode(&self.tag(pepper, app)), self.extension)
    }
}

#[derive(Template)]
#[template(path = "theme.css", escape = "none")]
struct Stylesheet {
    light: Shades,
    dark: Shades,
}

fn stylesheet(app: &App) -> Option<File> {
    let accent = app.accent_color?;
    let css = Stylesheet { light: Shades::of(accent, LIGHT), dark: Shades::of(accent, DARK) };
    let data = css.render().ok()?.into_bytes();
    Some(File { media_type: "text/css; charset=utf-8", extension: "css", policy: "default-src 'none'", data })
}

fn logo(app: &App) -> Option<File> {
    let (media_type, data) = app.logo.as_ref().and_then(Logo::picture)?;
    let extension = match media_type {
        "image/svg+xml" => "svg",
        "image/webp" => "webp",
        _ => "png",
    };
    // Opened by itself, an SVG is a document: it runs no script, loads nothing, and is of an origin of its own.
    let policy = "default-src 'none'; style-src 'unsafe-inline'; sandbox";
    Some(File { media_type, extension, policy, data })
}

/// The stylesheet or the logo with this name.
///
/// # Errors
/// There is none, or not any more, or the store is not available.
pub async fn themed(context: &Context, call: &Call) -> Result<Reply, Problem> {
    let not_found = || Problem::new(Code::NotFound);
    let name = call.name.as_deref().unwrap_or_default();
    let (id, _) = name.rsplit_once('-').ok_or_else(not_found)?;
    let id = AppId::parse(id).map_err(|_| not_found())?;
    let app = context.apps.find(&id).await?.ok_or_else(not_found)?;
    let mut files = [stylesheet(&app), logo(&app)].into_iter().flatten();
    let file = files.find(|file| file.name(&context.pepper, &id) == name).ok_or_else(not_found)?;
    let tag = entity_tag(&file.tag(&context.pepper, &id));
    let reply = Reply::of(StatusCode::OK, file.media_type, Bytes::from(file.data))
        .with_header(header::CACHE_CONTROL, "public, max-age=31536000, immutable")
        .with_header(header::ETAG, &tag)
        .with_header(header::CONTENT_SECURITY_POLICY, file.policy)
        .with_header(HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    Ok(if is_held(&call.headers, &tag) { reply.not_modified() } else { reply })
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use sidekey_core::{policy::Enforcement, time::UnixTime};

    use super::*;
    use crate::entropy::Entropy;

    fn app(accent: Option<&str>) -> App {
        let id = AppId::parse("shop-eu").unwrap();
        let app = App::new(id, "Shop".to_owned(), Enforcement::Optional, UnixTime::from_secs(0));
        App { accent_color: accent.map(|text| Colour::parse(text).unwrap()), ..app }
    }

    #[test]
    fn the_schemes_are_those_of_the_stylesheet() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../web/styles/tokens.css");
        let css = fs::read_to_string(path).unwrap();
        let (light, dark) = css.split_once("prefers-color-scheme: dark").unwrap();
        for (css, scheme) in [(light, LIGHT), (dark, DARK)] {
            let value = |name: &str| css.split_once(name).unwrap().1.split_once(';').unwrap().0.trim();
            assert_eq!(value("--paper:"), scheme.paper.to_string());
            let card = value("--card:");
            let card = if card == "#fff" { "#ffffff" } else { card };
            assert_eq!(card, scheme.card.to_string());
        }
    }

    #[test]
    fn what_stands_for_the_accent_in_the_theme_stands_in_the_stylesheet() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../web/styles/tokens.css");
        let tokens = fs::read_to_string(path).unwrap();
        let css = String::from_utf8(stylesheet(&app(Some("#ffff00"))).unwrap().data).unwrap();
        let mut names = 0;
        for line in css.lines().filter_map(|line| line.trim().strip_prefix("--")) {
            let (name, _) = line.split_once(':').unwrap();
            assert!(tokens.contains(&format!("--{name}:")), "{name}");
            names += 1;
        }
        assert_eq!(names, 2 * 8);
    }

    #[test]
    fn a_name_tells_contents_and_servers_apart() {
        let pepper = Pepper::generate(&mut Entropy);
        let theme = Theme::of(&pepper, &app(Some("#ffff00")));
        let path = theme.stylesheet.clone().unwrap();
        assert!(path.starts_with("/2fa/theme/shop-eu-"), "{path}");
        assert_eq!(theme.logo, None);
        assert_eq!(Theme::of(&pepper, &app(Some("#ffff00"))), theme);
        assert_ne!(Theme::of(&pepper, &app(Some("#ffff01"))), theme);
        assert_ne!(Theme::of(&Pepper::generate(&mut Entropy), &app(Some("#ffff00"))), theme);
        assert_eq!(Theme::of(&pepper, &app(None)), Theme::default());
    }
}
