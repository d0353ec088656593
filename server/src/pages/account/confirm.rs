//! The second factor again, before something that needs a fresh one.

use askama::Template;
use sidekey_core::id::DeviceId;

use super::super::{
    Form, Frame, Visit, address,
    refusal::{Asked, Failed, Failure, is_of_a_form},
    view::{self, Shown},
    visit::SignedIn,
};
use crate::{context::Context, http::Problem, operations::confirm_login};

#[derive(Template)]
#[template(path = "confirm.html")]
pub(in super::super) struct ConfirmPage {
    pub(in super::super) frame: Frame,
    /// Where the form is posted to, below the base path.
    pub(in super::super) action: &'static str,
    /// What it carries besides the code.
    pub(in super::super) hidden: Vec<(&'static str, String)>,
    pub(in super::super) failed: Failed,
    pub(in super::super) needs_next_code: bool,
    pub(in super::super) has_own_codes: bool,
}

/// Where a confirmation leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Next {
    /// To the account page.
    Account,
    /// To the page for one more device, or one in place of another.
    AddDevice(Option<DeviceId>),
}

impl Next {
    fn read(form: &Form) -> Self {
        match form.text("next") {
            "device" => Self::AddDevice(DeviceId::parse(form.text("replaces"))),
            _ => Self::Account,
        }
    }

    fn url(self, context: &Context) -> String {
        match self {
            Self::Account => context.url(address::ACCOUNT),
            Self::AddDevice(None) => context.url(address::DEVICE),
            Self::AddDevice(Some(old)) => format!("{}?replaces={old}", context.url(address::DEVICE)),
        }
    }
}

/// Judges what was typed, and goes on.
///
/// # Errors
/// The login has ended, or the store is not available.
pub(super) async fn post(
    context: &Context,
    visit: &Visit,
    person: SignedIn,
    form: &Form,
) -> Result<Shown, Problem> {
    let next = Next::read(form);
    let asked = Asked::code_or_backup_code(form);
    match confirm_login::confirm(context, &person.user, person.page_login, &form.answer()).await {
        Ok(()) => Ok(view::redirect(&next.url(context))),
        Err(problem) if is_of_a_form(problem.code()) => {
            let frame = Frame::of(context, visit, Some(&person.account.id.app)).await?;
            let failure = Failure::of(&frame.text, "confirm", asked, &problem);
            page(context, visit, person, next, Failed(Some(failure))).await
        }
        Err(problem) => Err(problem),
    }
}

/// The page.
///
/// # Errors
/// The store is not available.
pub(in super::super) async fn page(
    context: &Context,
    visit: &Visit,
    person: SignedIn,
    next: Next,
    failed: Failed,
) -> Result<Shown, Problem> {
    let frame = Frame::of(context, visit, Some(&person.account.id.app)).await?.with_csrf(&person.csrf);
    let (name, replaces) = match next {
        Next::Account => ("account", None),
        Next::AddDevice(replaces) => ("device", replaces),
    };
    let replaces = replaces.map(|id| id.to_string()).unwrap_or_default();
    let page = ConfirmPage {
        action: address::ACCOUNT,
        hidden: vec![("next", name.to_owned()), ("replaces", replaces)],
        needs_next_code: person.account.needs_next_code(context.clock.now()),
        has_own_codes: person.account.has_own_codes(),
        failed,
        frame,
    };
    Ok(page.failed.page(&page))
}
