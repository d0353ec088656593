//! What JavaScript gets. The names are those of `wasm/npm/index.d.ts`.

use sidekey_core::{
    compat::Warning,
    key_uri::KeyUri,
    migration::{Entry, Migration},
    preview::Preview,
    qr::{QUIET_ZONE, QrMatrix},
    totp::TotpParams,
};

use crate::json::{Object, array};

pub(crate) fn preview(preview: &Preview, params: TotpParams) -> String {
    Object::new()
        .text("code", &preview.code)
        .text("display", &preview.display)
        .number("counter", preview.step.number())
        .number("validFrom", preview.valid_from)
        .number("validUntil", preview.valid_until)
        .number("remainingMs", preview.remaining)
        .number("period", params.period.seconds())
        .end()
}

/// No issuer is an empty one: the type of a configuration has no other word for it.
pub(crate) fn key_uri(uri: &KeyUri) -> String {
    let params = uri.params();
    Object::new()
        .text("secret", &uri.secret().to_base32())
        .text("issuer", uri.issuer().unwrap_or_default())
        .text("account", uri.account())
        .text("algorithm", params.algorithm.name())
        .number("digits", params.digits.count())
        .number("period", params.period.seconds())
        .end()
}

pub(crate) fn migration(migration: &Migration) -> String {
    let batch = Object::new()
        .number("id", migration.batch.id)
        .number("index", migration.batch.index)
        .number("size", migration.batch.size)
        .end();
    Object::new()
        .number("version", migration.version)
        .json("batch", &batch)
        .json("entries", &array(migration.entries.iter().map(entry)))
        .end()
}

fn entry(entry: &Entry) -> String {
    match &entry.outcome {
        Ok(uri) => Object::new().json("ok", "true").json("config", &key_uri(uri)).end(),
        Err(refusal) => Object::new()
            .json("ok", "false")
            .text("issuer", &entry.issuer)
            .text("name", &entry.name)
            .text("code", refusal.code())
            .text("message", &refusal.to_string())
            .end(),
    }
}

pub(crate) fn warnings(warnings: &[Warning]) -> String {
    let app = |name: &&str| format!("\"{name}\"");
    array(warnings.iter().map(|warning| {
        Object::new()
            .text("code", warning.code())
            .text("field", warning.field())
            .json("apps", &array(warning.apps().iter().map(app)))
            .text("message", &warning.to_string())
            .end()
    }))
}

/// `side`: of the square with its quiet zone, in modules.
pub(crate) fn drawing(matrix: &QrMatrix) -> String {
    Object::new().number("side", matrix.size() + 2 * QUIET_ZONE).text("path", &matrix.svg_path()).end()
}
