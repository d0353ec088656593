//! What people see: pages that the server renders and that need no script. Forms post to them; scripts only make them nicer.
//!
//! | module | what it is |
//! |---|---|
//! | `challenge` | a code or a backup code, and the way back to the application |
//! | `enroll` | the first device of a newcomer |
//! | `add_device` | a device of somebody who is signed in |
//! | `account` | devices, backup codes, turning 2FA off |
//! | `step_up` | the second factor again, for a page of an application that a proxy protects |
//! | `backup_codes` | fresh backup codes: shown once, kept, acknowledged |
//! | `visit` | what a browser brings along: session, login, language |
//! | `hand_over` | a link becomes a cookie, once; a login becomes a one-time code |
//! | `cookie`, `csrf`, `form` | what proves that a form is ours and this browser's |
//! | `locale` | the languages, and which one a browser gets |
//! | `texts` | the sentences that scripts say |
//! | `refusal` | the sentence for every error of the API |
//! | `view` | what all templates have in common, and the headers of a page |
//! | `theme` | an application's accent colour and logo |
//! | `assets` | scripts, styles, icons and the browser module |
//!
//! The templates lie in `web/pages/`, the sentences in `web/locales/`.

mod account;
mod add_device;
mod assets;
mod backup_codes;
mod challenge;
mod cookie;
mod csrf;
mod enroll;
mod form;
mod hand_over;
mod history;
mod locale;
mod refusal;
mod setup;
mod step_up;
mod texts;
mod theme;
mod view;
mod visit;

use http::{HeaderMap, Method};

use crate::{
    context::Context,
    http::{Call, Problem, Reply},
};

pub use assets::asset;
pub(crate) use cookie::Cookie;
pub(crate) use csrf::require_own_origin;
pub(crate) use form::Form;
pub(crate) use step_up::url as step_up_url;
pub use theme::themed;
pub(crate) use view::{Frame, Shown, page, redirect};
pub(crate) use visit::{PageLogin, Visit, page_login};

/// The pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// Give a second factor.
    Challenge,
    /// Set up a first device.
    Enroll,
    /// Set up a device of an account.
    AddDevice,
    /// Devices, backup codes, turning 2FA off.
    Account,
    /// The second factor again, for a protected page of an application.
    StepUp,
    /// Backup codes as a file.
    BackupCodesFile,
    /// The admin area's placeholder.
    Admin,
}

/// Shows a page, or does what its form asks for. A refusal that the page itself has no place for becomes a page of its own.
pub async fn answer(context: &Context, page: Page, call: Call) -> Reply {
    let visit = Visit::of(context, &call);
    let outcome = if call.method == Method::POST {
        post(context, page, &visit, call).await
    } else {
        show(context, page, &visit, &call).await
    };
    outcome.unwrap_or_else(|problem| refusal::page(context, &visit, &problem)).into_reply(context, &visit)
}

async fn show(context: &Context, page: Page, visit: &Visit, call: &Call) -> Result<view::Shown, Problem> {
    match page {
        Page::Challenge => challenge::show(context, visit, call).await,
        Page::Enroll => enroll::show(context, visit, call).await,
        Page::AddDevice => add_device::show(context, visit, call).await,
        Page::Account => account::show(context, visit, call).await,
        Page::StepUp => step_up::show(context, visit, call).await,
        Page::BackupCodesFile | Page::Admin => Ok(view::admin(context, visit)),
    }
}

async fn post(context: &Context, page: Page, visit: &Visit, mut call: Call) -> Result<view::Shown, Problem> {
    csrf::require_own_origin(context, &call.headers)?;
    let form = Form::read(&mut call).await?;
    match page {
        Page::Challenge => challenge::post(context, visit, &call, &form).await,
        Page::Enroll => enroll::post(context, visit, &call, &form).await,
        Page::AddDevice => add_device::post(context, visit, &call, &form).await,
        Page::Account => account::post(context, visit, &call, &form).await,
        Page::StepUp => step_up::post(context, visit, &call, &form).await,
        Page::BackupCodesFile | Page::Admin => backup_codes::file(context, visit, &call, &form).await,
    }
}

/// A refusal of the routes, as a page.
pub fn refused(context: &Context, headers: &HeaderMap, problem: &Problem) -> Reply {
    let visit = Visit::unknown(headers);
    refusal::page(context, &visit, problem).into_reply(context, &visit)
}
