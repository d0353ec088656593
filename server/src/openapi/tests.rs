use std::collections::BTreeSet;

use serde_json::Value;

use super::*;

const COMMITTED: &str = include_str!("../../../docs/openapi.json");

fn document() -> Value {
    serde_json::from_str(&text().unwrap()).unwrap()
}

/// Every operation by its id.
fn operations(document: &Value) -> Vec<(&str, &Value)> {
    let paths = document["paths"].as_object().unwrap().values();
    let operations = paths.flat_map(|item| item.as_object().unwrap().values());
    operations.map(|operation| (operation["operationId"].as_str().unwrap(), operation)).collect()
}

/// Every `$ref` below a value.
fn references<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get("$ref").and_then(Value::as_str));
            members.values().for_each(|member| references(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

#[test]
fn the_committed_document_is_what_the_code_says() {
    let differs = COMMITTED != text().unwrap();
    assert!(!differs, "docs/openapi.json is not what the code says: `cargo xtask openapi` writes it anew");
}

#[test]
fn breaking_a_line_of_a_comment_breaks_no_text() {
    let told = serde_json::to_value(super::document()).unwrap();
    let written = document();
    assert_eq!(told["info"], written["info"], "an empty line stays");
    let (told, written) = (&told["components"]["schemas"]["Code"], &written["components"]["schemas"]["Code"]);
    let broken = told["description"].as_str().unwrap();
    assert!(broken.contains('\n'), "{broken}");
    assert_eq!(written["description"], broken.replace('\n', " "));
}

#[test]
fn one_name_means_one_schema() {
    let mut all: Vec<_> =
        routes::described().into_iter().flat_map(|(route, operation)| operation.on(&route).schemas).collect();
    all.sort_by(|(one, _), (other, _)| one.cmp(other));
    for pair in all.windows(2) {
        let [(name, one), (next, other)] = pair else { unreachable!() };
        let same = serde_json::to_value(one).unwrap() == serde_json::to_value(other).unwrap();
        assert!(name != next || same, "{name}");
    }
}

#[test]
fn whatever_is_referred_to_is_there_and_nothing_is_there_for_nobody() {
    let document = document();
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    for reference in &found {
        assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
    }
    for (kind, components) in document["components"].as_object().unwrap() {
        for name in components.as_object().unwrap().keys() {
            let reference = format!("#/components/{kind}/{name}");
            // Those of the description, which no operation has for itself.
            let is_general = ["NotFound", "MethodNotAllowed"].contains(&name.as_str());
            let is_used = found.contains(reference.as_str()) || kind == "securitySchemes" || is_general;
            assert!(is_used, "{reference}");
        }
    }
}

#[test]
fn every_body_and_every_answer_has_an_example() {
    let document = document();
    for (id, operation) in operations(&document) {
        let answers = operation["responses"].as_object().unwrap().values();
        let bodies = answers.chain(operation.get("requestBody"));
        for content in bodies.filter_map(|body| body["content"].as_object()).flat_map(|kinds| kinds.values())
        {
            assert!(content.get("example").or(content.get("examples")).is_some(), "{id}: {content}");
        }
    }
    for (name, response) in document["components"]["responses"].as_object().unwrap() {
        assert!(response["content"]["application/problem+json"]["examples"].is_object(), "{name}");
    }
}

#[test]
fn every_operation_and_every_parameter_is_told_in_words() {
    let document = document();
    for (id, operation) in operations(&document) {
        assert!(operation["summary"].is_string() && operation["tags"][0].is_string(), "{id}");
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let common = parameter["$ref"].as_str().and_then(|path| document.pointer(&path[1..]));
            let parameter = common.unwrap_or(parameter);
            assert!(parameter["description"].is_string(), "{id}: {parameter}");
        }
    }
}
