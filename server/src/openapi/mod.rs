//! The `OpenAPI` 3.1 document, made from the code.
//!
//! - `operation`: how an operation describes itself; each does so in its own file, beside its handler
//! - `problems`: a schema and an example for each error code, from the table of codes itself
//! - `schemas`: the texts that many operations take or give
//! - `shared`: headers, credentials, a parameter, tags
//!
//! Path, method and credentials come from the table of routes, and so does what follows from them: whatever wants a credential
//! may refuse it, whatever takes a body may find it malformed, whatever takes a token from the address's bucket may find none.
//!
//! `cargo xtask openapi` writes what [`text`] gives to `docs/openapi.json`, a test fails where the two differ, and the server
//! serves that file. So nothing here is part of a running server: the program refers to none of it, and the linker leaves it out.
//!
//! The types of answers are those that are sent. Bodies of requests are read member by member (`Fields` of [`crate::http`]), so that
//! each malformed one is told by its name: the types that describe them are never made, and a test asks a server for every member
//! of each.

mod operation;
mod problems;
pub mod schemas;
mod shared;

use utoipa::openapi::{
    ComponentsBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, PathsBuilder, ServerBuilder,
    extensions::Extensions,
};

use crate::routes;
use operation::Placed;
pub(crate) use operation::{Operation, Route, parameter};
pub(crate) use shared::{Tag, text_header, uncached};

const DESCRIPTION: &str = "Paths end in `/`; the same path without it is served too, never redirected. Another method on a path \
    is `METHOD_NOT_ALLOWED` (405, with `Allow`), an unknown path `NOT_FOUND` (404). HEAD is answered wherever GET is. Bodies are \
    JSON objects of at most 16 KiB; unknown members are ignored, and `null` is as good as absent. Errors are \
    `application/problem+json`; programs branch on `code`.\n\ndocs/api.md in the repository tells more.";

/// The document as it is committed: indented JSON with a final newline.
///
/// # Errors
/// It cannot be written as JSON.
pub fn text() -> Result<String, serde_json::Error> {
    let text = serde_json::to_string_pretty(&document())?;
    let lines = text.lines().map(|line| mended(line) + "\n");
    Ok(lines.collect())
}

/// A line of JSON. Where it holds a description, that may come from a comment, which breaks its lines: only an empty line is meant.
/// And utoipa calls `u-int64` what the format registry of the `OpenAPI` Initiative calls `uint64`.
fn mended(line: &str) -> String {
    let text = line.trim_start();
    if text.starts_with(r#""description": ""#) {
        line.replace(r"\n\n", "\u{0}").replace(r"\n", " ").replace('\u{0}', r"\n\n")
    } else if text.starts_with(r#""format": "u-int"#) {
        line.replace("u-int", "uint")
    } else {
        line.to_owned()
    }
}

/// The document.
pub fn document() -> OpenApi {
    let mut components = ComponentsBuilder::new();
    let mut paths = PathsBuilder::new();
    for (route, operation) in routes::described() {
        let Placed { path, item, schemas, refusals } = operation.on(&route);
        paths = paths.path(path, item);
        components = components.schemas_from_iter(schemas);
        for codes in &refusals {
            components = components.response(problems::response_name(codes), problems::response(codes));
        }
    }
    let info = InfoBuilder::new()
        .title("Sidekey")
        .version("1")
        .description(Some(DESCRIPTION))
        .license(Some(
            LicenseBuilder::new().name("MIT OR Apache-2.0").identifier(Some("MIT OR Apache-2.0")).build(),
        ))
        .extensions(Some(Extensions::from_iter([(
            "summary",
            "A TOTP second factor beside any application.",
        )])))
        .build();
    OpenApiBuilder::new()
        .json_schema_dialect(Some("https://spec.openapis.org/oas/3.1/dialect/base"))
        .info(info)
        .servers(Some([ServerBuilder::new().url("/").build()]))
        .tags(Some(Tag::ALL.map(Tag::described)))
        .paths(paths.build())
        .components(Some(shared::components(problems::components(components)).build()))
        .build()
}

#[cfg(test)]
mod tests;
