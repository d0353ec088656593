//! `PATCH /2fa/app/`: other settings of the application.

use sidekey_core::colour::Colour;

use crate::{
    apps::{
        AppError, Edit, Logo, ReturnUrl, ReturnUrls,
        settings::{GRACE_DAYS_MAX, enforcement},
    },
    caller::host,
    context::Context,
    http::{Call, Code, Fields, Problem, Reply},
};

/// Changes the settings that the body names, all or none; answers all of them.
///
/// # Errors
/// No valid API key, or a malformed body.
pub async fn run(context: &Context, mut call: Call) -> Result<Reply, Problem> {
    let host = host(context, &call).await?;
    let edits = edits(&call.fields().await?)?;
    let app = context.apps.change(&host.app.id, &edits, &host.origin).await.map_err(refusal)?;
    Ok(Reply::ok(&app.to_json()))
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
