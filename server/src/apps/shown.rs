//! The settings of an app, as its host application and operators see them.

use serde::Serialize;
use serde_json::Value;
use sidekey_core::{colour::Colour, id::AppId, policy::Enforcement};
use utoipa::{
    ToSchema,
    openapi::{Object, ObjectBuilder, Type, schema::SchemaType},
};

use crate::openapi::schemas;

use super::{
    App, Logo, ReturnUrls,
    settings::{DAY, word},
};

/// All settings of an application.
#[derive(Serialize, ToSchema)]
#[schema(as = App)]
pub struct Shown<'a> {
    /// The colour of buttons on the hosted pages, and in legible shades of their links and edges.
    #[schema(value_type = Option<String>, required, pattern = "^#[0-9a-f]{6}$")]
    accent_color: Option<Colour>,
    #[schema(schema_with = text_colours, required)]
    accent_text_color: Option<Colour>,
    #[schema(value_type = String, pattern = "^[a-z0-9_-]{1,64}$")]
    app_id: &'a AppId,
    #[schema(schema_with = enforcements)]
    enforcement: &'static str,
    /// With `required`: days that a user may go on without a second factor, from the first login that was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 365, nullable = false)]
    grace_days: Option<u64>,
    /// A data URI.
    #[schema(value_type = Option<String>, required)]
    logo: &'a Option<Logo>,
    /// What people read: 1 to 100 characters, not only blanks, no control characters.
    name: &'a str,
    /// Where a session may lead, each compared as a whole. http or https, without a user name or fragment, together at most 2,000
    /// printable ASCII characters.
    #[schema(value_type = Vec<schemas::Url>, max_items = 20)]
    return_urls: &'a ReturnUrls,
}

impl App {
    /// Its settings as the API and `--json` tell them.
    pub fn shown(&self) -> Shown<'_> {
        Shown {
            accent_color: self.accent_color,
            accent_text_color: self.accent_color.map(Colour::text),
            app_id: &self.id,
            enforcement: word(self.enforcement),
            grace_days: match self.enforcement {
                Enforcement::Required { grace_seconds } => Some(grace_seconds / DAY),
                _ => None,
            },
            logo: &self.logo,
            name: &self.name,
            return_urls: &self.return_urls,
        }
    }
}

fn words() -> Vec<Value> {
    let all = [
        Enforcement::Optional,
        Enforcement::Encouraged,
        Enforcement::Required { grace_seconds: 0 },
        Enforcement::AdminsOnly,
    ];
    all.map(|enforcement| word(enforcement).into()).into()
}

fn enforcements() -> Object {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words())).build()
}

/// The same where it may be left out.
pub(crate) fn enforcements_or_null() -> Object {
    let mut words = words();
    words.push(Value::Null);
    ObjectBuilder::new()
        .schema_type(SchemaType::Array(vec![Type::String, Type::Null]))
        .enum_values(Some(words))
        .build()
}

fn text_colours() -> Object {
    ObjectBuilder::new()
        .schema_type(SchemaType::Array(vec![Type::String, Type::Null]))
        .enum_values(Some(["#ffffff".into(), "#000000".into(), Value::Null]))
        .description(Some(
            "The text on them, whichever of the two is read better on that colour; its contrast is at least 4.5 (WCAG 2.2, 1.4.3).",
        ))
        .build()
}
