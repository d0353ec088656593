//! `GET /2fa/app/`: the settings of the application.

use serde_json::{Value, json};

use crate::{
    apps::shown::Shown,
    caller::host,
    context::Context,
    http::{Call, Problem, Reply},
    openapi::{Operation, Tag},
};

pub(crate) fn described() -> Operation {
    Operation::new("showApp", Tag::Application, "The settings of the application")
        .answers::<Shown<'_>>("All of them.", example())
}

/// Settings of some application.
pub(super) fn example() -> Value {
    json!({
        "app_id": "shop",
        "name": "Shop",
        "enforcement": "required",
        "grace_days": 7,
        "return_urls": ["https://app.example/after"],
        "accent_color": "#0e6450",
        "accent_text_color": "#ffffff",
        "logo": null,
    })
}

/// Tells the settings of the caller's app.
///
/// # Errors
/// No valid API key.
pub async fn run(context: &Context, call: Call) -> Result<Reply, Problem> {
    Ok(Reply::ok(&host(context, &call).await?.app.shown()))
}
