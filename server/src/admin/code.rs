//! A code or a backup code, where the admin area asks for one.

use sidekey_core::id::AccountId;

use crate::audit::Origin;
use crate::context::Context;
use crate::http::{Code, Problem};
use crate::operations::operator_factor;
use crate::pages::Form;
use crate::pages::refusal::{is_of_a_form, of_code_in_english};

/// What the fields of a code look like.
pub(super) struct CodeFields {
    /// What the names of the fields begin with.
    pub(super) prefix: &'static str,
    /// Whether two codes are asked for.
    pub(super) two: bool,
    /// Why the code was refused.
    pub(super) of_code: Option<String>,
    /// Why the backup code was refused.
    pub(super) of_backup_code: Option<String>,
    /// The refusal itself, for the answer's status.
    pub(super) problem: Option<Problem>,
}

impl CodeFields {
    /// Those of an account, nothing refused.
    ///
    /// # Errors
    /// The store is not available.
    pub(super) async fn of(
        context: &Context,
        account: &AccountId,
        prefix: &'static str,
    ) -> Result<Self, Problem> {
        let account = context.store.account(account).await?;
        let two = account.is_some_and(|account| account.needs_next_code(context.clock.now()));
        Ok(Self { prefix, two, of_code: None, of_backup_code: None, problem: None })
    }

    /// The same with what was refused, which a field shows.
    pub(super) fn refused(self, context: &Context, form: &Form, problem: Problem) -> Self {
        let is_backup_code = is_backup_code(form, self.prefix);
        let sentence = Some(of_code_in_english(&context.settings.issuer, is_backup_code, &problem));
        let (of_code, of_backup_code) = if is_backup_code { (None, sentence) } else { (sentence, None) };
        let two = self.two || problem.code() == Code::NextCodeRequired;
        Self { two, of_code, of_backup_code, problem: Some(problem), ..self }
    }
}

/// What becomes of a form with a code.
pub(super) enum Judged {
    /// It counts.
    Right,
    /// It does not, and the form shows why.
    Wrong(CodeFields),
}

/// Judges the code of a form.
///
/// # Errors
/// A refusal that the form cannot show.
pub(super) async fn judge(
    context: &Context,
    account: &AccountId,
    origin: &Origin,
    form: &Form,
    prefix: &'static str,
) -> Result<Judged, Problem> {
    match operator_factor::confirm(context, account, origin, &form.answer_in(prefix)).await {
        Ok(()) => Ok(Judged::Right),
        Err(problem) if is_of_a_form(problem.code()) => {
            let fields = CodeFields::of(context, account, prefix).await?;
            Ok(Judged::Wrong(fields.refused(context, form, problem)))
        }
        Err(problem) => Err(problem),
    }
}

/// Whether a form has a code in these fields.
pub(super) fn is_given(form: &Form, prefix: &str) -> bool {
    ["code", "backup_code"].iter().any(|name| !form.text(&format!("{prefix}{name}")).is_empty())
}

fn is_backup_code(form: &Form, prefix: &str) -> bool {
    form.text(&format!("{prefix}code")).is_empty() && !form.text(&format!("{prefix}backup_code")).is_empty()
}
