//! What forms of the admin area say.

use crate::audit::Reason;
use crate::http::Problem;
use crate::pages::Form;

/// The field with the reason.
pub(super) const REASON: &str = "reason";

/// Why the operator does what the form asks for.
///
/// # Errors
/// It is empty, too long, or has line breaks.
pub(crate) fn reason(form: &Form) -> Result<Reason, Problem> {
    Reason::parse(form.text(REASON)).map_err(|error| Problem::field(REASON, error))
}
