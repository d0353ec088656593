//! `POST /2fa/sessions/` with an access token: a user opens a session to step up, or to approve one action.

use http::StatusCode;
use sidekey_core::{
    id::LoginId,
    session::{LIFETIME, Opening, Purpose, Session},
};
use utoipa::ToSchema;

use super::{
    open_session::{read_action, read_return_url},
    opening::challenge,
};
use crate::{
    caller::{Acting, Demand, User, hash},
    context::Context,
    entropy::Entropy,
    http::{Code, Fields, Problem, Reply},
    token::session_link::SessionLink,
};

/// What a user may say when opening a step-up session. The body may be left out.
#[derive(Debug, ToSchema)]
pub struct StepUp {
    /// The one action that the user is to approve. A right answer yields an `action_token` for exactly that, and no login.
    #[schema(pattern = "^[A-Za-z0-9._:-]{1,64}$")]
    pub action: Option<String>,
    /// What the action is done to, as its user reads it; only with `action`.
    #[schema(min_length = 1, max_length = 255)]
    pub resource: Option<String>,
    /// As in `OpenSession`, but only a page of this server's own origin.
    #[schema(format = "uri", max_length = 2000)]
    pub return_url: Option<String>,
}

/// Opens a session for a user who asks to give the second factor again. A login without one may ask too: this is how it gets one.
///
/// # Errors
/// A member is malformed, 2FA is off, the login has ended, the user asks too often, or wants to be led away from this server.
pub(super) async fn open(context: &Context, user: &User, fields: &Fields) -> Result<Reply, Problem> {
    context.count_address(user.origin.ip_address)?;
    context.count_account(&user.account)?;
    let return_url = read_return_url(fields)?;
    // Only the host says where its users go; a user's token leads no further than to our own pages.
    let own = format!("{}/", context.public_url.origin());
    if return_url.as_ref().is_some_and(|url| !url.as_str().starts_with(&own)) {
        return Err(Problem::field("return_url", "must be a page of this server"));
    }
    let action = read_action(fields)?;
    let link = SessionLink::generate(&context.pepper);
    let now = context.clock.now();
    let login = LoginId::generate(&mut Entropy);
    let subject = user.subject().with_session(hash(&link.id));
    user.transact(context, subject, Demand::Login, now, |acting| {
        let Acting { account, family, session, events, .. } = acting;
        if !account.is_protected() {
            return Err(Problem::new(Code::NotEnabled));
        }
        let opening = Opening {
            purpose: Purpose::StepUp,
            login,
            remember_me: family.remember_me,
            return_url: return_url.clone().map(String::from),
            action: action.clone(),
        };
        *session = Some(Session::open(account, opening, now, events));
        Ok(())
    })
    .await?;
    Ok(Reply::json(StatusCode::CREATED, &challenge(context, link, LIFETIME)))
}
