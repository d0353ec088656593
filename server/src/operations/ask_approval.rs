//! `POST /2fa/sessions/` with an API key and an `action`: the application asks a user to approve it.

use sidekey_core::{
    account::{Account, Login},
    action::Action,
    event::Event,
    session::{Opening, Purpose, Session},
    time::UnixTime,
};

use crate::http::{Code, Problem};

/// Opens the session. No browser is trusted enough to be spared it, and it leads to no login.
///
/// # Errors
/// The user has no active device.
pub(super) fn open(
    account: Option<&Account>,
    login: &Login,
    action: &Action,
    now: UnixTime,
    events: &mut Vec<Event>,
) -> Result<Session, Problem> {
    let account = account.filter(|account| account.is_protected());
    let account = account.ok_or_else(|| Problem::new(Code::NotEnabled))?;
    let opening = Opening {
        purpose: Purpose::StepUp,
        login: login.id,
        remember_me: login.remember_me,
        return_url: login.return_url.clone(),
        action: Some(action.clone()),
    };
    Ok(Session::open(account, opening, now, events))
}
