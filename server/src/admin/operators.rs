//! `/admin/operators/`: who may sign in, for admins.

use askama::Template;
use http::StatusCode;

use super::{Frame, Section, done, reason};
use crate::caller::Operator;
use crate::context::Context;
use crate::http::{Call, Code, Problem, rfc3339};
use crate::operators::{OperatorError, OperatorName, Role};
use crate::pages::{Form, Shown, page};

/// Where it is, below `/admin/`.
const PATH: &str = "operators/";

#[derive(Template)]
#[template(path = "admin/operators.html")]
struct OperatorsPage {
    frame: Frame,
    rows: Vec<Row>,
}

/// An operator as the page shows them.
struct Row {
    /// Tells the fields of the page apart.
    number: usize,
    name: String,
    role: Role,
    created_at: String,
    has_device: bool,
    /// Until when they may connect a device, if they have none and may.
    enrol_until: Option<String>,
    /// Whether it is the one who looks: nobody locks themselves out.
    is_self: bool,
}

/// The list.
///
/// # Errors
/// The operator is no admin, or the store is not available.
pub(super) async fn show(context: &Context, operator: &Operator, call: &Call) -> Result<Shown, Problem> {
    if !operator.is(Role::Admin) {
        return Err(Problem::new(Code::Forbidden).saying("Only admins see the operators."));
    }
    let now = context.clock.now();
    let lines = context.operators.list().await?.into_iter();
    let rows = lines.enumerate().map(|(number, line)| Row {
        number,
        is_self: line.name == operator.name,
        name: line.name.to_string(),
        role: line.role,
        created_at: rfc3339(line.created_at),
        has_device: line.has_device,
        enrol_until: (!line.has_device && now < line.enrol_until).then(|| rfc3339(line.enrol_until)),
    });
    let rows = rows.collect();
    let frame = Frame::of(context, operator, call, Section::Operators);
    Ok(page(StatusCode::OK, &OperatorsPage { frame, rows }))
}

/// Changes an operator.
///
/// # Errors
/// Whoever asks is no admin or means themselves, there is no such operator, or the store is not available.
pub(super) async fn post(context: &Context, operator: &Operator, form: &Form) -> Result<Shown, Problem> {
    let admin = operator.admin(reason(form)?)?;
    let name = OperatorName::parse(form.text("operator")).map_err(|_| Problem::new(Code::NotFound))?;
    if name == operator.name {
        let sentence = "Nobody changes themselves here; another admin or the command line does.";
        return Err(Problem::new(Code::Forbidden).saying(sentence));
    }
    let (operators, origin) = (&context.operators, admin.origin());
    let (outcome, sentence) = match form.text("action") {
        "role" => {
            let role = Role::parse(form.text("role"));
            let role = role.ok_or_else(|| Problem::field("role", "must be viewer, support or admin"))?;
            (
                operators.set_role(&name, role, origin).await,
                format!("The role of {name} is {} now.", role.word()),
            )
        }
        "second-factor" => {
            let sentence = format!("{name} has a day to connect a device.");
            (operators.reset_second_factor(&name, origin).await, sentence)
        }
        "remove" => (operators.remove(&name, origin).await, format!("{name} is removed.")),
        _ => return Err(Problem::new(Code::NotFound)),
    };
    match outcome {
        Ok(()) => Ok(done(context, PATH, &sentence)),
        Err(OperatorError::Store(error)) => Err(error.into()),
        Err(OperatorError::Commit(_)) => Err(Problem::new(Code::Unavailable)),
        Err(error) => Err(Problem::new(Code::NotFound).saying(&format!("{error}."))),
    }
}
