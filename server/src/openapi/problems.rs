//! Every error code of the table in [`crate::http`], with an example that the code itself makes.

use serde_json::{Value, json};
use utoipa::openapi::{
    AllOfBuilder, ComponentsBuilder, ContentBuilder, Discriminator, Object, ObjectBuilder, OneOfBuilder, Ref,
    RefOr, Response, ResponseBuilder, Schema, SchemaFormat, Type, example::ExampleBuilder,
    schema::AdditionalProperties,
};

use super::shared::with_headers;
use crate::http::{Code, Problem};

/// The stem of a code's names in the document, and its meaning.
const fn words(code: Code) -> (&'static str, &'static str) {
    match code {
        Code::Validation => ("Validation", "The request is malformed."),
        Code::InvalidCode => ("InvalidCode", "The code is wrong or has been used."),
        Code::SessionExpired => (
            "SessionExpired",
            "The session has lived its 300 s, or the account is not what it was when the session was opened.",
        ),
        Code::CodeRequired => ("CodeRequired", "A code is required for this."),
        Code::NextCodeRequired => (
            "NextCodeRequired",
            "After more than 20 failures within 30 days, an answer needs the codes of two consecutive steps, `code` and \
             `next_code`. Nothing was judged or counted.",
        ),
        Code::NotEnabled => ("TwoFactorNotEnabled", "The account has no active device."),
        Code::SetupExpired => ("SetupExpired", "The pending device has lived its 600 s."),
        Code::AccountLocked => (
            "AccountLocked",
            "TOTP is locked after 100 failures in a row, until the app unlocks the user or a backup code is used. Nothing was \
             judged or counted.",
        ),
        Code::AuthRequired => ("AuthRequired", "No credentials, or none that count."),
        Code::SecondFactorRequired => (
            "TwoFactorRequired",
            "A second factor is needed, at most `max_age` seconds old. Open a step-up session.",
        ),
        Code::Forbidden => ("Forbidden", "The credentials are valid and of a kind that does not open this."),
        Code::MaxAttemptsExceeded => (
            "MaxAttemptsExceeded",
            "The session has had its five wrong answers; a right one does not count any more.",
        ),
        Code::SessionAlreadyVerified => (
            "SessionAlreadyVerified",
            "The session was answered rightly; it never yields a second pair of tokens.",
        ),
        Code::SessionNotFound => ("SessionNotFound", "Unknown, foreign or malformed session."),
        Code::DeviceNotFound => ("DeviceNotFound", "Unknown, foreign or malformed device."),
        Code::NotFound => ("NotFound", "There is nothing here."),
        Code::MethodNotAllowed => {
            ("MethodNotAllowed", "The path exists under other methods, which the header `Allow` names.")
        }
        Code::PayloadTooLarge => ("PayloadTooLarge", "The body is larger than 16 KiB."),
        Code::UnsupportedMediaType => {
            ("UnsupportedMediaType", "The body is not of a content type that this operation takes.")
        }
        Code::AccountThrottled => {
            ("AccountThrottled", "The account waits after wrong codes. Nothing was judged or counted.")
        }
        Code::RateLimited => (
            "RateLimited",
            "Too many requests from this address: load protection of the endpoints that need no credentials. Nothing was looked \
             up, judged or counted.",
        ),
        Code::Internal => {
            ("Internal", "Something went wrong; the log of the server tells what, under the request id.")
        }
        Code::Unavailable => (
            "Unavailable",
            "The store does not take changes right now, or too many requests wait for a backup code to be hashed.",
        ),
    }
}

/// A refusal with this code, as operations make it.
fn example(code: Code) -> Problem {
    match code {
        Code::Validation => Problem::field("session_id", "is required"),
        Code::InvalidCode => Problem::new(code).with("attempts_remaining", 4),
        Code::CodeRequired => Problem::new(code).with("errors", json!({ "code": "is required" })),
        Code::AuthRequired => Problem::credentials_missing(),
        Code::SecondFactorRequired => Problem::second_factor_required(None),
        Code::MethodNotAllowed => Problem::new(code).with_header(http::header::ALLOW, "GET, HEAD"),
        Code::AccountThrottled => Problem::new(code).retry_after(30),
        Code::RateLimited => Problem::new(code).retry_after(1),
        Code::Unavailable => Problem::new(code).retry_after(5),
        _ => Problem::new(code),
    }
}

/// The member that problems with this code have for themselves, and its name where it is always there.
fn members(code: Code) -> (Option<(&'static str, Object)>, Option<&'static str>) {
    let wait = || integer("Seconds to wait, as in the header.").minimum(Some(1)).build();
    match code {
        Code::Validation => {
            let errors = texts("What is wrong, by field; `body` for the body as a whole.");
            (Some(("errors", errors)), Some("errors"))
        }
        Code::CodeRequired => (Some(("errors", texts("What is missing."))), None),
        Code::InvalidCode => {
            let left = "Wrong answers that the session still takes; only where a session is answered.";
            let left = integer(left).minimum(Some(1)).maximum(Some(4)).build();
            (Some(("attempts_remaining", left)), None)
        }
        Code::SessionExpired | Code::MaxAttemptsExceeded | Code::SessionAlreadyVerified => {
            (Some(("return_url", uri("That of the session, if it has one."))), None)
        }
        Code::SecondFactorRequired => {
            let age = integer("How old the second factor may be, in seconds.").build();
            (Some(("max_age", age)), Some("max_age"))
        }
        Code::AccountThrottled | Code::RateLimited => (Some(("retry_after", wait())), Some("retry_after")),
        Code::Unavailable => {
            let wait = integer("Seconds after which to try again, as in the header.").build();
            (Some(("retry_after", wait)), None)
        }
        _ => (None, None),
    }
}

/// The components with what all problems have in common, each of them, and the responses that no operation has for itself.
pub(super) fn components(components: ComponentsBuilder) -> ComponentsBuilder {
    let components =
        Code::ALL.into_iter().fold(components.schema("Problem", common()), |components, code| {
            components.schema(schema_name(code), schema(code))
        });
    let anywhere = [Code::NotFound, Code::MethodNotAllowed];
    anywhere
        .into_iter()
        .fold(components, |components, code| components.response(response_name(&[code]), response(&[code])))
}

/// The name of the response that tells of these codes, which have one status.
pub(super) fn response_name(codes: &[Code]) -> String {
    codes.iter().map(|code| words(*code).0).collect::<Vec<_>>().join("Or")
}

/// The response that tells of these codes, which have one status.
pub(super) fn response(codes: &[Code]) -> Response {
    let names: Vec<_> = codes.iter().map(|code| format!("`{}`", code.name())).collect();
    let title = codes.first().and_then(|code| code.status().canonical_reason()).unwrap_or_default();
    let replies: Vec<_> = codes.iter().map(|code| example(*code).into_reply().into_response()).collect();
    let content = ContentBuilder::new().schema(Some(one_of(codes))).examples_from_iter(
        codes.iter().zip(&replies).map(|(code, reply)| {
            let body: Value = serde_json::from_slice(reply.body()).unwrap_or_default();
            (code.name(), ExampleBuilder::new().value(Some(body)).build())
        }),
    );
    let mut headers = vec!["X-Request-Id"];
    for name in ["Retry-After", "WWW-Authenticate", "Allow"] {
        if replies.iter().any(|reply| reply.headers().contains_key(name)) {
            headers.push(name);
        }
    }
    if codes.contains(&Code::RateLimited) {
        headers.extend(["RateLimit-Policy", "RateLimit"]);
    }
    let response = ResponseBuilder::new()
        .description(format!("{title}: {}.", names.join(", ")))
        .content("application/problem+json", content.build());
    with_headers(response, headers).build()
}

fn one_of(codes: &[Code]) -> RefOr<Schema> {
    let named = |code: &Code| Ref::from_schema_name(schema_name(*code));
    if let [code] = codes {
        return named(code).into();
    }
    let mapping = codes.iter().map(|code| (code.name(), named(code).ref_location));
    codes
        .iter()
        .fold(OneOfBuilder::new(), |one_of, code| one_of.item(named(code)))
        .discriminator(Some(Discriminator::with_mapping("code", mapping)))
        .into()
}

fn schema_name(code: Code) -> String {
    format!("{}Problem", words(code).0)
}

fn schema(code: Code) -> Schema {
    let ((_, meaning), (member, required)) = (words(code), members(code));
    let own = ObjectBuilder::new()
        .property(
            "status",
            ObjectBuilder::new().schema_type(Type::Integer).enum_values(Some([code.status().as_u16()])),
        )
        .property("code", ObjectBuilder::new().schema_type(Type::String).enum_values(Some([code.name()])));
    let own = member.into_iter().fold(own, |own, (name, member)| own.property(name, member));
    let own = required.into_iter().fold(own, ObjectBuilder::required);
    AllOfBuilder::new()
        .item(Ref::from_schema_name("Problem"))
        .item(own)
        .description(Some(meaning))
        .build()
        .into()
}

/// RFC 9457, with `code` and `error`.
fn common() -> Object {
    let kind = ObjectBuilder::new()
        .schema_type(Type::String)
        .format(Some(SchemaFormat::Custom("uri".to_owned())))
        .description(Some("A URN of the code."))
        .examples(["urn:sidekey:problem:invalid-code"]);
    let code = ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some("What programs branch on."))
        .enum_values(Some(Code::ALL.map(Code::name)));
    let members = [
        ("type", kind),
        ("title", string("The reason phrase of the status.")),
        ("status", integer("The HTTP status.").minimum(Some(400)).maximum(Some(599))),
        ("detail", string("A sentence for people. It never repeats what was sent.")),
        ("code", code),
        ("error", string("The same text as `detail`.")),
    ];
    members
        .into_iter()
        .fold(
            ObjectBuilder::new().description(Some("Problem details (RFC 9457).")),
            |object, (name, member)| object.property(name, member).required(name),
        )
        .build()
}

fn string(description: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).description(Some(description))
}

fn integer(description: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Integer).description(Some(description))
}

fn uri(description: &str) -> Object {
    string(description).format(Some(SchemaFormat::Custom("uri".to_owned()))).build()
}

/// A text for each of several names.
fn texts(description: &str) -> Object {
    let text = RefOr::T(Schema::Object(Object::with_type(Type::String)));
    ObjectBuilder::new()
        .description(Some(description))
        .additional_properties(Some(AdditionalProperties::RefOr(text)))
        .build()
}
