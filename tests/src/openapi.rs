//! The operations that the server's own document at `/openapi.json` describes.

use serde_json::Value;

use crate::answer::Answer;
use crate::client::Call;
use crate::server::Server;

/// One of them.
#[derive(Debug)]
pub struct Operation {
    /// Its method.
    pub method: String,
    /// Its path, with `{names}`.
    pub path: String,
    /// What a caller may prove itself with: names of security schemes. Empty where no credential is needed.
    pub credentials: Vec<String>,
    /// Whether it takes a body.
    pub takes_body: bool,
    /// What its body may be like.
    pub bodies: Vec<Body>,
}

/// One of the kinds of objects that a body may be.
#[derive(Debug)]
pub struct Body {
    /// The names of its members.
    pub members: Vec<String>,
    /// Those that must be there.
    pub required: Vec<String>,
}

/// All operations of the document. Where a credential is one way among others, none is needed.
pub async fn operations(server: &Server) -> Vec<Operation> {
    let document = server.get("/openapi.json").await.ok();
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        let methods = item.as_object().expect("an object").iter().filter(|(name, _)| *name != "parameters");
        for (method, operation) in methods {
            found.push(Operation {
                method: method.to_ascii_uppercase(),
                path: path.clone(),
                credentials: credentials(&operation["security"]),
                takes_body: operation.get("requestBody").is_some(),
                bodies: bodies(&document, &operation["requestBody"]["content"]["application/json"]["schema"]),
            });
        }
    }
    found
}

fn credentials(security: &Value) -> Vec<String> {
    let ways = security.as_array().expect("the document says it for each operation");
    let ways: Vec<_> = ways.iter().map(|way| way.as_object().expect("an object")).collect();
    if ways.iter().any(|way| way.is_empty()) {
        return Vec::new();
    }
    ways.iter().flat_map(|way| way.keys().cloned()).collect()
}

/// The objects behind a schema that may be a choice.
fn bodies(document: &Answer, schema: &Value) -> Vec<Body> {
    if let Some(choice) = schema["anyOf"].as_array() {
        return choice.iter().flat_map(|schema| bodies(document, schema)).collect();
    }
    let Some(name) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) else {
        return Vec::new();
    };
    let object = &document["components"]["schemas"][name];
    let members = object["properties"].as_object().expect("a body is an object").keys().cloned().collect();
    let required = object["required"].as_array().into_iter().flatten();
    let required = required.map(|name| name.as_str().expect("a name").to_owned()).collect();
    vec![Body { members, required }]
}

impl Operation {
    /// A call of it without a credential, with an empty object as body where it takes one; `name` fills the path.
    pub fn call(&self, server: &Server, name: impl Fn(&str) -> String) -> Call {
        let filled: Vec<String> = self
            .path
            .split('/')
            .map(|part| match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
                Some(parameter) => name(parameter),
                None => part.to_owned(),
            })
            .collect();
        let call = server.call(self.method.parse().expect("a method"), &filled.join("/"));
        if self.takes_body { call.json(serde_json::json!({})) } else { call }
    }
}
