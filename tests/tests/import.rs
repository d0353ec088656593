//! Users who have their second factor elsewhere: taken over by the API with devices and recovery codes, repeatable, and nothing that was
//! used there counts again.

use sidekey_tests::authenticator::Authenticator;
use sidekey_tests::clock::STEP;
use sidekey_tests::{Answer, App, Browser, Enforcement, Server, Value, json};

const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
const OTHER: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJR";
/// SHA-256 of `recovery-code-1`, and of `recovery-code-2`, by `sha256sum`.
const HASHES: [&str; 2] = [
    "daa5e42916b7799cca5bf32ba9369bb47c15708afa0315cf93f785a1e54c7d2a",
    "ceb149842eb769c2b58fc12db71e61840909660568f0ae75bbb8e2b677af14f4",
];

async fn import(app: &App<'_>, users: Value) -> Answer {
    app.post("/2fa/users/import/").json(json!({"users": users})).await.ok()
}

fn ann() -> Value {
    json!({
        "user_id": "ann", "account_name": "ann@example.com", "devices": [{"secret": SECRET, "name": "Phone"}],
        "backup_codes": {"form": "sha256", "codes": HASHES},
    })
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
async fn an_imported_user_signs_in_with_the_authenticator_from_the_next_unused_step_on() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    server.next_step().await;
    let answer = import(&app, json!([ann()])).await;
    assert_eq!(
        answer["results"],
        json!([{"user_id": "ann", "outcome": "imported", "devices": 1, "backup_codes": 2}])
    );
    assert_eq!(
        (&answer["imported"], &answer["skipped"], &answer["refused"], &answer["dry_run"]),
        (&json!(1), &json!(0), &json!(0), &json!(false))
    );
    let state = app.state("ann").await;
    assert_eq!((&state["has_2fa_enabled"], &state["backup_codes_remaining"]), (&json!(true), &json!(2)));

    // The other product may have accepted the code of this step or, from a clock that is ahead, of the next one.
    let (phone, step) = (Authenticator::from_base32(SECRET), server.step().await);
    for used in [step - 1, step, step + 1] {
        verify(&app, "ann", &phone.code_of(used)).await.refused(400, "INVALID_CODE");
    }
    server.advance(STEP).await;
    let first = phone.code_of(step + 2);
    let tokens = verify(&app, "ann", &first).await.ok();
    verify(&app, "ann", &first).await.refused(400, "INVALID_CODE");
    let devices = server.get("/2fa/devices/").bearer(&tokens.text("access_token")).await.ok();
    assert_eq!(
        (&devices["devices"][0]["name"], &devices["devices"][0]["status"]),
        (&json!("Phone"), &json!("active"))
    );
    let activity = server.get("/2fa/activity/").bearer(&tokens.text("access_token")).await.ok();
    let events: Vec<_> =
        activity["activity"].as_array().unwrap().iter().map(|entry| &entry["event"]).collect();
    assert!(events.contains(&&json!("user_imported")), "{activity}");
}

#[tokio::test]
async fn hashed_recovery_codes_work_once_each_until_they_are_renewed() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    import(&app, json!([ann()])).await;
    // What lies in the other product's table is no code.
    recover(&app, "ann", HASHES[0]).await.refused(400, "INVALID_CODE");
    let typed = " recovery-code-1 ";
    let answer = recover(&app, "ann", typed).await.ok();
    assert_eq!(answer["remaining_backup_codes"], 1);
    recover(&app, "ann", typed).await.refused(400, "INVALID_CODE");
    let refused = recover(&app, "ann", &"x".repeat(129)).await.refused(400, "VALIDATION_ERROR");
    assert!(refused["errors"].get("backup_code").is_some());

    let mut phone = Authenticator::from_base32(SECRET);
    server.advance(3 * STEP).await;
    let tokens = verify(&app, "ann", &phone.fresh_code(&server).await).await.ok();
    let code = phone.fresh_code(&server).await;
    let renewed = server
        .post("/2fa/backup-codes/regenerate/")
        .bearer(&tokens.text("access_token"))
        .json(json!({"code": code}))
        .await
        .ok();
    let native = renewed.texts("backup_codes")[0].to_lowercase();
    recover(&app, "ann", "recovery-code-2").await.refused(400, "VALIDATION_ERROR");
    recover(&app, "ann", &native).await.ok();
}

#[tokio::test]
async fn without_recovery_codes_any_is_wrong_and_wrong_ones_are_counted() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let without = json!({"user_id": "ann", "devices": [{"secret": SECRET}]});
    import(&app, json!([without])).await;
    assert_eq!(app.state("ann").await["backup_codes_remaining"], 0);
    let refusal = recover(&app, "ann", "ABCD-EFGH-JKMN-PQRS").await.refused(400, "INVALID_CODE");
    assert_eq!(refusal["attempts_remaining"], 4);
}

#[tokio::test]
async fn recovery_codes_keep_the_form_that_they_had() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let user = |id: &str, codes: Value| json!({"user_id": id, "devices": [{"secret": SECRET}], "backup_codes": codes});
    let users = json!([
        user("exact", json!({"form": "text", "separators": "exact", "codes": ["AbCdEfGh-1"]})),
        user("grouped", json!({"form": "text", "codes": ["AbCdEfGh-1"]})),
        user("lower", json!({"form": "text", "case": "lower", "codes": ["abcdefgh-1"]})),
        user("short", json!({"form": "text", "codes": ["123456"]})),
    ]);
    let answer = import(&app, users).await;
    assert_eq!((&answer["imported"], &answer["results"][3]["backup_codes"]), (&json!(4), &json!(0)));
    let note = answer["results"][3]["notes"][0].as_str().unwrap();
    assert!(note.contains("too easily guessed"), "{note}");
    for (user, typed, is_right) in [
        ("exact", "AbCdEfGh1", false),
        ("exact", "AbCdEfGh-1", true),
        ("grouped", "abcdefgh1", false),
        ("grouped", "AbCd EfGh 1", true),
        ("lower", "ABCDEFGH1", true),
    ] {
        let answer = recover(&app, user, typed).await;
        if is_right {
            answer.ok()
        } else {
            answer.refused(400, "INVALID_CODE")
        };
    }
}

#[tokio::test]
async fn a_page_says_how_an_imported_code_is_typed_and_leaves_its_letters_alone() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    app.enrol("native").await;
    let codes = json!({"form": "text", "separators": "exact", "codes": ["oIl-AbCdEf"]});
    import(&app, json!([{"user_id": "ann", "devices": [{"secret": SECRET}], "backup_codes": codes}])).await;
    for (user, hint, case) in
        [("native", "16 letters and digits", "characters"), ("ann", "Exactly as you wrote it down", "off")]
    {
        let mut browser = Browser::new(&server);
        browser.visit(&app.open_session(user).await.text("verify_url")).await.ok();
        assert!(browser.html.contains(hint), "{hint}: {}", browser.html);
        let field = browser.html.split("name=\"backup_code\"").nth(1).expect("a field");
        assert!(field.split('>').next().unwrap().contains(&format!("autocapitalize=\"{case}\"")), "{field}");
        if user == "ann" {
            let post = |code: &'static str| [("action", "backup-code"), ("backup_code", code)];
            browser.post("/2fa/challenge/", &post("OIL-ABCDEF")).await.expect(400);
            // A typographic hyphen, as copying brings along.
            let answer = browser.post("/2fa/challenge/", &post(" oIl\u{2010}AbCdEf ")).await;
            assert_eq!(answer.status, 303, "{answer}");
        }
    }
}

#[tokio::test]
async fn importing_again_leaves_everybody_as_they_are_and_another_app_knows_nobody() {
    let server = Server::start();
    let (app, other) = (server.app(Enforcement::Optional).await, server.app(Enforcement::Optional).await);
    let mut enrolled = app.enrol("eve").await;
    let eve = json!({"user_id": "eve", "devices": [{"secret": OTHER}]});
    let users = json!([ann(), eve]);
    import(&app, users.clone()).await;
    recover(&app, "ann", "recovery-code-1").await.ok();
    let again = import(&app, users).await;
    assert_eq!((&again["imported"], &again["skipped"]), (&json!(0), &json!(2)));
    assert_eq!(again["results"][0]["reason"], "2FA is on already");
    recover(&app, "ann", "recovery-code-1").await.refused(400, "INVALID_CODE");
    enrolled.sign_in().await;
    assert_eq!(other.state("ann").await["has_2fa_enabled"], false);

    // The same user of another app is somebody else, with the same authenticator.
    import(&other, json!([ann()])).await;
    server.advance(3 * STEP).await;
    let code = Authenticator::from_base32(SECRET).fresh_code(&server).await;
    verify(&other, "ann", &code).await.ok();
    verify(&app, "ann", &code).await.ok();
    app.server.post("/2fa/users/import/").json(json!({"users": []})).await.refused(401, "AUTH_REQUIRED");
}

#[tokio::test]
async fn a_dry_run_tells_what_would_be_done_and_changes_nothing() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let before = server.command(["verify"]).await;
    let body = json!({"dry_run": true, "users": [ann(), ann(), {"user_id": "bob", "devices": null}]});
    let answer = app.post("/2fa/users/import/").json(body).await.ok();
    let outcomes: Vec<_> =
        answer["results"].as_array().unwrap().iter().map(|line| &line["outcome"]).collect();
    assert_eq!(outcomes, ["imported", "skipped", "refused"]);
    assert_eq!((&answer["results"][0]["backup_codes"], &answer["dry_run"]), (&json!(2), &json!(true)));
    assert_eq!(server.command(["verify"]).await, before, "no account and no audit entry");
    assert_eq!(app.state("ann").await["has_2fa_enabled"], false);
}

#[tokio::test]
async fn each_device_and_each_user_that_cannot_be_taken_over_says_why_and_stops_nobody() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let users = json!([
        {"user_id": "", "devices": [{"secret": SECRET}]},
        {"user_id": "short", "devices": [{"secret": "GEZDGNBVGY3TQOJQ"}]},
        {"user_id": "hotp", "devices": [{"key_uri": format!("otpauth://hotp/a?secret={SECRET}&counter=1")}]},
        {"user_id": "some", "devices": [
            {"secret": SECRET}, {"secret": SECRET, "digits": 8}, {"secret": OTHER, "algorithm": "MD5"},
            {"secret": OTHER, "period": 5}, {"secret": OTHER, "digits": 10}, {"secret": "not base32!"},
        ]},
        {"user_id": "time", "devices": [{"secret": SECRET, "created_at": "yesterday"}]},
        {"user_id": "last", "devices": [{"key_uri": format!("otpauth://totp/Shop:last?secret={OTHER}&issuer=Shop&digits=8")}]},
    ]);
    let answer = import(&app, users).await;
    assert_eq!((&answer["imported"], &answer["refused"]), (&json!(2), &json!(4)));
    let line = |index: usize| answer["results"][index].to_string();
    for (index, said) in [
        (0, "user's name"),
        (1, "shorter than 16 bytes"),
        (2, "HOTP"),
        (3, "has it twice"),
        (3, "none of SHA1, SHA256 and SHA512"),
        (3, "15 to 120 seconds"),
        (3, "6 to 8 digits"),
        (3, "cannot be read"),
        (4, "`created_at`"),
    ] {
        assert!(line(index).contains(said), "{said}: {}", line(index));
    }
    assert!(!answer.to_string().contains("GEZDG"), "{answer}");
    assert_eq!(app.state("short").await["has_2fa_enabled"], false);
    assert_eq!(app.state("some").await["devices"], 1);
}

#[tokio::test]
async fn a_malformed_list_is_refused_by_its_item() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let post = |body: Value| app.post("/2fa/users/import/").json(body);
    for (users, said) in [
        (json!(null), "is required"),
        (json!({}), "must be a list of objects"),
        (json!([ann(), {"user_id": "bob", "devices": [{"secret": 7}]}]), "item 2 is not of its type"),
        (json!([{"devices": []}]), "item 1 is not of its type"),
    ] {
        let refused = post(json!({"users": users})).await.refused(400, "VALIDATION_ERROR");
        assert_eq!(refused["errors"]["users"], said);
    }
    assert_eq!(
        app.state("ann").await["has_2fa_enabled"],
        false,
        "all or nothing of a list that cannot be read"
    );
}

#[tokio::test]
async fn who_was_answered_is_there_after_kill_9() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let users: Vec<_> =
        (0..20).map(|n| json!({"user_id": format!("u{n}"), "devices": [{"secret": SECRET}]})).collect();
    assert_eq!(import(&app, json!(users)).await["imported"], 20);
    let key = app.key.clone();
    let server = server.crash();
    for user in 0..20 {
        let state = server.get(&format!("/2fa/users/u{user}/")).bearer(&key).await.ok();
        assert_eq!(state["has_2fa_enabled"], true, "u{user}");
    }
    let again = server.post("/2fa/users/import/").bearer(&key).json(json!({"users": users})).await.ok();
    assert_eq!(again["skipped"], 20);
}
