//! `/admin/enrol/`: an operator who has just been made, or whose second factor was reset, connects a device.
//!
//! A reset takes the whole account away, with the pending device, in the write that ends the sessions: what was shown before it cannot be
//! confirmed after it.

use askama::Template;
use http::StatusCode;
use sidekey_core::id::{DeviceId, LoginId};

use super::Frame;
use super::code::CodeFields;
use super::second_factor::{self, Asked, asked, closed, complete};
use crate::caller::HalfWay;
use crate::context::Context;
use crate::http::{Code, Problem};
use crate::operations::{operator_factor, start_setup::Setup};
use crate::pages::refusal::is_of_a_form;
use crate::pages::{Form, Shown, page, redirect, refused_with};

#[derive(Template)]
#[template(path = "admin/enrol.html")]
struct EnrolPage {
    frame: Frame,
    name: String,
    /// The key in groups of four.
    groups: Vec<String>,
    uri: String,
    svg: String,
    device: String,
    fields: CodeFields,
}

#[derive(Template)]
#[template(path = "admin/backup_codes.html")]
struct BackupCodesPage {
    frame: Frame,
    codes: Vec<String>,
}

/// The key and its QR code: the same each time, until it is over.
///
/// # Errors
/// The store is not available.
pub(super) async fn show(context: &Context, half: &HalfWay) -> Result<Shown, Problem> {
    if let Some(elsewhere) = elsewhere(context, half).await? {
        return Ok(elsewhere);
    }
    let setup = start(context, half, false).await?;
    let fields = CodeFields::of(context, &half.operator.account()?, "").await?;
    Ok(shown(context, half, &setup, fields))
}

/// Judges the first code, or makes a new key where that is asked for.
///
/// # Errors
/// The session is over, or the store is not available.
pub(super) async fn post(context: &Context, half: &HalfWay, form: &Form) -> Result<Shown, Problem> {
    if let Some(elsewhere) = elsewhere(context, half).await? {
        return Ok(elsewhere);
    }
    let account = half.operator.account()?;
    let is_restart = form.text("action") == "restart";
    let setup = start(context, half, is_restart).await?;
    let fields = CodeFields::of(context, &account, "").await?;
    if is_restart {
        return Ok(shown(context, half, &setup, fields));
    }
    let judged = match form.answer().answer() {
        // The one that was shown is gone: its time was over, and another key has taken its place.
        Ok(_) if DeviceId::parse(form.text("device")) != Some(setup.device) => {
            Err(Problem::new(Code::SetupExpired))
        }
        Ok(answer) => operator_factor::enrol(context, &account, setup.device, &answer, &half.origin).await,
        Err(problem) => Err(problem),
    };
    match judged {
        Ok(codes) => {
            let cookie = complete(context, half).await?;
            let codes = BackupCodesPage { frame: Frame::plain(context), codes };
            Ok(page(StatusCode::OK, &codes).with_cookie(&cookie))
        }
        Err(problem) if is_of_a_form(problem.code()) || problem.code() == Code::SetupExpired => {
            let fields = CodeFields::of(context, &account, "").await?.refused(context, form, problem);
            Ok(shown(context, half, &setup, fields))
        }
        Err(problem) => Err(problem),
    }
}

/// Where somebody has to go who may not connect a device.
async fn elsewhere(context: &Context, half: &HalfWay) -> Result<Option<Shown>, Problem> {
    Ok(match asked(context, half).await? {
        Asked::Enrolment => None,
        Asked::Code => Some(redirect(&context.url(&format!("/admin/{}", second_factor::PATH)))),
        Asked::Nothing => Some(closed(context, half)),
    })
}

/// The setup of this sign-in, which is told from others by its session.
async fn start(context: &Context, half: &HalfWay, restart: bool) -> Result<Setup, Problem> {
    let (mut login, hash) = ([0; 16], half.session.hash);
    login.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
    let account = half.operator.account()?;
    operator_factor::start(context, &account, LoginId::from_bytes(login), restart, &half.origin).await
}

fn shown(context: &Context, half: &HalfWay, setup: &Setup, fields: CodeFields) -> Shown {
    let chars: Vec<char> = setup.secret.chars().collect();
    let problem = fields.problem.clone();
    let template = EnrolPage {
        frame: Frame::half_way(context, half),
        name: half.operator.name.to_string(),
        groups: chars.chunks(4).map(|group| group.iter().collect()).collect(),
        uri: setup.uri.to_string(),
        svg: setup.qr.to_svg(None).replacen("<svg ", "<svg aria-hidden=\"true\" focusable=\"false\" ", 1),
        device: setup.device.to_string(),
        fields,
    };
    match problem {
        Some(problem) => refused_with(&problem, &template),
        None => page(StatusCode::OK, &template),
    }
}
