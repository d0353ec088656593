//! Writing JSON (RFC 8259): as much as the results here need.

use core::fmt::{Display, Write};

/// An object, member by member.
pub(crate) struct Object(String);

impl Object {
    pub(crate) fn new() -> Self {
        Self(String::from("{"))
    }

    pub(crate) fn text(mut self, name: &str, value: &str) -> Self {
        self.name(name);
        self.0.push('"');
        for character in value.chars() {
            match character {
                '"' | '\\' => self.0.extend(['\\', character]),
                // Writing to a `String` cannot fail.
                '\0'..' ' => drop(write!(self.0, "\\u{:04x}", u32::from(character))),
                _ => self.0.push(character),
            }
        }
        self.0.push('"');
        self
    }

    pub(crate) fn number(self, name: &str, value: impl Display) -> Self {
        self.json(name, &value.to_string())
    }

    /// A value that is JSON already.
    pub(crate) fn json(mut self, name: &str, value: &str) -> Self {
        self.name(name);
        self.0.push_str(value);
        self
    }

    pub(crate) fn end(mut self) -> String {
        self.0.push('}');
        self.0
    }

    /// Names are written as they are: none here needs escaping.
    fn name(&mut self, name: &str) {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        self.0.push('"');
        self.0.push_str(name);
        self.0.push_str("\":");
    }
}

/// An array of values that are JSON already.
pub(crate) fn array(values: impl Iterator<Item = String>) -> String {
    let mut array = String::from("[");
    for value in values {
        if array.len() > 1 {
            array.push(',');
        }
        array.push_str(&value);
    }
    array.push(']');
    array
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_separated_and_texts_escaped() {
        assert_eq!(Object::new().end(), "{}");
        let object = Object::new().text("a", "\"\\\n\u{1f}é/").number("b", -1).json("c", "[]").end();
        assert_eq!(object, r#"{"a":"\"\\\u000a\u001fé/","b":-1,"c":[]}"#);
        assert_eq!(array(["1", "{}"].map(String::from).into_iter()), "[1,{}]");
        assert_eq!(array(core::iter::empty()), "[]");
    }
}
