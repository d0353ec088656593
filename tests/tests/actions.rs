//! One action, approved with a second factor: a token for exactly that, which counts once.

use futures_util::future::join_all;
use sidekey_tests::app::AFTER;
use sidekey_tests::{Answer, App, Browser, Enforcement, Options, Server, User, Value, json, jwt};

const ACTION: &str = "transfer";
const RESOURCE: &str = "invoice 4711 <b>250 EUR</b>";

/// Opens a session for the action with these members besides.
async fn asked(app: &App<'_>, user: &str, with: &[(&str, Value)]) -> Answer {
    let mut body = json!({"user_id": user, "action": ACTION, "resource": RESOURCE});
    for (name, value) in with {
        body[name] = value.clone();
    }
    app.open_with(body).await.expect(201)
}

/// The token of the action, approved with a code over the API.
async fn approved(app: &App<'_>, user: &mut User<'_>, name: &str) -> String {
    let session = asked(app, name, &[]).await.text("session_id");
    let code = user.fresh_code().await;
    let answer = user.answer(&session, &code).await.ok();
    assert_eq!(
        (&answer["action"], &answer["resource"], &answer["expires_in"]),
        (&json!(ACTION), &json!(RESOURCE), &json!(60))
    );
    for member in ["access_token", "refresh_token", "trusted_browser_token"] {
        assert!(!answer.has(member), "it is no login: {answer}");
    }
    answer.text("action_token")
}

async fn spend(app: &App<'_>, token: &str, action: &str, resource: Option<&str>) -> Answer {
    let body = json!({"action_token": token, "action": action, "resource": resource});
    app.post("/2fa/token/spend/").json(body).await
}

#[tokio::test]
async fn an_approved_action_counts_once_and_for_nothing_else() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    let token = approved(&app, &mut user, "ann").await;

    let claims = jwt::verified(&server, &token, &format!("{}:action", app.id)).await;
    assert_eq!(jwt::header(&token)["typ"], "sidekey-action+jwt");
    assert_eq!(
        (&claims["sub"], &claims["action"], &claims["resource"]),
        (&json!("ann"), &json!(ACTION), &json!(RESOURCE))
    );
    assert_eq!(claims["exp"].as_u64().zip(claims["iat"].as_u64()).map(|(exp, iat)| exp - iat), Some(60));
    assert_eq!(claims["amr"], json!(["otp", "mfa"]));

    for path in ["/2fa/devices/", "/2fa/activity/"] {
        server.get(path).bearer(&token).await.refused(401, "AUTH_REQUIRED");
    }
    server.post("/2fa/setup/").bearer(&token).await.refused(401, "AUTH_REQUIRED");
    let told = app.post("/2fa/token/introspect/").json(json!({"token": token})).await.ok();
    assert_eq!(told["active"], false, "it is no access token");

    let other = server.app(Enforcement::Optional).await;
    spend(&other, &token, ACTION, Some(RESOURCE)).await.refused(400, "INVALID_CODE");
    spend(&app, &token, "erase", Some(RESOURCE)).await.refused(400, "INVALID_CODE");
    spend(&app, &token, ACTION, Some("invoice 4712")).await.refused(400, "INVALID_CODE");
    spend(&app, &token, ACTION, None).await.refused(400, "INVALID_CODE");
    spend(&app, &format!("{token}x"), ACTION, Some(RESOURCE)).await.refused(400, "INVALID_CODE");
    spend(&app, &user.access, ACTION, Some(RESOURCE)).await.refused(400, "INVALID_CODE");
    let spent = spend(&app, &token, ACTION, Some(RESOURCE)).await.ok();
    assert_eq!((&spent["user_id"], &spent["jti"]), (&json!("ann"), &claims["jti"]));
    spend(&app, &token, ACTION, Some(RESOURCE)).await.refused(400, "INVALID_CODE");
}

#[tokio::test]
async fn of_many_who_spend_a_token_one_succeeds_and_none_after_a_crash() {
    let server = {
        // The same public URL after the crash: a token is for the server that made it.
        let arguments = ["--public-url", "https://login.example"].map(str::to_owned).to_vec();
        Server::with(Options { arguments, ..Options::default() })
    };
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    let token = approved(&app, &mut user, "ann").await;
    let spent = join_all((0..30).map(|_| async { spend(&app, &token, ACTION, Some(RESOURCE)).await.status }));
    let statuses = spent.await;
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 400).count(), 29, "{statuses:?}");
    let body = json!({"action_token": token, "action": ACTION, "resource": RESOURCE});
    let key = app.key.clone();
    drop((user, app));
    let server = server.crash();
    let again = server.post("/2fa/token/spend/").bearer(&key).json(body).await;
    again.refused(400, "INVALID_CODE");
}

#[tokio::test]
async fn an_approval_ends_after_a_minute_and_with_two_factor_authentication() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    let late = approved(&app, &mut user, "ann").await;
    server.advance(60).await;
    spend(&app, &late, ACTION, Some(RESOURCE)).await.refused(400, "INVALID_CODE");

    let token = approved(&app, &mut user, "ann").await;
    let code = user.fresh_code().await;
    user.post("/2fa/disable/").json(json!({"code": code})).await.ok();
    assert!(jwt::claims(&token)["exp"].as_u64() > Some(server.now().await), "it is not over by itself");
    spend(&app, &token, ACTION, Some(RESOURCE)).await.refused(400, "INVALID_CODE");
}

#[tokio::test]
async fn users_ask_for_themselves_and_backup_codes_approve_as_well() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let user = app.enrol("ann").await;
    let session =
        user.post("/2fa/sessions/").json(json!({"action": ACTION})).await.expect(201).text("session_id");
    let backup = user.backup_codes.first().expect("a code").clone();
    let answer = user.answer_with_backup(&session, &backup).await.ok();
    assert_eq!((&answer["remaining_backup_codes"], &answer["resource"]), (&json!(9), &Value::Null));
    let token = answer.text("action_token");
    assert_eq!(jwt::claims(&token)["amr"], json!(["backup_code", "mfa"]));
    spend(&app, &token, ACTION, None).await.ok();
}

#[tokio::test]
async fn what_cannot_be_approved_is_refused_with_the_reason() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let open = async |body: Value| app.open_with(body).await;
    open(json!({"user_id": "new", "action": ACTION})).await.refused(400, "2FA_NOT_ENABLED");
    app.enrol("ann").await;
    open(json!({"user_id": "ann", "resource": "x"})).await.invalid("resource");
    open(json!({"user_id": "ann", "action": "with blanks"})).await.invalid("action");
    open(json!({"user_id": "ann", "action": "a".repeat(65)})).await.invalid("action");
    open(json!({"user_id": "ann", "action": ACTION, "resource": "x".repeat(256)})).await.invalid("resource");
    app.post("/2fa/token/spend/").json(json!({"action_token": "x"})).await.invalid("action");
    server.post("/2fa/token/spend/").json(json!({})).await.refused(401, "AUTH_REQUIRED");
}

#[tokio::test]
async fn a_page_shows_what_is_approved_and_leads_back_without_a_login() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    let opened = asked(&app, "ann", &[("return_url", json!(AFTER))]).await;
    let mut browser = Browser::new(&server);
    browser.visit(&opened.text("verify_url")).await.ok();
    assert_eq!(browser.heading(), "Approve this action");
    assert!(browser.html.contains(ACTION) && browser.html.contains("250 EUR"), "{}", browser.html);
    assert!(!browser.html.contains("<b>250"), "what an application says is text");
    assert!(!browser.html.contains("name=\"trust\""), "nobody becomes trusted by it");
    let code = user.fresh_code().await;
    let fields = [("action", "code"), ("code", &*code), ("trust", "yes")];
    let answer = browser.post("/2fa/challenge/", &fields).await.expect(303);
    let location = answer.header("location").to_owned();
    let code = location.strip_prefix(&format!("{AFTER}?code=")).expect("a code").to_owned();
    assert!(!browser.cookies.contains_key("sidekey-login"), "{:?}", browser.cookies.keys());

    let exchange = async |app: &App<'_>| app.post("/2fa/token/").json(json!({"code": code})).await;
    let other = server.app(Enforcement::Optional).await;
    exchange(&other).await.refused(400, "INVALID_CODE");
    let first = exchange(&app).await.ok().text("action_token");
    let second = exchange(&app).await.ok().text("action_token");
    spend(&app, &second, ACTION, Some(RESOURCE)).await.ok();
    spend(&app, &first, ACTION, Some(RESOURCE)).await.refused(400, "INVALID_CODE");
    server.advance(60).await;
    exchange(&app).await.refused(400, "INVALID_CODE");
    browser.get("/2fa/challenge/").await.ok();
    assert_eq!(browser.heading(), "Approved");
}
