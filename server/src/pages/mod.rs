//! What people see: pages that the server renders and that need no script. Forms post to them; scripts only make them nicer.
//!
//! | module | what it is |
//! |---|---|
//! | `challenge` | a code or a backup code, and the way back to the application |
//! | `enroll` | the first device of a newcomer |
//! | `add_device` | a device of somebody who is signed in |
//! | `account` | devices, backup codes, trusted browsers, recent activity, turning 2FA off |
//! | `dispute` | what a mail told of was not the owner's doing |
//! | `step_up` | the second factor again, for a page of an application that a proxy protects |
//! | `setup` | the page that connects an authenticator, for `enroll` and `add_device` |
//! | `backup_codes` | fresh backup codes: shown once, kept, acknowledged |
//! | `ending` | a session that takes no answer: it had one, is over, or there is none |
//! | `visit` | what a browser brings along: session, login, language |
//! | `hand_over` | a link becomes a cookie, once; a login becomes a one-time code |
//! | `address` | where the pages are |
//! | `cookie`, `csrf`, `form` | what proves that a form is ours and this browser's |
//! | `locale` | the languages, and which one a browser gets |
//! | `texts` | the sentences that scripts say |
//! | `moment` | times |
//! | `refusal` | the sentence for every error of the API |
//! | `view` | what all templates have in common, and the headers of a page |
//! | `theme` | an application's accent colour and logo |
//! | `assets` | scripts, styles, icons and the browser module |
//!
//! The templates lie in `web/pages/`, the sentences in `web/locales/`.

mod account;
mod add_device;
pub(crate) mod address;
mod assets;
mod backup_codes;
mod challenge;
mod cookie;
pub(crate) mod csrf;
mod dispute;
mod ending;
mod enroll;
mod form;
mod hand_over;
pub(crate) mod locale;
mod moment;
pub(crate) mod refusal;
mod setup;
mod step_up;
mod texts;
mod theme;
mod view;
mod visit;

use http::HeaderMap;

use crate::{
    context::Context,
    http::{Call, Problem, Reply},
};

pub use assets::asset;
pub(crate) use cookie::Cookie;
pub(crate) use csrf::require_own_origin;
pub(crate) use form::Form;
pub(crate) use moment::Moment;
pub(crate) use step_up::url as step_up_url;
pub use theme::themed;
pub(crate) use view::{Frame, Shown, page, redirect, refusal as refused_with};
pub(crate) use visit::{PageLogin, Visit, page_login};

/// What is shown.
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
    /// What a mail told of was not the owner's doing.
    Dispute,
}

/// Where forms are posted to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Submission {
    /// Those of the challenge.
    Challenge,
    /// Those of the first device.
    Enroll,
    /// Those of a device of an account.
    AddDevice,
    /// Those of the account page.
    Account,
    /// That of a code for a protected page of an application.
    StepUp,
    /// That of the link of a mail.
    Dispute,
    /// Backup codes as a file.
    BackupCodesFile,
}

/// Shows a page. A refusal that the page itself has no place for becomes a page of its own.
pub async fn show(context: &Context, page: Page, call: Call) -> Reply {
    let visit = Visit::of(context, &call);
    let outcome = match page {
        Page::Challenge => challenge::show(context, &visit, &call).await,
        Page::Enroll => enroll::show(context, &visit, &call).await,
        Page::AddDevice => add_device::show(context, &visit, &call).await,
        Page::Account => account::show(context, &visit, &call).await,
        Page::StepUp => step_up::show(context, &visit, &call).await,
        Page::Dispute => dispute::show(context, &visit, &call).await,
    };
    shown(context, &visit, outcome)
}

/// Does what a posted form asks for.
pub async fn submit(context: &Context, submission: Submission, mut call: Call) -> Reply {
    let visit = Visit::of(context, &call);
    let outcome = submitted(context, submission, &visit, &mut call).await;
    shown(context, &visit, outcome)
}

async fn submitted(
    context: &Context,
    submission: Submission,
    visit: &Visit,
    call: &mut Call,
) -> Result<Shown, Problem> {
    require_own_origin(context, &call.headers)?;
    let form = Form::read(call).await?;
    match submission {
        Submission::Challenge => challenge::post(context, visit, call, &form).await,
        Submission::Enroll => enroll::post(context, visit, call, &form).await,
        Submission::AddDevice => add_device::post(context, visit, call, &form).await,
        Submission::Account => account::post(context, visit, call, &form).await,
        Submission::StepUp => step_up::post(context, visit, call, &form).await,
        Submission::Dispute => dispute::post(context, visit, call, &form).await,
        Submission::BackupCodesFile => backup_codes::file(context, visit, call, &form).await,
    }
}

fn shown(context: &Context, visit: &Visit, outcome: Result<Shown, Problem>) -> Reply {
    outcome.unwrap_or_else(|problem| refusal::page(context, visit, &problem)).into_reply(context, visit)
}

/// A refusal of the routes, as a page.
pub fn refused(context: &Context, headers: &HeaderMap, problem: &Problem) -> Reply {
    let visit = Visit::unknown(headers);
    refusal::page(context, &visit, problem).into_reply(context, &visit)
}
