//! `GET /2fa/app/`: the settings of the application.

use crate::{
    caller::host,
    context::Context,
    http::{Call, Problem, Reply},
};

/// Tells the settings of the caller's app.
///
/// # Errors
/// No valid API key.
pub async fn run(context: &Context, call: Call) -> Result<Reply, Problem> {
    Ok(Reply::ok(&host(context, &call).await?.app.to_json()))
}
