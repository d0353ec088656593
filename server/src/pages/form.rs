//! What a form says.

use serde_json::{Map, Value};
use sidekey_core::text::{backup_code_from_input, code_from_input};

use crate::http::{Call, Fields, Problem};

/// The fields of a posted form.
pub(crate) struct Form(Vec<(String, String)>);

impl Form {
    /// Reads the body.
    ///
    /// # Errors
    /// It is no form, or too large.
    pub(crate) async fn read(call: &mut Call) -> Result<Self, Problem> {
        Ok(Self(call.form().await?))
    }

    /// A field without outer blanks; empty if it is not there.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.trim()).unwrap_or_default()
    }

    /// A field exactly as it was typed; empty if it is not there. For passwords, whose blanks count.
    pub(crate) fn exact(&self, name: &str) -> &str {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str()).unwrap_or_default()
    }

    /// All fields in their order, as they were typed.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether a box is ticked.
    pub(crate) fn is_ticked(&self, name: &str) -> bool {
        !self.text(name).is_empty()
    }

    /// `code`, `next_code` and `backup_code` as the API takes them: people type digits of their script, blanks and hyphens, and an
    /// empty field is none.
    pub(crate) fn answer(&self) -> Fields {
        self.answer_in("")
    }

    /// The same of fields whose names begin with this.
    pub(crate) fn answer_in(&self, prefix: &str) -> Fields {
        let mut members = Map::new();
        for (name, normal) in [
            ("code", code_from_input as fn(&str) -> String),
            ("next_code", code_from_input),
            ("backup_code", backup_code_from_input),
        ] {
            let text = normal(self.text(&format!("{prefix}{name}")));
            if !text.is_empty() {
                members.insert(name.to_owned(), Value::String(text));
            }
        }
        Fields::new(members)
    }
}
