//! `POST /2fa/token/revoke/`: ends a login (RFC 7009).

use serde_json::json;
use sidekey_core::event::Event;
use utoipa::ToSchema;

use super::refresh_token::Refresh;
use crate::{
    audit::Origin,
    context::Context,
    http::{Call, Problem, Reply},
    openapi::{Operation, Tag, schemas},
    store::Subject,
    token::pair::read_refresh_token,
};

/// What RFC 7009 sends.
#[derive(Debug, ToSchema)]
pub struct Revoke {
    /// The refresh token, under the name of RFC 7009.
    pub token: String,
}

pub(crate) fn described() -> Operation {
    Operation::new("revokeToken", Tag::Tokens, "End a login (RFC 7009)")
        .telling(
            "Always answers the same, whatever the token is. Access tokens of the login stop opening this API at once; a service \
             that only verifies signatures accepts them until they expire.",
        )
        .takes_either_also_as_form::<Refresh, Revoke>(json!({ "refresh_token": "lTlcAzxDD_S3…" }))
        .answers::<schemas::Message>("Done.", json!({ "message": "The login has ended." }))
}

/// Ends the login that a refresh token belongs to. A token that is nobody's is as good as revoked (RFC 7009 §2.2).
///
/// # Errors
/// A malformed body.
pub async fn run(context: &Context, mut call: Call) -> Result<Reply, Problem> {
    let fields = call.fields_or_form().await?;
    let text = match fields.optional_text("refresh_token")? {
        Some(text) => text,
        None => fields.text("token")?,
    };
    let done = Reply::ok(&schemas::Message { message: "The login has ended." });
    let Some(token) = read_refresh_token(&context.pepper, text) else { return Ok(done) };
    let Some(family) = context.store.family(&token.app, token.login).await? else { return Ok(done) };
    end_login(context, Subject::account(family.account).with_login(token.login), call.origin()).await?;
    Ok(done)
}

/// Ends the login that the subject names.
///
/// # Errors
/// The store is not available.
pub async fn end_login(context: &Context, subject: Subject, origin: &Origin) -> Result<(), Problem> {
    let now = context.clock.now();
    context
        .store
        .transact(subject, origin, now, |state| {
            if let Some(family) = state.family.as_mut().filter(|family| !family.is_revoked()) {
                family.revoke();
                state.events.push(Event::LoginRevoked);
            }
        })
        .await?;
    Ok(())
}
