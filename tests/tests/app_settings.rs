//! The settings of an app: changed at run time, by its API key and by the operator, seen at once and kept.

use sidekey_tests::app::AFTER;
use sidekey_tests::command::run;
use sidekey_tests::{App, Enforcement, Server, Value, json};

async fn set(app: &App<'_>, flags: &[&str]) -> sidekey_tests::command::Finished {
    let data = app.server.data().to_str().expect("UTF-8");
    let all = ["app", "set", "--app", &app.id, "--data", data, "--json"];
    run(all.into_iter().chain(flags.iter().copied())).await
}

fn patch(app: &App<'_>, body: Value) -> sidekey_tests::client::Call {
    app.server.call("PATCH".parse().expect("a method"), "/2fa/app/").bearer(&app.key).json(body)
}

async fn opened_with(app: &App<'_>, url: &str) -> sidekey_tests::Answer {
    app.open_with(json!({"user_id": "ann", "return_url": url})).await
}

/// 1 by 1 pixel.
const PNG: &str = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";

#[tokio::test]
async fn an_app_reads_and_changes_its_own_settings_and_they_survive_a_restart() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let before = app.get("/2fa/app/").await.ok();
    assert_eq!((&before["app_id"], &before["name"]), (&json!(app.id), &json!("Example")));
    assert_eq!((&before["enforcement"], &before["return_urls"]), (&json!("optional"), &json!([AFTER])));
    for unset in ["accent_color", "accent_text_color", "logo"] {
        assert_eq!(before[unset], Value::Null);
    }
    let change = json!({
        "name": "Shop", "enforcement": "required", "grace_days": 7, "accent_color": "#FFCC00", "logo": PNG,
        "return_urls": ["https://shop.example/in", "https://shop.example/in"], "unknown": 1,
    });
    let changed = patch(&app, change).await.ok();
    assert_eq!((&changed["name"], &changed["logo"]), (&json!("Shop"), &json!(PNG)));
    assert_eq!((&changed["enforcement"], &changed["grace_days"]), (&json!("required"), &json!(7)));
    assert_eq!(changed["return_urls"], json!(["https://shop.example/in"]));
    assert_eq!(
        (&changed["accent_color"], &changed["accent_text_color"]),
        (&json!("#ffcc00"), &json!("#000000"))
    );
    let (id, key) = (app.id.clone(), app.key.clone());
    let server = server.restart();
    assert_eq!(server.get("/2fa/app/").bearer(&key).await.ok().body(), changed.body());
    let shown = server.command(["app", "show", "--app", &id]).await;
    assert_eq!(shown["return_urls"], json!(["https://shop.example/in"]));
}

#[tokio::test]
async fn null_takes_colour_and_logo_away_and_what_is_not_named_stays() {
    let server = Server::start();
    let app = server.app(Enforcement::Encouraged).await;
    patch(&app, json!({"accent_color": "#0e6450", "logo": PNG})).await.ok();
    let changed = patch(&app, json!({"accent_color": null, "name": null})).await.ok();
    assert_eq!((&changed["accent_color"], &changed["logo"]), (&Value::Null, &json!(PNG)));
    assert_eq!((&changed["enforcement"], &changed["return_urls"]), (&json!("encouraged"), &json!([AFTER])));
    assert_eq!(patch(&app, json!({"logo": null, "return_urls": []})).await.ok()["return_urls"], json!([]));
}

#[tokio::test]
async fn enforcement_changed_at_run_time_decides_the_next_login() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    assert_eq!(app.open_session("ann").await["requires_2fa"], false);
    patch(&app, json!({"enforcement": "required"})).await.ok();
    assert_eq!(app.open_session("ann").await["requires_enrollment"], true);
    set(&app, &["--enforcement", "encouraged"]).await.ok();
    assert_eq!(app.open_session("ann").await["should_enroll"], true);
}

#[tokio::test]
async fn a_return_url_must_be_equal_to_one_of_the_list_and_without_a_list_there_is_none() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    opened_with(&app, AFTER).await.expect(201);
    for other in [
        "https://app.example/",
        "https://app.example/after/",
        "https://app.example/after?x=1",
        "https://app.example/AFTER",
        "https://APP.example/after",
        "https://app.example:443/after",
        "http://app.example/after",
        "https://app.example/x/../after",
    ] {
        let refusal = opened_with(&app, other).await.invalid("return_url");
        let text = refusal["errors"]["return_url"].as_str().expect("a text").to_string();
        assert!(text.contains("app set") && text.contains("PATCH /2fa/app/"), "no remedy: {text}");
    }
    set(&app, &["--return-url", "https://one.example/", "--return-url", "https://two.example/"]).await.ok();
    opened_with(&app, "https://two.example/").await.expect(201);
    opened_with(&app, AFTER).await.invalid("return_url");
    set(&app, &["--no-return-urls"]).await.ok();
    opened_with(&app, "https://two.example/").await.invalid("return_url");
    app.open_session("ann").await;
}

#[tokio::test]
async fn a_malformed_setting_is_told_by_name_and_nothing_is_changed() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let before = app.get("/2fa/app/").await.ok().body();
    let many: Vec<String> = (0..21).map(|n| format!("https://app.example/{n}")).collect();
    let large = format!("data:image/svg+xml;base64,{}", "A".repeat(3_400));
    for (field, bad) in [
        ("name", json!("")),
        ("name", json!("a\nb")),
        ("name", json!("x".repeat(101))),
        ("enforcement", json!("sometimes")),
        ("grace_days", json!(366)),
        ("grace_days", json!(7)),
        ("return_urls", json!("https://app.example/")),
        ("return_urls", json!(["/after"])),
        ("return_urls", json!(["https://app.example/#x"])),
        ("return_urls", json!([1])),
        ("return_urls", json!(many)),
        ("accent_color", json!("red")),
        ("accent_color", json!("#fff")),
        ("logo", json!("https://app.example/logo.png")),
        ("logo", json!("data:text/html;base64,PHNjcmlwdD4=")),
        ("logo", json!(large)),
    ] {
        let mut body = json!({"name": "Changed"});
        body[field] = bad.clone();
        let refusal = patch(&app, body).await.invalid(field);
        assert!(!refusal.body().contains("Changed"), "{refusal}");
    }
    assert_eq!(app.get("/2fa/app/").await.ok().body(), before);
}

#[tokio::test]
async fn the_command_line_sets_what_the_api_shows_and_refuses_what_cannot_be() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let logo = server.data().join("logo.svg");
    std::fs::write(&logo, "<svg xmlns='http://www.w3.org/2000/svg'/>").expect("a file");
    let logo = logo.to_str().expect("UTF-8");
    set(&app, &["--name", "Shop", "--accent-color", "#0e6450", "--logo", logo]).await.ok();
    let shown = app.get("/2fa/app/").await.ok();
    assert_eq!((&shown["name"], &shown["accent_text_color"]), (&json!("Shop"), &json!("#ffffff")));
    assert!(shown.text("logo").starts_with("data:image/svg+xml;base64,"));
    for bad in [
        &[][..],
        &["--grace-days", "7"],
        &["--enforcement", "optional", "--grace-days", "7"],
        &["--accent-color", "red"],
        &["--return-url", "after"],
        &["--logo", "/nowhere/logo.png"],
        &["--no-logo", "--logo", logo],
    ] {
        set(&app, bad).await.failed(2);
    }
    let data = server.data().to_str().expect("UTF-8");
    let unknown = run(["app", "show", "--app", "nobody", "--data", data]).await.failed(1);
    assert!(unknown.stderr.contains("sidekey app list"), "{unknown:?}");
    set(&app, &["--no-logo", "--no-accent-color"]).await.ok();
    assert_eq!(app.get("/2fa/app/").await.ok()["logo"], Value::Null);
}

#[tokio::test]
async fn changes_by_many_at_once_are_all_kept() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let bodies = [
        json!({"name": "Shop"}),
        json!({"enforcement": "encouraged"}),
        json!({"accent_color": "#0e6450"}),
        json!({"return_urls": ["https://shop.example/"]}),
        json!({"logo": PNG}),
    ];
    let calls =
        bodies.into_iter().map(|body| tokio::spawn(std::future::IntoFuture::into_future(patch(&app, body))));
    for call in calls.collect::<Vec<_>>() {
        call.await.expect("a task").ok();
    }
    let after = app.get("/2fa/app/").await.ok();
    assert_eq!((&after["name"], &after["enforcement"]), (&json!("Shop"), &json!("encouraged")));
    assert_eq!((&after["accent_color"], &after["logo"]), (&json!("#0e6450"), &json!(PNG)));
    assert_eq!(after["return_urls"], json!(["https://shop.example/"]));
}
