//! `sidekey import` on files that other products wrote (tests/import): what `oathtool` shows for the secret that the product had signs
//! its user in, and a recovery code of the product's signs in once.

use std::path::Path;
use std::process::Command;

use sidekey_tests::command::run;
use sidekey_tests::{Answer, App, Enforcement, Server, Value, json};

/// One product's files, and what is to become of them.
struct Case {
    format: &'static str,
    files: &'static [&'static str],
    key: Option<&'static str>,
    /// Imported and refused users.
    counts: [u64; 2],
    /// A user who is imported.
    user: String,
    /// The user's secret in base32, and how codes are made of it.
    secret: String,
    digits: u8,
    period: u64,
    algorithm: &'static str,
    /// How many recovery codes come along, and one of them as its owner types it.
    codes: u64,
    code: Option<String>,
    /// What the report says.
    told: &'static [&'static str],
}

const ANN: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

impl Case {
    fn of(format: &'static str, files: &'static [&'static str], user: &str, counts: [u64; 2]) -> Self {
        let (user, secret) = (user.to_owned(), ANN.to_owned());
        let (key, codes, code, told) = (None, 0, None, &[][..]);
        Self {
            format,
            files,
            key,
            counts,
            user,
            secret,
            digits: 6,
            period: 30,
            algorithm: "sha1",
            codes,
            code,
            told,
        }
    }

    fn codes(self, codes: u64, code: &str) -> Self {
        Self { codes, code: Some(code.to_owned()), ..self }
    }

    fn key(self, key: &'static str) -> Self {
        Self { key: Some(key), ..self }
    }

    fn told(self, told: &'static [&'static str]) -> Self {
        Self { told, ..self }
    }

    fn arguments<'a>(&'a self, server: &'a Server, app: &'a App<'_>, paths: &'a [String]) -> Vec<&'a str> {
        let data = server.data().to_str().expect("UTF-8");
        let mut all = vec!["import", "--data", data, "--app", &app.id, "--format", self.format];
        if self.key.is_some() {
            all.push("--source-key-file");
        }
        all.extend(paths.iter().map(String::as_str));
        all
    }

    /// The key's path first, where there is one.
    fn paths(&self) -> Vec<String> {
        self.key.iter().chain(self.files).map(|name| fixture(name)).collect()
    }

    /// The code that an authenticator shows at this moment.
    fn code_at(&self, seconds: u64) -> String {
        let mut oathtool = Command::new("oathtool");
        oathtool.arg(format!("--totp={}", self.algorithm)).args(["--base32", &self.secret]);
        oathtool.args(["--digits", &self.digits.to_string()]);
        oathtool.args(["--time-step-size", &self.period.to_string(), "--now", &format!("@{seconds}")]);
        let output = oathtool.output().expect("oathtool is installed");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("digits").trim().to_owned()
    }
}

fn fixture(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("import/fixtures").join(name);
    path.to_str().expect("UTF-8").to_owned()
}

fn parsed(name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(fixture(name)).expect("the fixture is there")).expect("JSON")
}

/// What better-auth gave to a user when these fixtures were made.
fn better_auth(name: &str) -> (String, String, String) {
    let ann = &parsed(name)["ann"];
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let codes = ann["backup_codes"].as_array().expect("codes");
    (text(&ann["user_id"]), text(&ann["secret"]), text(&codes[0]))
}

fn cases() -> Vec<Case> {
    let allauth = parsed("django-allauth-unused.json")["unused"][2].as_str().expect("a code").to_owned();
    let better = |format_files: &'static [&'static str], expected: &str, counts| {
        let (user, secret, code) = better_auth(expected);
        let case = Case::of("better-auth", format_files, &user, counts);
        // Of ten codes (nine with plain ones) one was used.
        Case { secret, ..case.key("better-auth.key").codes(9, &code) }
    };
    vec![
        Case::of("key-uris", &["key-uris.txt"], "ann", [2, 0]),
        Case::of("key-uris", &["key-uris.csv"], "42", [1, 2])
            .codes(2, "Ab3dE6gH")
            .told(&["HOTP", "16 bytes"]),
        Case::of("google-authenticator", &["google-authenticator.txt"], "ann", [2, 1]),
        Case::of("google-authenticator", &["google-authenticator.csv"], "42", [2, 0]),
        Case::of("pskc", &["pskc-plain.xml"], "ann", [2, 1]).told(&["HOTP"]),
        Case::of("pskc", &["pskc-preshared.xml"], "ann", [2, 1]).key("pskc-preshared.key"),
        Case::of("pskc", &["pskc-passphrase.xml"], "ann", [2, 1]).key("pskc-passphrase.key"),
        Case {
            secret: "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQGEZA".to_owned(),
            digits: 8,
            period: 60,
            algorithm: "sha256",
            ..Case::of("pskc", &["pskc-plain.xml"], "bob", [2, 1])
        },
        Case::of("django-otp", &["django-otp.json"], "1", [2, 2])
            .codes(2, "bq7cw4ra")
            .told(&["1970", "HOTP"]),
        Case::of(
            "django-otp",
            &["django-otp-statictoken.csv", "django-otp-totpdevice.csv", "django-otp-staticdevice.csv"],
            "1",
            [2, 1],
        )
        .codes(2, "k5uhg2tn"),
        Case::of("django-allauth", &["django-allauth.json"], "1", [2, 2])
            .codes(8, &allauth)
            .told(&["MFA_ADAPTER"]),
        Case {
            secret: "MFRGGZDFMZTWQ2LKGEZDGNBVGY3TQOJQ".to_owned(),
            ..Case::of("django-allauth", &["django-allauth.csv"], "2", [2, 2]).codes(2, "AbcdEfgh1")
        },
        Case::of("django-cfg", &["django-cfg.json"], "1", [1, 2]).codes(3, " BQ7CW4RA"),
        Case::of("django-cfg", &["django-cfg-totpdevice.csv", "django-cfg-backupcode.csv"], "1", [1, 2])
            .codes(3, "k5uhg2tn"),
        Case::of("fortify", &["fortify.csv"], "1", [2, 3])
            .key("fortify.key")
            .codes(3, "aB3dE6gH9j-K2mN5pQ8sT")
            .told(&["two_factor_confirmed_at", "16 bytes"]),
        Case::of("fortify", &["fortify-aes-128.json"], "1", [1, 0])
            .key("fortify-aes-128.key")
            .codes(3, "ZyXwVuTsRq1029384756"),
        Case::of("keycloak", &["keycloak-realm.json"], "00000001-0000-4000-8000-000000000000", [2, 1])
            .codes(3, "QRST-UVWX-5678"),
        Case::of("keycloak", &["keycloak-credential.csv"], "00000001-0000-4000-8000-000000000000", [2, 1])
            .codes(3, "ABCDEFGH1234"),
        Case {
            secret: "MFRGGZDFMZTWQ2LKGEZDGNBVGY3TQOJQ".to_owned(),
            digits: 8,
            algorithm: "sha256",
            ..Case::of("keycloak", &["keycloak-realm.json"], "00000002-0000-4000-8000-000000000000", [2, 1])
                .codes(2, "ZYXWVUTS9876")
        },
        better(&["better-auth.json"], "better-auth-expected.json", [2, 1]),
        better(&["better-auth-plain.csv"], "better-auth-plain-expected.json", [1, 0]),
        better(&["better-auth-versioned.json"], "better-auth-versioned-expected.json", [1, 0]),
    ]
}

async fn verify(app: &App<'_>, user: &str, code: &str) -> Answer {
    let session = app.challenge(user).await;
    app.server.post("/2fa/verify/").json(json!({"session_id": session, "code": code})).await
}

async fn recover(app: &App<'_>, user: &str, code: &str) -> Answer {
    let session = app.challenge(user).await;
    app.server.post("/2fa/verify/backup/").json(json!({"session_id": session, "backup_code": code})).await
}

#[tokio::test]
async fn what_another_product_wrote_signs_its_users_in() {
    for case in cases() {
        let named = format!("{} {:?} {}", case.format, case.files, case.user);
        let server = Server::start();
        let app = server.app(Enforcement::Optional).await;
        let paths = case.paths();
        let arguments = case.arguments(&server, &app, &paths);
        let exit = i32::from(case.counts[1] > 0);

        let dry = run(arguments.iter().copied().chain(["--dry-run"])).await;
        assert_eq!(dry.code, Some(exit), "{named}: {dry:?}");
        assert!(dry.stdout.contains("Nothing was changed"), "{named}: {dry:?}");
        assert_eq!(app.state(&case.user).await["has_2fa_enabled"], false, "{named}: only told");

        let report = run(arguments.iter().copied().chain(["--json"])).await;
        assert_eq!(report.code, Some(exit), "{named}: {report:?}");
        let told = report.json();
        assert_eq!(
            [&told["imported"], &told["refused"]],
            case.counts.map(Value::from).each_ref(),
            "{named}: {told}"
        );
        for text in case.told {
            assert!(report.stdout.contains(text), "{named}: {text}: {told}");
        }
        let all = format!("{}{}{}", dry.stdout, report.stdout, server.log());
        for secret in [Some(&case.secret), case.code.as_ref()].into_iter().flatten() {
            assert!(!all.contains(secret.as_str()), "{named} shows a secret");
        }
        let state = app.state(&case.user).await;
        assert_eq!(state["has_2fa_enabled"], true, "{named}: {state}");
        if case.codes > 0 {
            assert_eq!(state["backup_codes_remaining"], case.codes, "{named}: {state}");
        }

        // Codes count from the step after the next one on: those before may have been used at the other product.
        let now = server.advance(3 * case.period).await;
        let code = case.code_at(now);
        verify(&app, &case.user, &code).await.ok();
        verify(&app, &case.user, &code).await.refused(400, "INVALID_CODE");
        if let Some(code) = &case.code {
            let answer = recover(&app, &case.user, code).await.ok();
            assert_eq!(answer["remaining_backup_codes"], case.codes - 1, "{named}");
            recover(&app, &case.user, code).await.refused(400, "INVALID_CODE");
        }
        let again = run(arguments.iter().copied().chain(["--json"])).await.json();
        assert_eq!(again["skipped"], case.counts[0], "{named}: repeated without harm");
    }
}

#[tokio::test]
async fn codes_whose_case_counts_at_the_product_are_not_taken_in_another() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let data = server.data().to_str().expect("UTF-8").to_owned();
    let (key, file) = (fixture("fortify.key"), fixture("fortify.json"));
    let all = [
        "import",
        "--data",
        &data,
        "--app",
        &app.id,
        "--format",
        "fortify",
        "--source-key-file",
        &key,
        &file,
    ];
    run(all).await.failed(1);
    recover(&app, "1", "ab3de6gh9j-k2mn5pq8st").await.refused(400, "INVALID_CODE");
    recover(&app, "1", "aB3dE6gH9j K2mN5pQ8sT").await.ok();
}

#[tokio::test]
async fn files_that_cannot_be_read_change_nothing_and_say_where() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let data = server.data().to_str().expect("UTF-8").to_owned();
    for (format, files, key, told) in [
        ("fortify", "fortify.json", None, "--source-key-file"),
        ("fortify", "fortify.json", Some("fortify-aes-128.key"), "does not open with this key"),
        ("better-auth", "better-auth.json", Some("fortify.key"), "does not open with this key"),
        ("pskc", "pskc-preshared.xml", Some("pskc-passphrase.key"), "does not open with this key"),
        ("pskc", "key-uris.csv", None, "there is no column `serial`"),
        ("django-otp", "fortify.csv", None, "there is no column `key`"),
        ("keycloak", "key-uris.json", None, "there is no column `secret_data`"),
    ] {
        let (file, key) = (fixture(files), key.map(fixture));
        let mut all = vec!["import", "--data", &data, "--app", &app.id, "--format", format, &file];
        if let Some(key) = &key {
            all.extend(["--source-key-file", key]);
        }
        let failed = run(all).await.failed(2);
        assert!(failed.stderr.contains(told) && failed.stdout.is_empty(), "{format}: {failed:?}");
    }
}
