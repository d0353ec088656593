//! The sentence for every error: what happened, and what to do.

use askama::Template;
use http::StatusCode;

use super::{
    Form, Frame, Visit,
    locale::Text,
    view::{self, Message, Shown},
};
use crate::{
    context::Context,
    http::{Code, Problem},
};

/// What a form asked for when it was refused: the same error of the API reads differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// A code of the app.
    Code,
    /// A backup code.
    BackupCode,
    /// A device's name.
    Name,
    /// Something else.
    Other,
}

/// A refusal as a form shows it.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    /// What was asked for.
    pub(super) asked: Asked,
    /// Which of several forms it was, such as `remove` and a device's id.
    pub(super) form: String,
    /// What happened and what to do.
    pub(super) sentence: String,
    /// Seconds to wait, where that helps.
    pub(super) wait: Option<u64>,
    /// Whether two codes are needed.
    pub(super) needs_next_code: bool,
    /// Whether codes of the app are of no use until somebody unlocks them.
    pub(super) is_locked: bool,
    /// Why the form was refused; `None` if it was not posted yet.
    problem: Option<Problem>,
}

impl Asked {
    /// What a form with a field for each was filled in with.
    pub(super) fn code_or_backup_code(form: &Form) -> Self {
        let is_backup_code = form.text("code").is_empty() && !form.text("backup_code").is_empty();
        if is_backup_code { Self::BackupCode } else { Self::Code }
    }
}

/// Whether the form itself shows the refusal: something else may be typed into it.
pub(crate) fn is_of_a_form(code: Code) -> bool {
    matches!(
        code,
        Code::Validation
            | Code::InvalidCode
            | Code::CodeRequired
            | Code::NextCodeRequired
            | Code::AccountThrottled
            | Code::AccountLocked
    )
}

impl Failure {
    /// The refusal of a form.
    pub(super) fn of(text: &Text, form: impl Into<String>, asked: Asked, problem: &Problem) -> Self {
        let mut sentence = sentence(text, asked, problem);
        if let Some(left) = problem.number("attempts_remaining") {
            sentence = format!("{sentence} {}", text.with("error.attempts", "count", left));
        }
        Self {
            asked,
            form: form.into(),
            sentence,
            wait: problem.number("retry_after"),
            needs_next_code: problem.code() == Code::NextCodeRequired,
            is_locked: problem.code() == Code::AccountLocked,
            problem: Some(problem.clone()),
        }
    }

    /// The same, said before anything was typed: the answer itself is no refusal.
    pub(super) fn told_beforehand(self) -> Self {
        Self { problem: None, ..self }
    }
}

/// What was refused on a page, if anything was: templates ask field by field.
#[derive(Clone, Debug, Default)]
pub(super) struct Failed(pub(super) Option<Failure>);

impl Failed {
    /// The refusal of a code of the app.
    pub(super) fn of_code(&self) -> Option<&Failure> {
        self.of(Asked::Code)
    }

    /// The refusal of a backup code.
    pub(super) fn of_backup_code(&self) -> Option<&Failure> {
        self.of(Asked::BackupCode)
    }

    /// The refusal of what no field was for.
    pub(super) fn of_other(&self) -> Option<&Failure> {
        self.of(Asked::Other)
    }

    /// The refusal of a name.
    pub(super) fn of_name(&self) -> Option<&Failure> {
        self.of(Asked::Name)
    }

    fn of(&self, asked: Asked) -> Option<&Failure> {
        self.0.as_ref().filter(|failure| failure.asked == asked)
    }

    /// The refusals of one of several forms.
    pub(super) fn at(&self, form: &str) -> Self {
        Self(self.0.clone().filter(|failure| failure.form == form))
    }

    /// The same for a form of a device.
    pub(super) fn at_device(&self, form: &str, device: &str) -> Self {
        self.at(&format!("{form} {device}"))
    }

    /// Whatever it is of.
    pub(super) fn any(&self) -> Option<&Failure> {
        self.0.as_ref()
    }

    /// Whether codes of the app are locked.
    pub(super) fn is_locked(&self) -> bool {
        self.0.as_ref().is_some_and(|failure| failure.is_locked)
    }

    /// Whether two codes were asked for.
    pub(super) fn needs_next_code(&self) -> bool {
        self.0.as_ref().is_some_and(|failure| failure.needs_next_code)
    }

    /// A page that shows it, with its status and headers.
    pub(super) fn page(&self, template: &impl Template) -> Shown {
        match self.0.as_ref().and_then(|failure| failure.problem.as_ref()) {
            Some(problem) => view::refusal(problem, template),
            None => view::page(StatusCode::OK, template),
        }
    }
}

/// The sentence for a problem.
pub(super) fn sentence(text: &Text, asked: Asked, problem: &Problem) -> String {
    let name = format!("error.{}", problem.code().name());
    let special = match asked {
        Asked::Code => format!("{name}.code"),
        Asked::BackupCode => format!("{name}.backup"),
        Asked::Name => format!("{name}.name"),
        Asked::Other => name.clone(),
    };
    let name = if super::locale::english().has(&special) { special } else { name };
    text.with(&name, "seconds", problem.number("retry_after").unwrap_or_default())
}

/// What the refusal of a code is in English, for the pages of operators.
pub(crate) fn of_code_in_english(issuer: &str, is_backup_code: bool, problem: &Problem) -> String {
    let (app, issuer) = (issuer.to_owned(), issuer.to_owned());
    let text = Text { locale: super::locale::english(), app, issuer };
    let asked = if is_backup_code { Asked::BackupCode } else { Asked::Code };
    Failure::of(&text, "", asked, problem).sentence
}

/// A page for a refusal that no form can show.
pub(super) fn page(context: &Context, visit: &Visit, problem: &Problem) -> Shown {
    let frame = Frame::plain(context, visit);
    let lead = match problem.code() {
        // On a page, what is forbidden is a form that is too old or not ours.
        Code::Forbidden => frame.t("error.form"),
        _ => sentence(&frame.text, Asked::Other, problem),
    };
    let title = match problem.code() {
        Code::NotFound => frame.t("failed.nothing"),
        _ => frame.t("failed.title"),
    };
    view::refusal(problem, &Message { title, lead, onward: None, other: None, frame })
}
