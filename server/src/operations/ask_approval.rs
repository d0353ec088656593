//! `POST /2fa/sessions/` with an API key and an `action`: the application asks a user to approve it.

use serde_json::Value;
use sidekey_core::{
    action::Action,
    id::{AccountId, LoginId},
    session::{Opening, Purpose, Session},
};

use super::open_session::challenge;
use crate::{
    audit::Origin,
    caller::hash,
    context::Context,
    entropy::Entropy,
    http::{Code, Problem},
    store::Subject,
    token::session_link::SessionLink,
};

/// Opens the session. No browser is trusted enough to be spared it, and it leads to no login.
///
/// # Errors
/// The user has no active device, or the store is not available.
pub(super) async fn open(
    context: &Context,
    account: AccountId,
    action: Action,
    return_url: Option<String>,
    origin: &Origin,
) -> Result<Value, Problem> {
    let link = SessionLink::generate(&context.pepper);
    let now = context.clock.now();
    let id = LoginId::generate(&mut Entropy);
    let subject = Subject::account(account).with_session(hash(&link.id));
    context
        .store
        .transact(subject, origin, now, |state| {
            let account = state.account.as_ref().filter(|account| account.has_active_device());
            let account = account.ok_or_else(|| Problem::new(Code::NotEnabled))?;
            let opening = Opening {
                purpose: Purpose::StepUp,
                login: id,
                remember_me: false,
                return_url: return_url.clone(),
                action: Some(action.clone()),
            };
            state.session = Some(Session::open(account, opening, now, &mut state.events));
            Ok::<_, Problem>(())
        })
        .await??;
    Ok(challenge(context, &link))
}
