//! `PATCH /2fa/app/`: other settings of the application.

use serde_json::json;
use sidekey_core::colour::Colour;
use utoipa::ToSchema;

use super::show_app;
use crate::{
    apps::{
        AppError, Edit, Logo, ReturnUrl, ReturnUrls,
        settings::{GRACE_DAYS_MAX, enforcement},
        shown::{Shown, enforcements_or_null},
    },
    caller::host,
    context::Context,
    http::{Call, Code, Fields, Problem, Reply},
    openapi::{Operation, Tag, schemas},
};

/// What is left out or null stays as it is; `accent_color` and `logo` are taken away by null.
#[derive(Debug, ToSchema)]
pub struct ChangeApp {
    /// What people read: 1 to 100 characters, not only blanks, no control characters.
    #[schema(min_length = 1, max_length = 100, pattern = "\\S")]
    pub name: Option<String>,
    /// What it demands of its users.
    #[schema(schema_with = enforcements_or_null)]
    pub enforcement: Option<String>,
    /// With `required`: days that a user may go on without a second factor, from the first login that was asked.
    #[schema(minimum = 0, maximum = 365)]
    pub grace_days: Option<u16>,
    /// Where a session may lead, each compared as a whole. http or https, without a user name or fragment, together at most 2,000
    /// printable ASCII characters.
    #[schema(max_items = 20)]
    pub return_urls: Option<Vec<schemas::Url>>,
    /// The colour of buttons on the hosted pages.
    #[schema(pattern = "^#[0-9A-Fa-f]{6}$")]
    pub accent_color: Option<String>,
    /// A data URI in base64 of a PNG, a WebP or an SVG of at most 2,500 bytes. Pages show it in an `<img>` only, on white, beside
    /// the name.
    pub logo: Option<String>,
}

pub(crate) fn described() -> Operation {
    Operation::new("changeApp", Tag::Application, "Change settings of the application")
        .telling(
            "Settings that the body does not name stay. They hold from the next request on, and the audit trail names those that \
             became different. `null` takes `accent_color` and `logo` away; for the others it is as good as absent.",
        )
        .takes::<ChangeApp>(json!({
            "return_urls": ["https://app.example/after"],
            "accent_color": "#0e6450",
        }))
        .answers::<Shown<'_>>("All settings, as they are now.", show_app::example())
}

/// Changes the settings that the body names, all or none; answers all of them.
///
/// # Errors
/// No valid API key, or a malformed body.
pub async fn run(context: &Context, mut call: Call) -> Result<Reply, Problem> {
    let host = host(context, &call).await?;
    let edits = edits(&call.fields().await?)?;
    let app = context.apps.change(&host.app.id, &edits, &host.origin).await.map_err(refusal)?;
    Ok(Reply::ok(&app.shown()))
}

fn edits(fields: &Fields) -> Result<Vec<Edit>, Problem> {
    let mut edits = Vec::new();
    if let Some(name) = fields.optional_text("name")? {
        edits.push(Edit::Name(name.to_owned()));
    }
    let grace_days = fields.optional_number("grace_days")?.map(u16::try_from);
    let grace_days = grace_days.transpose().ok().filter(|days| days.is_none_or(|d| d <= GRACE_DAYS_MAX));
    let grace_days = grace_days.ok_or_else(|| Problem::field("grace_days", "must be at most 365"))?;
    match fields.optional("enforcement", |word| enforcement(word, grace_days))? {
        Some(enforcement) => edits.push(Edit::Enforcement(enforcement)),
        None if grace_days.is_some() => {
            return Err(Problem::field("grace_days", "goes with enforcement only"));
        }
        None => {}
    }
    if let Some(urls) = fields.optional_list("return_urls", ReturnUrl::parse)? {
        let urls = ReturnUrls::new(urls).map_err(|error| Problem::field("return_urls", error))?;
        edits.push(Edit::ReturnUrls(urls));
    }
    // These two can be taken away again, by `null`.
    if fields.has("accent_color") {
        edits.push(Edit::AccentColor(fields.optional("accent_color", Colour::parse)?));
    }
    if fields.has("logo") {
        edits.push(Edit::Logo(fields.optional("logo", Logo::parse)?));
    }
    Ok(edits)
}

fn refusal(error: AppError) -> Problem {
    match error {
        AppError::InvalidName => Problem::field(
            "name",
            "must have 1 to 100 characters, not only blanks, and no control characters",
        ),
        AppError::Store(error) => error.into(),
        error => {
            tracing::error!(%error, "an app cannot be changed");
            Problem::new(Code::Unavailable).retry_after(5)
        }
    }
}
