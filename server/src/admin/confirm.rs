//! A code again, before something is changed by somebody whose second factor is too old. The page keeps the form that was posted and sends it
//! again with the code, so that nothing has to be typed twice.

use askama::Template;

use super::code::{self, CodeFields, Judged};
use super::{Frame, Section};
use crate::caller::Operator;
use crate::context::Context;
use crate::http::{Call, Code, Problem};
use crate::pages::{Form, Shown, csrf, refused_with};

/// What the names of the fields with the code begin with: a form may have a `code` of its own.
const PREFIX: &str = "confirm_";

#[derive(Template)]
#[template(path = "admin/confirm.html")]
struct ConfirmPage {
    frame: Frame,
    /// Where the form is posted to: where it was.
    action: String,
    /// Its fields.
    hidden: Vec<(String, String)>,
    fields: CodeFields,
}

/// Takes the code that a form was sent again with, if it was. Gives a page where it does not count.
///
/// # Errors
/// The session is over, or the store is not available.
pub(super) async fn taken(
    context: &Context,
    operator: &mut Operator,
    call: &Call,
    form: &Form,
) -> Result<Option<Shown>, Problem> {
    if !code::is_given(form, PREFIX) {
        return Ok(None);
    }
    let account = operator.account()?;
    match code::judge(context, &account, &operator.origin, form, PREFIX).await? {
        Judged::Wrong(fields) => Ok(Some(shown(context, operator, call, form, fields))),
        Judged::Right => {
            let now = context.clock.now();
            if !context.operators.confirmed_again(&operator.session.hash, now).await? {
                return Err(Problem::new(Code::SessionExpired));
            }
            operator.second_factor_at = now;
            Ok(None)
        }
    }
}

/// The page.
///
/// # Errors
/// The store is not available.
pub(super) async fn show(
    context: &Context,
    operator: &Operator,
    call: &Call,
    form: &Form,
) -> Result<Shown, Problem> {
    let mut fields = CodeFields::of(context, &operator.account()?, PREFIX).await?;
    fields.problem = Some(Problem::new(Code::SecondFactorRequired));
    Ok(shown(context, operator, call, form, fields))
}

fn shown(context: &Context, operator: &Operator, call: &Call, form: &Form, fields: CodeFields) -> Shown {
    let is_kept = |name: &str| name != csrf::FIELD && !name.starts_with(PREFIX);
    let hidden = form.fields().filter(|(name, _)| is_kept(name));
    let problem = fields.problem.clone().unwrap_or_else(|| Problem::new(Code::SecondFactorRequired));
    let page = ConfirmPage {
        frame: Frame::of(context, operator, call, Section::Nowhere),
        action: call.target(),
        hidden: hidden.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        fields,
    };
    refused_with(&problem, &page)
}
