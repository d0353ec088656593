//! The warp filters of `sidekey-guard`, in an application of this test's own.

use std::time::Duration;

use sidekey_guard::{Guard, Login};
use sidekey_tests::{Enforcement, Server, Value};
use warp::{Filter, filters::BoxedFilter, http::Response, hyper::body::Bytes, reply::Response as Reply};

/// An application with a page for everybody who gave a second factor, and one for those who did so lately.
fn application(server: &Server, app: &str) -> BoxedFilter<(Reply,)> {
    let sidekey = Guard::new(&server.url(""), app).expect("a guard");
    let profile = warp::path!("profile").and(sidekey.require_2fa()).map(|login: Login| login.user);
    let terminal = warp::path!("terminal")
        .and(sidekey.require_2fa_within(Duration::from_hours(1)))
        .map(|login: Login| format!("{:?}", login.second_factor.method));
    profile.or(terminal).recover(sidekey_guard::refused).map(warp::Reply::into_response).boxed()
}

async fn get(application: &BoxedFilter<(Reply,)>, path: &str, token: Option<&str>) -> Response<Bytes> {
    let request = warp::test::request().path(path);
    let request = match token {
        Some(token) => request.header("authorization", format!("Bearer {token}")),
        None => request,
    };
    request.reply(application).await
}

fn problem(answer: &Response<Bytes>) -> (u16, String) {
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    let body: Value = serde_json::from_slice(answer.body()).expect("JSON");
    (answer.status().as_u16(), body["code"].as_str().expect("a code").to_owned())
}

#[tokio::test]
async fn a_second_factor_opens_what_a_password_does_not() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let application = application(&server, &app.id);
    let without = app.open_session("ann").await.text("access_token");
    let ann = app.enrol("ann").await;

    let answer = get(&application, "/profile", Some(&ann.access)).await;
    assert_eq!((answer.status().as_u16(), answer.body().as_ref()), (200, b"ann".as_slice()));
    let answer = get(&application, "/terminal", Some(&ann.access)).await;
    assert_eq!((answer.status().as_u16(), answer.body().as_ref()), (200, b"Otp".as_slice()));

    let answer = get(&application, "/terminal", Some(&without)).await;
    assert_eq!(problem(&answer), (401, "2FA_REQUIRED".to_owned()));
    let challenge = answer.headers()["www-authenticate"].to_str().expect("text");
    assert!(challenge.contains("insufficient_user_authentication") && challenge.contains("max_age=\"3600\""));
    // As the HTTP API has it: a refusal always says how old a second factor may be.
    let answer = get(&application, "/profile", Some(&without)).await;
    let body: Value = serde_json::from_slice(answer.body()).expect("JSON");
    assert_eq!((body["code"].as_str(), body["max_age"].as_u64()), (Some("2FA_REQUIRED"), Some(600)));
    assert!(answer.headers()["www-authenticate"].to_str().expect("text").contains("max_age=\"600\""));
    assert_eq!(problem(&get(&application, "/profile", None).await), (401, "AUTH_REQUIRED".to_owned()));
    assert_eq!(get(&application, "/nowhere", Some(&ann.access)).await.status(), 404);
}

#[tokio::test]
async fn tokens_of_other_apps_servers_and_keys_are_refused() {
    let (server, other_server) = (Server::start(), Server::start());
    let app = server.app(Enforcement::Optional).await;
    let application = application(&server, &app.id);
    let of_other_app = server.app(Enforcement::Optional).await.enrol("ann").await.access;
    let of_other_server = other_server.app(Enforcement::Optional).await.enrol("ann").await.access;
    let ann = app.enrol("ann").await;
    let refresh_token = ann.refresh.clone();
    for token in [of_other_app, of_other_server, refresh_token, "a.b.c".to_owned()] {
        assert_eq!(problem(&get(&application, "/profile", Some(&token)).await).0, 401);
    }
    assert_eq!(get(&application, "/profile", Some(&ann.access)).await.status(), 200);
}

#[tokio::test]
async fn known_keys_serve_while_the_server_is_away() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let (warm, cold) = (application(&server, &app.id), application(&server, &app.id));
    let token = app.enrol("ann").await.access;
    assert_eq!(get(&warm, "/profile", Some(&token)).await.status(), 200);
    server.stop();
    assert_eq!(get(&warm, "/profile", Some(&token)).await.status(), 200);
    let answer = get(&cold, "/profile", Some(&token)).await;
    assert_eq!(problem(&answer), (503, "UNAVAILABLE".to_owned()));
    assert!(answer.headers().contains_key("retry-after"));
}

#[tokio::test]
async fn a_burst_of_first_requests_is_answered_by_one_fetch() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let application = application(&server, &app.id);
    let token = app.enrol("ann").await.access;
    let before = fetches(&server);
    let burst = (0..50).map(|_| get(&application, "/profile", Some(&token)));
    let answers = futures_util::future::join_all(burst).await;
    assert!(answers.iter().all(|answer| answer.status() == 200));
    assert_eq!(fetches(&server) - before, 1);
}

/// How often the key set was asked for, by the server's own log.
fn fetches(server: &Server) -> usize {
    server.log().matches("/.well-known/jwks.json").count()
}
