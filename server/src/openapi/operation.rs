//! How an operation describes itself.

use std::collections::BTreeMap;

use http::{Method, StatusCode};
use serde_json::Value;
use utoipa::{
    ToSchema,
    openapi::{
        Content, ContentBuilder, HttpMethod, Object, PathItem, Ref, RefOr, Required, ResponseBuilder, Schema,
        Type,
        example::ExampleBuilder,
        path::{OperationBuilder, Parameter, ParameterBuilder, ParameterIn},
        request_body::RequestBodyBuilder,
        schema::AnyOfBuilder,
    },
};

use super::{
    problems,
    shared::{self, Tag, credentials, uncached, with_headers},
};
use crate::{http::Code, routes::Access};

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

/// Where an operation is found, and by whom.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) method: Method,
    /// Without its final slash; `{}` is the name of something.
    pub(crate) pattern: &'static str,
    pub(crate) access: Access,
}

/// The description of one operation, but for what its route says.
pub(crate) struct Operation {
    told: OperationBuilder,
    /// What `{}` in the path is.
    named: Option<(&'static str, &'static str)>,
    answers: Vec<(StatusCode, ResponseBuilder)>,
    refusals: Vec<Code>,
    schemas: Schemas,
}

/// Schemas by their names.
pub(super) type Schemas = Vec<(String, RefOr<Schema>)>;

/// An operation on its route.
pub(super) struct Placed {
    pub(super) path: String,
    pub(super) item: PathItem,
    /// What it refers to.
    pub(super) schemas: Schemas,
    /// The codes that it refuses with, those of each status together.
    pub(super) refusals: Vec<Vec<Code>>,
}

/// What bodies look like: one example, or several by name.
pub(crate) enum Examples {
    One(Value),
    Several(Vec<(&'static str, Value)>),
}

impl From<Value> for Examples {
    fn from(value: Value) -> Self {
        Self::One(value)
    }
}

impl<const N: usize> From<[(&'static str, Value); N]> for Examples {
    fn from(values: [(&'static str, Value); N]) -> Self {
        Self::Several(values.into())
    }
}

impl Operation {
    pub(crate) fn new(id: &str, tag: Tag, summary: &str) -> Self {
        let told = OperationBuilder::new().operation_id(Some(id)).tag(tag.name()).summary(Some(summary));
        Self { told, named: None, answers: Vec::new(), refusals: Vec::new(), schemas: Vec::new() }
    }

    /// What its callers should know besides.
    pub(crate) fn telling(self, description: &str) -> Self {
        Self { told: self.told.description(Some(description)), ..self }
    }

    /// What the path names.
    pub(crate) fn of(self, name: &'static str, description: &'static str) -> Self {
        Self { named: Some((name, description)), ..self }
    }

    /// A parameter of its own.
    pub(crate) fn parameter(self, parameter: impl Into<Parameter>) -> Self {
        Self { told: self.told.parameter(parameter), ..self }
    }

    /// The key by which a repeated request is known for one.
    pub(crate) fn takes_idempotency_key(self) -> Self {
        Self { told: self.told.parameter_ref(shared::idempotency_key()), ..self }
    }

    /// A JSON body that must be there.
    pub(crate) fn takes<T: ToSchema>(mut self, examples: impl Into<Examples>) -> Self {
        let schema = self.schema::<T>();
        self.with_body(schema, &[JSON], Required::True, examples)
    }

    /// A JSON body that may be left out.
    pub(crate) fn may_take<T: ToSchema>(mut self, examples: impl Into<Examples>) -> Self {
        let schema = self.schema::<T>();
        self.with_body(schema, &[JSON], Required::False, examples)
    }

    /// A JSON body, or the same as a form.
    pub(crate) fn takes_also_as_form<T: ToSchema>(mut self, examples: impl Into<Examples>) -> Self {
        let schema = self.schema::<T>();
        self.with_body(schema, &[JSON, FORM], Required::True, examples)
    }

    /// A JSON body that must be like the one or the other, and may be like both.
    pub(crate) fn takes_either<A: ToSchema, B: ToSchema>(mut self, examples: impl Into<Examples>) -> Self {
        let schema = self.either::<A, B>();
        self.with_body(schema, &[JSON], Required::True, examples)
    }

    /// The same, or as a form.
    pub(crate) fn takes_either_also_as_form<A: ToSchema, B: ToSchema>(
        mut self,
        examples: impl Into<Examples>,
    ) -> Self {
        let schema = self.either::<A, B>();
        self.with_body(schema, &[JSON, FORM], Required::True, examples)
    }

    /// The same as JSON that may be left out.
    pub(crate) fn may_take_either<A: ToSchema, B: ToSchema>(mut self, examples: impl Into<Examples>) -> Self {
        let schema = self.either::<A, B>();
        self.with_body(schema, &[JSON], Required::False, examples)
    }

    fn either<A: ToSchema, B: ToSchema>(&mut self) -> RefOr<Schema> {
        AnyOfBuilder::new().item(self.schema::<A>()).item(self.schema::<B>()).into()
    }

    fn with_body(
        self,
        schema: RefOr<Schema>,
        types: &[&str],
        required: Required,
        examples: impl Into<Examples>,
    ) -> Self {
        let content = content(schema, examples.into());
        let body =
            types.iter().fold(RequestBodyBuilder::new(), |body, kind| body.content(*kind, content.clone()));
        let body = body.required(Some(required)).build();
        Self { told: self.told.request_body(Some(body)), ..self }
    }

    /// 200 with JSON.
    pub(crate) fn answers<T: ToSchema>(self, description: &str, examples: impl Into<Examples>) -> Self {
        self.answers_with::<T>(StatusCode::OK, description, examples)
    }

    /// JSON that no cache may keep.
    pub(crate) fn answers_with<T: ToSchema>(
        mut self,
        status: StatusCode,
        description: &str,
        examples: impl Into<Examples>,
    ) -> Self {
        let content = content(self.schema::<T>(), examples.into());
        let response = ResponseBuilder::new().description(description).content(JSON, content);
        self.answers_as(status, uncached(response))
    }

    /// An answer of its own kind.
    pub(crate) fn answers_as(mut self, status: StatusCode, response: ResponseBuilder) -> Self {
        self.answers.push((status, response));
        self
    }

    /// Codes that do not already follow from its route.
    pub(crate) fn refuses(mut self, codes: &[Code]) -> Self {
        self.refusals.extend_from_slice(codes);
        self
    }

    /// The content of an answer of its own kind.
    pub(crate) fn schema<T: ToSchema>(&mut self) -> RefOr<Schema> {
        let name = T::name().into_owned();
        let reference = Ref::from_schema_name(&name);
        self.schemas.push((name, T::schema()));
        T::schemas(&mut self.schemas);
        reference.into()
    }

    /// On its route, from which its method, path and credentials come, and the refusals that follow from those.
    pub(super) fn on(self, route: &Route) -> Placed {
        let Self { told: mut operation, named, answers, refusals, schemas } = self;
        let is_counted = route.access.is_counted(&route.method, false);
        operation = operation.securities(Some(credentials(route.access)));
        if let Some((name, description)) = named {
            operation = operation.parameter(parameter(
                ParameterIn::Path,
                name,
                description,
                Object::with_type(Type::String),
            ));
        }
        for (status, response) in answers {
            let headers = ["RateLimit-Policy", "RateLimit"].into_iter().filter(|_| is_counted);
            let response = with_headers(response, headers.chain(["X-Request-Id"]));
            operation = operation.response(status.as_str(), response.build());
        }
        let mut by_status: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
        for code in Code::ALL.into_iter().filter(|code| follows(*code, route) || refusals.contains(code)) {
            by_status.entry(code.status().as_u16()).or_default().push(code);
        }
        for (status, codes) in &by_status {
            let name = problems::response_name(codes);
            operation = operation.response(status.to_string(), Ref::from_response_name(name));
        }
        let item = PathItem::new(method(&route.method), operation);
        Placed {
            path: path(route.pattern, named),
            item,
            schemas,
            refusals: by_status.into_values().collect(),
        }
    }
}

/// Whether whatever stands on such a route may refuse so.
fn follows(code: Code, Route { method, access, .. }: &Route) -> bool {
    let is_proved =
        !matches!(access, Access::Everybody | Access::Visitor | Access::Anonymous | Access::Development);
    match code {
        Code::AuthRequired | Code::Forbidden => is_proved,
        // Once there is a device, a login without a second factor opens nothing.
        Code::SecondFactorRequired => matches!(access, Access::User | Access::Enroller | Access::Proxy),
        Code::RateLimited => access.is_counted(method, false),
        Code::Validation | Code::PayloadTooLarge | Code::UnsupportedMediaType => !method.is_safe(),
        Code::Internal | Code::Unavailable => *access != Access::Everybody,
        _ => false,
    }
}

/// The canonical path: that of the API ends in a slash.
fn path(pattern: &str, named: Option<(&str, &str)>) -> String {
    let end = if pattern.starts_with("/2fa/") { "/" } else { "" };
    let name = named.map_or_else(String::new, |(name, _)| format!("{{{name}}}"));
    format!("{}{end}", pattern.replace("{}", &name))
}

fn method(method: &Method) -> HttpMethod {
    match *method {
        Method::POST => HttpMethod::Post,
        Method::PATCH => HttpMethod::Patch,
        Method::PUT => HttpMethod::Put,
        Method::DELETE => HttpMethod::Delete,
        _ => HttpMethod::Get,
    }
}

/// A parameter in path, query or header.
pub(crate) fn parameter(
    place: ParameterIn,
    name: &str,
    description: &str,
    schema: impl Into<RefOr<Schema>>,
) -> ParameterBuilder {
    let required = if place == ParameterIn::Path { Required::True } else { Required::False };
    ParameterBuilder::new()
        .name(name)
        .parameter_in(place)
        .required(required)
        .description(Some(description))
        .schema(Some(schema))
}

fn content(schema: RefOr<Schema>, examples: Examples) -> Content {
    let content = ContentBuilder::new().schema(Some(schema));
    match examples {
        Examples::One(value) => content.example(Some(value)),
        Examples::Several(values) => content.examples_from_iter(
            values.into_iter().map(|(name, value)| (name, ExampleBuilder::new().value(Some(value)).build())),
        ),
    }
    .build()
}
