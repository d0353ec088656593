//! The members of a JSON body. Each is parsed into its type at once; whatever is wrong is told by name.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use sidekey_core::{code, device::Answer};

use super::{Code, Problem};

/// A JSON object's members. Unknown ones are ignored, `null` is as good as absent.
#[derive(Default)]
pub struct Fields(Map<String, Value>);

impl Fields {
    /// The members of an object.
    pub fn new(members: Map<String, Value>) -> Self {
        Self(members)
    }

    /// A text, if it is there.
    ///
    /// # Errors
    /// It is there and no string.
    pub fn optional_text(&self, name: &str) -> Result<Option<&str>, Problem> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(Problem::field(name, "must be a string")),
        }
    }

    /// A text.
    ///
    /// # Errors
    /// It is missing or no string.
    pub fn text(&self, name: &str) -> Result<&str, Problem> {
        self.optional_text(name)?.ok_or_else(|| Problem::field(name, "is required"))
    }

    /// A text in its type, if it is there.
    ///
    /// # Errors
    /// It is there and not of that type.
    pub fn optional<T, E: ToString>(
        &self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Option<T>, Problem> {
        let text = self.optional_text(name)?;
        text.map(|text| parse(text).map_err(|error| Problem::field(name, &error.to_string()))).transpose()
    }

    /// A text in its type.
    ///
    /// # Errors
    /// It is missing or not of that type.
    pub fn required<T, E: ToString>(
        &self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<T, Problem> {
        self.optional(name, parse)?.ok_or_else(|| Problem::field(name, "is required"))
    }

    /// A list of texts, each in its type, if it is there.
    ///
    /// # Errors
    /// It is there and no list, or one of its items is not of that type; the text says which.
    pub fn optional_list<T, E: ToString>(
        &self,
        name: &str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Result<Option<Vec<T>>, Problem> {
        let items = match self.0.get(name) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::Array(items)) => items,
            Some(_) => return Err(Problem::field(name, "must be a list of strings")),
        };
        let read = |(index, item): (usize, &Value)| {
            let text = item.as_str().ok_or_else(|| Problem::field(name, "must be a list of strings"))?;
            parse(text)
                .map_err(|error| Problem::field(name, &format!("item {} {}", index + 1, error.to_string())))
        };
        items.iter().enumerate().map(read).collect::<Result<_, _>>().map(Some)
    }

    /// A list of objects, each in its type.
    ///
    /// # Errors
    /// It is missing or no list, or one of its items is not of that type; the text says which, and nothing that stands in it.
    pub fn list<T: DeserializeOwned>(&self, name: &str) -> Result<Vec<T>, Problem> {
        let items = match self.0.get(name) {
            None | Some(Value::Null) => return Err(Problem::field(name, "is required")),
            Some(Value::Array(items)) => items,
            Some(_) => return Err(Problem::field(name, "must be a list of objects")),
        };
        let read = |(index, item): (usize, &Value)| {
            let read = item.is_object().then(|| T::deserialize(item).ok()).flatten();
            read.ok_or_else(|| Problem::field(name, &format!("item {} is not of its type", index + 1)))
        };
        items.iter().enumerate().map(read).collect()
    }

    /// Whether the member is there, `null` included.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// A whole number, if it is there.
    ///
    /// # Errors
    /// It is there and negative, or no whole number.
    pub fn optional_number(&self, name: &str) -> Result<Option<u64>, Problem> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(_) => self.number(name).map(Some),
        }
    }

    /// Yes or no, if it is there.
    ///
    /// # Errors
    /// It is there and neither.
    pub fn optional_flag(&self, name: &str) -> Result<Option<bool>, Problem> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(_) => Err(Problem::field(name, "must be true or false")),
        }
    }

    /// A whole number.
    ///
    /// # Errors
    /// It is missing, negative, or no whole number.
    pub fn number(&self, name: &str) -> Result<u64, Problem> {
        let value = self.0.get(name).ok_or_else(|| Problem::field(name, "is required"))?;
        value.as_u64().ok_or_else(|| Problem::field(name, "must be a whole number"))
    }

    /// The answer of an authenticator: `code`, and `next_code` if it is there.
    ///
    /// # Errors
    /// `code` is missing, or one of them is no code.
    pub fn answer(&self) -> Result<Answer, Problem> {
        let answer = self.optional_answer()?;
        answer.ok_or_else(|| Problem::field("code", "is required"))
    }

    /// The same, where no answer is an answer.
    ///
    /// # Errors
    /// One of them is no code.
    pub fn optional_answer(&self) -> Result<Option<Answer>, Problem> {
        let next_code = self.optional("next_code", code::Code::parse)?;
        Ok(self.optional("code", code::Code::parse)?.map(|code| Answer { code, next_code }))
    }

    /// `code`, or the refusal that says that one is needed.
    ///
    /// # Errors
    /// `CODE_REQUIRED`, or it is no code.
    pub fn answer_or_code_required(&self) -> Result<Answer, Problem> {
        self.optional_answer()?
            .ok_or_else(|| Problem::new(Code::CodeRequired).with("errors", json!({ "code": "is required" })))
    }
}
