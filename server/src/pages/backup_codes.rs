//! Fresh backup codes. They are shown in the one answer that they were made for, and not kept: a reload says that they were shown. The
//! forms of that page carry them along, to the file and back to the page where nobody has said yet that they are kept.

use askama::Template;
use http::StatusCode;
use sidekey_core::backup_code::{BackupCode, CODES};

use super::{
    Form, Frame, Visit,
    view::{self, Shown},
};
use crate::{
    context::Context,
    http::{Call, Problem, rfc3339},
};

#[derive(Template)]
#[template(path = "backup_codes.html")]
struct BackupCodesPage {
    frame: Frame,
    codes: Vec<String>,
    /// All of them in one hidden field.
    joined: String,
    /// Where the box is posted to, below the base path.
    action: &'static str,
    /// What the form for the file carries.
    file_csrf: String,
    is_unticked: bool,
}

/// The page.
pub(super) fn show(
    status: StatusCode,
    frame: Frame,
    codes: Vec<String>,
    action: &'static str,
    file_csrf: String,
    is_unticked: bool,
) -> Shown {
    let joined = codes.join(" ");
    view::page(status, &BackupCodesPage { frame, codes, joined, action, file_csrf, is_unticked })
}

/// The page again, if the box was left empty; `None` if it was ticked.
pub(super) fn ask_again(frame: Frame, form: &Form, action: &'static str, file_csrf: String) -> Option<Shown> {
    if form.is_ticked("saved") {
        return None;
    }
    Some(show(StatusCode::BAD_REQUEST, frame, codes(form), action, file_csrf, true))
}

/// The codes that a form of the page carries, as they are shown.
fn codes(form: &Form) -> Vec<String> {
    let parsed =
        form.text("codes").split_whitespace().take(CODES).filter_map(|text| BackupCode::parse(text).ok());
    parsed.map(|code| code.shown().to_string()).collect()
}

/// The codes as a text file.
///
/// # Errors
/// The form is not this browser's.
pub(super) async fn file(
    context: &Context,
    visit: &Visit,
    call: &Call,
    form: &Form,
) -> Result<Shown, Problem> {
    let person = visit.posted_for_login(context, call, form).await?;
    let person = person.ok_or_else(Problem::credentials_missing)?;
    let frame = Frame::of(context, visit, Some(&person.account.id.app)).await?;
    let date = rfc3339(context.clock.now());
    let date = date.split('T').next().unwrap_or_default();
    let mut lines = vec![
        frame.t("codes.file-title"),
        frame.with("codes.file-account", "account", person.name()),
        frame.with("codes.file-date", "date", date),
        String::new(),
    ];
    lines.extend(codes(form));
    lines.extend([String::new(), frame.t("codes.file-advice"), String::new()]);
    Ok(view::attachment("backup-codes.txt", lines.join("\r\n")))
}
