//! The vectors in `tests/vectors/`, which the browser module's tests read too: what is right natively is right there.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a broken vector file has to fail"
)]

use serde_json::Value;
use sidekey_core::{
    code::Code,
    compat,
    config::Config,
    key_uri::{KeyUri, KeyUriError, Scheme, algorithm_named},
    migration::{Entry, Migration, MigrationError, Refusal},
    qr::QrMatrix,
    secret::Secret,
    time::{Step, UnixTime},
    totp::{Digits, Period, TotpParams, code_at, matching_step},
};

const RFC_4226: &str = include_str!("../../tests/vectors/rfc4226.json");
const RFC_6238: &str = include_str!("../../tests/vectors/rfc6238.json");
const KEY_URI: &str = include_str!("../../tests/vectors/key_uri.json");
const MIGRATION: &str = include_str!("../../tests/vectors/migration.json");
const COMPAT: &str = include_str!("../../tests/vectors/compat.json");
const QR: &str = include_str!("../../tests/vectors/qr.json");

fn vectors(file: &Value) -> &[Value] {
    let vectors = file["vectors"].as_array().unwrap();
    assert!(!vectors.is_empty());
    vectors
}

fn read(file: &str) -> Value {
    serde_json::from_str(file).unwrap()
}

fn text<'a>(vector: &'a Value, member: &str) -> &'a str {
    vector[member].as_str().unwrap()
}

fn params(vector: &Value) -> TotpParams {
    let small = |member: &str| u8::try_from(vector[member].as_u64().unwrap()).unwrap();
    TotpParams {
        algorithm: algorithm_named(text(vector, "algorithm")).unwrap(),
        digits: Digits::new(small("digits")).unwrap(),
        period: Period::new(small("period")).unwrap(),
    }
}

#[test]
fn rfc_6238_appendix_b() {
    let file = read(RFC_6238);
    assert_eq!(vectors(&file).len(), 18);
    for vector in vectors(&file) {
        let (secret, params) = (Secret::from_base32(text(vector, "secret")).unwrap(), params(vector));
        let time = UnixTime::from_secs(vector["unix_time"].as_u64().unwrap());
        let step = Step::at(time, params.period);
        assert_eq!(step.number(), vector["step"].as_u64().unwrap(), "{vector}");
        assert_eq!(code_at(&secret, params, step), text(vector, "code"), "{vector}");
        let code = Code::parse(text(vector, "code")).unwrap();
        assert_eq!(matching_step(&secret, params, &code, [step]), Some(step), "{vector}");
    }
}

#[test]
fn rfc_4226_appendix_d() {
    let file = read(RFC_4226);
    let secret = Secret::from_base32(text(&file, "secret")).unwrap();
    let params = TotpParams::default();
    assert_eq!(vectors(&file).len(), 10);
    for vector in vectors(&file) {
        let step = Step::new(vector["counter"].as_u64().unwrap());
        assert_eq!(code_at(&secret, params, step), text(vector, "code"), "{vector}");
    }
}

#[test]
fn key_uris_are_accepted_or_refused_as_their_names_say() {
    for vector in vectors(&read(KEY_URI)) {
        let name = text(vector, "name");
        let parsed = KeyUri::parse(text(vector, "uri"));
        if name.starts_with("accept_") {
            let uri = parsed.unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(uri.secret().to_base32().as_str(), text(vector, "secret"), "{name}");
            assert_eq!(uri.issuer(), vector["issuer"].as_str(), "{name}");
            assert_eq!(uri.account(), text(vector, "account"), "{name}");
            assert_eq!(uri.params(), params(vector), "{name}");
            assert_eq!(uri.to_string().as_str(), text(vector, "built"), "{name}");
        } else {
            assert!(name.starts_with("refuse_"), "{name} has no verdict");
            assert_eq!(parsed.map_err(KeyUriError::code), Err(text(vector, "error")), "{name}");
        }
    }
}

#[test]
fn exports_are_accepted_or_refused_as_their_names_say() {
    for vector in vectors(&read(MIGRATION)) {
        let name = text(vector, "name");
        let parsed = Migration::parse(text(vector, "uri"));
        if name.starts_with("accept_") {
            let migration = parsed.unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(u64::from(migration.version), vector["version"].as_u64().unwrap(), "{name}");
            let batch = &vector["batch"];
            assert_eq!(i64::from(migration.batch.id), batch["id"].as_i64().unwrap(), "{name}");
            assert_eq!(u64::from(migration.batch.index), batch["index"].as_u64().unwrap(), "{name}");
            assert_eq!(u64::from(migration.batch.size), batch["size"].as_u64().unwrap(), "{name}");
            let expected = vector["entries"].as_array().unwrap();
            assert_eq!(migration.entries.len(), expected.len(), "{name}");
            for (entry, expected) in migration.entries.iter().zip(expected) {
                check_entry(name, entry, expected);
            }
        } else {
            assert!(name.starts_with("refuse_"), "{name} has no verdict");
            assert_eq!(parsed.map_err(MigrationError::code), Err(text(vector, "error")), "{name}");
        }
    }
}

fn check_entry(name: &str, entry: &Entry, expected: &Value) {
    match &entry.outcome {
        Ok(uri) => {
            assert_eq!(uri.secret().to_base32().as_str(), text(expected, "secret"), "{name}");
            assert_eq!(uri.issuer(), expected["issuer"].as_str(), "{name}");
            assert_eq!(uri.account(), text(expected, "account"), "{name}");
            assert_eq!(uri.params(), params(expected), "{name}");
        }
        Err(refusal) => {
            assert_eq!(Refusal::code(*refusal), text(expected, "error"), "{name}");
            assert_eq!(
                (entry.issuer.as_str(), entry.name.as_str()),
                (text(expected, "issuer"), text(expected, "name"))
            );
        }
    }
}

#[test]
fn what_apps_do_otherwise_is_warned_of() {
    for vector in vectors(&read(COMPAT)) {
        let part = |member: &str| vector["config"][member].as_str();
        let number = |member: &str| vector["config"][member].as_u64().map(|n| u32::try_from(n).unwrap());
        let config = Config {
            secret: "",
            issuer: part("issuer"),
            account: part("account"),
            algorithm: part("algorithm"),
            digits: number("digits"),
            period: number("period"),
        };
        let scheme = Scheme::named(text(vector, "scheme")).unwrap();
        let codes: Vec<_> =
            compat::warnings(&config, scheme).unwrap().into_iter().map(compat::Warning::code).collect();
        assert_eq!(Value::from(codes), vector["codes"], "{}", text(vector, "name"));
    }
}

#[test]
fn qr_codes_are_the_same_everywhere() {
    for vector in vectors(&read(QR)) {
        let matrix = QrMatrix::encode(text(vector, "text")).unwrap();
        let rows: Vec<String> = matrix
            .modules()
            .chunks(matrix.size())
            .map(|row| row.iter().map(|&dark| if dark { '#' } else { '.' }).collect())
            .collect();
        assert_eq!(Value::from(rows), vector["rows"], "{}", text(vector, "name"));
    }
}
