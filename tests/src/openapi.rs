//! The operations that the server's own document at `/openapi.json` describes.

use serde_json::Value;

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
