//! What many operations share: headers, credentials, tags.

use utoipa::openapi::{
    ComponentsBuilder, Header, HeaderBuilder, Object, ObjectBuilder, Ref, ResponseBuilder, Type,
    path::{Parameter, ParameterIn},
    security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
    tag::{Tag as Described, TagBuilder},
};

use super::operation::parameter;
use crate::routes::Access;

/// What an operation is about.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Tag {
    Sessions,
    Enrolment,
    Devices,
    BackupCodes,
    Activity,
    Tokens,
    Users,
    Application,
    ForwardAuth,
    Server,
}

impl Tag {
    /// In the order in which readers want them.
    pub(super) const ALL: [Self; 10] = [
        Self::Sessions,
        Self::Enrolment,
        Self::Devices,
        Self::BackupCodes,
        Self::Activity,
        Self::Tokens,
        Self::Users,
        Self::Application,
        Self::ForwardAuth,
        Self::Server,
    ];

    const fn parts(self) -> (&'static str, &'static str) {
        match self {
            Self::Sessions => ("Sessions", "Open one, answer it, ask what became of it."),
            Self::Enrolment => ("Enrolment", "A device, from its secret to its first code."),
            Self::Devices => ("Devices", "The user's own devices."),
            Self::BackupCodes => ("Backup codes", "Ten codes that each work once."),
            Self::Activity => ("Activity", "What has happened to an account."),
            Self::Tokens => ("Tokens", "Refresh, revoke, introspect."),
            Self::Users => ("Users", "The host application about its users."),
            Self::Application => ("Application", "The settings of the host application."),
            Self::ForwardAuth => ("Forward-auth", "A proxy asks about requests."),
            Self::Server => ("Server", "Keys, description, health, figures."),
        }
    }

    pub(super) const fn name(self) -> &'static str {
        self.parts().0
    }

    pub(super) fn described(self) -> Described {
        let (name, description) = self.parts();
        TagBuilder::new().name(name).description(Some(description)).build()
    }
}

/// By what a caller may prove who they are.
pub(super) fn credentials(access: Access) -> Vec<SecurityRequirement> {
    let by = |name: &str| SecurityRequirement::new(name, Vec::<String>::new());
    match access {
        Access::Everybody | Access::Visitor | Access::Anonymous | Access::Development => vec![],
        Access::App => vec![by("api_key")],
        Access::User => vec![by("access_token")],
        Access::AppOrUser => vec![by("api_key"), by("access_token")],
        Access::Enroller => vec![by("access_token"), by("enrollment_token")],
        // The proxy itself proves nothing: the credential is that of the request it holds back, which may have none.
        Access::Proxy => vec![by("access_token"), by("page_login"), SecurityRequirement::default()],
    }
}

/// A response with headers that are described once for all.
pub(super) fn with_headers<'a>(
    response: ResponseBuilder,
    names: impl IntoIterator<Item = &'a str>,
) -> ResponseBuilder {
    names.into_iter().fold(response, |response, name| {
        response.header_ref(name, Ref::new(format!("#/components/headers/{name}")))
    })
}

/// A response that no cache may keep.
pub(crate) fn uncached(response: ResponseBuilder) -> ResponseBuilder {
    with_headers(response, ["Cache-Control"])
}

/// A header whose value is a text.
pub(crate) fn text_header(description: &str) -> HeaderBuilder {
    HeaderBuilder::new().schema(Some(Object::with_type(Type::String))).description(Some(description))
}

/// The components with headers, credentials and the common parameter.
pub(super) fn components(components: ComponentsBuilder) -> ComponentsBuilder {
    let components =
        headers().into_iter().fold(components, |components, (name, header)| components.header(name, header));
    components
        .parameter(IDEMPOTENCY_KEY, described_key())
        .security_scheme(
            "api_key",
            bearer(None, "An API key of a host application: `sidekey_` and 43 characters."),
        )
        .security_scheme(
            "access_token",
            bearer(Some("JWT"), "An access token of a user, which this server issued."),
        )
        .security_scheme(
            "enrollment_token",
            bearer(None, "An enrolment token: `enroll_` and 43 characters; opens only setup and confirm."),
        )
        .security_scheme(
            "page_login",
            SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::with_description(
                "__Host-sidekey-login",
                "The login of the hosted pages, which set it.",
            ))),
        )
}

/// The common parameter.
pub(super) fn idempotency_key() -> Ref {
    Ref::new(format!("#/components/parameters/{IDEMPOTENCY_KEY}"))
}

const IDEMPOTENCY_KEY: &str = "IdempotencyKey";

fn described_key() -> Parameter {
    let key = ObjectBuilder::new().schema_type(Type::String).pattern(Some("^[!-~]{1,255}$"));
    let description = "A random value of the client, new for each request and the same for its repetition, so that a request whose \
                       answer was lost does nothing twice. One of another request, or whose answer is not given any more, is \
                       `VALIDATION_ERROR`.";
    parameter(ParameterIn::Header, "Idempotency-Key", description, key).build()
}

fn bearer(format: Option<&str>, description: &str) -> SecurityScheme {
    let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(description));
    SecurityScheme::Http(match format {
        Some(format) => scheme.bearer_format(format).build(),
        None => scheme.build(),
    })
}

fn headers() -> [(&'static str, Header); 7] {
    let request_id = ObjectBuilder::new().schema_type(Type::String).pattern(Some("^[0-9a-f]{24}$")).build();
    [
        (
            "X-Request-Id",
            text_header("Names the request; the server's log lines have it too.")
                .schema(Some(request_id))
                .build(),
        ),
        ("Cache-Control", text_header("`no-store`").build()),
        (
            "Retry-After",
            HeaderBuilder::new()
                .schema(Some(Object::with_type(Type::Integer)))
                .description(Some("Seconds."))
                .build(),
        ),
        (
            "RateLimit-Policy",
            text_header(
                "On every answer that took a token from the address's bucket: `q`, what a full one holds, and `w`, the seconds \
                 in which an empty one fills.",
            )
            .example(Some("\"address\";q=1000;w=10".into()))
            .build(),
        ),
        (
            "RateLimit",
            text_header(
                "On the same answers: `r`, what is left, and `t`, the seconds until the bucket is full.",
            )
            .example(Some("\"address\";r=999;t=1".into()))
            .build(),
        ),
        (
            "WWW-Authenticate",
            text_header("RFC 6750 §3; for `2FA_REQUIRED` RFC 9470 §3, with `max_age` and `acr_values`.")
                .build(),
        ),
        ("Allow", text_header("The methods of this path.").build()),
    ]
}
