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

/// As numbers, because a page that counts down asks often, and writing and reading JSON would take most of the time: the code without
/// its leading zeros, its digits, those of its first group, the time step, from when and until when it is valid, the time that is left, the
/// period in seconds.
#[expect(
    clippy::cast_precision_loss,
    reason = "times are at most those of ECMAScript, which a number holds exactly"
)]
pub(crate) fn preview(preview: &Preview, params: TotpParams) -> Vec<f64> {
    let first_group = preview.display.find(' ').unwrap_or(preview.display.len());
    vec![
        // Digits are a number.
        f64::from(preview.code.parse::<u32>().unwrap_or_default()),
        f64::from(params.digits.count()),
        first_group as f64,
        preview.step.number() as f64,
        preview.valid_from as f64,
        preview.valid_until as f64,
        preview.remaining as f64,
        params.period.seconds() as f64,
    ]
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
