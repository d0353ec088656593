//! JSON whose texts are wiped when they are dropped: what other products export holds secrets anywhere.

use core::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use zeroize::Zeroizing;

/// A JSON value. Never shown: neither `Debug` nor an error tells what it holds. Nesting is bounded by `serde_json`, at 128.
pub(crate) enum Json {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number. What does not fit into 64 bits, or has a fraction, is [`Json::Other`].
    Int(i64),
    /// Any other number.
    Other,
    /// A text.
    Text(Zeroizing<String>),
    /// An array.
    List(Vec<Json>),
    /// An object, in the file's order.
    Map(Vec<(String, Json)>),
}

impl Json {
    /// Reads one value.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    /// The member of this name, the first if there are several; `None` too where it is `null`.
    pub(crate) fn get(&self, name: &str) -> Option<&Self> {
        let Self::Map(members) = self else { return None };
        let (_, value) = members.iter().find(|(key, _)| key == name)?;
        (!matches!(value, Self::Null)).then_some(value)
    }

    /// The text.
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The elements.
    pub(crate) fn list(&self) -> Option<&[Self]> {
        match self {
            Self::List(list) => Some(list),
            _ => None,
        }
    }

    /// The whole number, also where it is written as text.
    pub(crate) fn int(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            Self::Text(text) => text.trim().parse().ok(),
            _ => None,
        }
    }

    /// What is meant: a member may hold JSON as text, as columns of type `text` do.
    pub(crate) fn unfolded(&self) -> Option<Unfolded<'_>> {
        match self {
            Self::Text(text) => Self::parse(text.as_bytes()).map(Unfolded::Own),
            Self::Map(_) | Self::List(_) => Some(Unfolded::There(self)),
            _ => None,
        }
    }
}

/// A value that stands where it was looked for, or was read out of a text there.
pub(crate) enum Unfolded<'a> {
    /// It stands there.
    There(&'a Json),
    /// It was read out of a text.
    Own(Json),
}

impl core::ops::Deref for Unfolded<'_> {
    type Target = Json;

    fn deref(&self) -> &Json {
        match self {
            Self::There(json) => json,
            Self::Own(json) => json,
        }
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Json(redacted)")
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Values)
    }
}

struct Values;

impl<'de> Visitor<'de> for Values {
    type Value = Json;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Int(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(i64::try_from(value).map_or(Json::Other, Json::Int))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Text(Zeroizing::new(value.to_owned())))
    }

    fn visit_string<E>(self, value: String) -> Result<Json, E> {
        Ok(Json::Text(Zeroizing::new(value)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Json, A::Error> {
        let mut list = Vec::new();
        while let Some(value) = access.next_element()? {
            list.push(value);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Json, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = access.next_entry()? {
            members.push(member);
        }
        Ok(Json::Map(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_and_never_shown() {
        let json = Json::parse(
            br#"{"a": "secret", "b": [1, -2, 1e300, true, null], "c": null, "d": "{\"e\": \"7\"}"}"#,
        )
        .unwrap();
        assert_eq!(json.get("a").and_then(Json::text), Some("secret"));
        assert_eq!(json.get("b").and_then(Json::list).map(<[Json]>::len), Some(5));
        assert!(json.get("c").is_none() && json.get("x").is_none());
        let inner = json.get("d").and_then(Json::unfolded).unwrap();
        assert_eq!(inner.get("e").and_then(Json::int), Some(7));
        assert_eq!(format!("{json:?}"), "Json(redacted)");
    }

    #[test]
    fn what_is_nested_too_deeply_or_is_no_json_is_refused() {
        for text in ["", "{", "[1,]", &"[".repeat(100_000), "{\"a\":1} {\"b\":2}", "nul"] {
            assert!(Json::parse(text.as_bytes()).is_none());
        }
        assert!(Json::parse(format!("{}{}", "[".repeat(100), "]".repeat(100)).as_bytes()).is_some());
    }
}
