//! Each change that counts once: acknowledged, the server killed at once, and repeated after its restart. What was acknowledged
//! holds, and the repetition is refused. The same under load, for what the load knows: `crash.rs`.

use sidekey_tests::app::AFTER;
use sidekey_tests::{Answer, App, Authenticator, Browser, Enforcement, Options, Server, User, json};

/// The port changes with a restart; the issuer of the tokens must not.
const PUBLIC_URL: &str = "http://localhost:1";

fn server() -> Server {
    let arguments = ["--public-url", PUBLIC_URL].map(String::from).to_vec();
    Server::with(Options { arguments, ..Options::default() })
}

/// A user apart from the server, which a crash replaces.
struct Kept {
    app: String,
    key: String,
    key_id: String,
    id: String,
    phone: Authenticator,
    device: String,
    access: String,
    refresh: String,
    backup_codes: Vec<String>,
}

impl Kept {
    async fn enrolled(server: &Server, id: &str) -> Self {
        let User { app, id, phone, device, access, refresh, backup_codes } =
            server.app(Enforcement::Optional).await.enrol(id).await;
        Self {
            app: app.id,
            key: app.key,
            key_id: app.key_id,
            id,
            phone,
            device,
            access,
            refresh,
            backup_codes,
        }
    }

    fn on<'s>(&self, server: &'s Server) -> User<'s> {
        let app = App { server, id: self.app.clone(), key: self.key.clone(), key_id: self.key_id.clone() };
        User {
            app,
            id: self.id.clone(),
            phone: self.phone.clone(),
            device: self.device.clone(),
            access: self.access.clone(),
            refresh: self.refresh.clone(),
            backup_codes: self.backup_codes.clone(),
        }
    }
}

/// The path of one of the server's own addresses.
fn path(url: &str) -> &str {
    url.strip_prefix(PUBLIC_URL).unwrap_or_else(|| panic!("{url} is not the server's"))
}

/// The link of a new challenge of the user.
async fn link(user: &User<'_>) -> String {
    let body = json!({"user_id": user.id, "return_url": AFTER});
    path(&user.app.open_with(body).await.expect(201).text("verify_url")).to_owned()
}

fn devices(listed: &Answer) -> usize {
    listed["devices"].as_array().expect("a list").len()
}

#[tokio::test]
async fn a_one_time_code_is_exchanged_once() {
    let server = server();
    let ann = Kept::enrolled(&server, "ann").await;
    let code = {
        let mut user = ann.on(&server);
        let mut browser = Browser::new(&server);
        browser.get(&link(&user).await).await.expect(303);
        browser.get("/2fa/challenge/").await.ok();
        let typed = user.fresh_code().await;
        let answer =
            browser.post("/2fa/challenge/", &[("action", "code"), ("code", &typed)]).await.expect(303);
        let location = answer.header("location");
        location.strip_prefix(&format!("{AFTER}?code=")).expect("a code").to_owned()
    };
    let exchange =
        async |server: &Server| ann.on(server).app.post("/2fa/token/").json(json!({"code": code})).await;
    let access = exchange(&server).await.ok().text("access_token");
    let server = server.crash();
    server.get("/2fa/devices/").bearer(&access).await.ok();
    exchange(&server).await.refused(400, "INVALID_CODE");
}

#[tokio::test]
async fn a_link_is_handed_over_once() {
    let server = server();
    let ann = Kept::enrolled(&server, "ann").await;
    let link = link(&ann.on(&server)).await;
    let cookies = {
        let mut browser = Browser::new(&server);
        browser.get(&link).await.expect(303);
        browser.cookies
    };
    let server = server.crash();
    let mut second = Browser::new(&server);
    second.get(&link).await.expect(400);
    assert_eq!(second.heading(), "This link has been used");
    let mut first = Browser::new(&server);
    first.cookies = cookies;
    first.get("/2fa/challenge/").await.ok();
    assert_eq!(first.heading(), "Type your code");
}

#[tokio::test]
async fn an_account_link_opens_once() {
    let server = server();
    let ann = Kept::enrolled(&server, "ann").await;
    let made = ann.on(&server).post("/2fa/account/link/").await.ok().text("account_url");
    let link = path(&made);
    let cookies = {
        let mut browser = Browser::new(&server);
        browser.get(link).await.expect(303);
        browser.cookies
    };
    let server = server.crash();
    Browser::new(&server).get(link).await.expect(404);
    let mut first = Browser::new(&server);
    first.cookies = cookies;
    first.get("/2fa/account/").await.ok();
    assert!(first.html.contains("ann@example.com"), "{}", first.html);
}

#[tokio::test]
async fn signing_out_everywhere_holds() {
    let server = server();
    let (ann, bob) = (Kept::enrolled(&server, "ann").await, Kept::enrolled(&server, "bob").await);
    ann.on(&server).post("/2fa/sign-out/").await.ok();
    let server = server.crash();
    ann.on(&server).post("/2fa/sign-out/").await.refused(401, "AUTH_REQUIRED");
    let refresh = json!({"refresh_token": ann.refresh});
    server.post("/2fa/token/refresh/").json(refresh).await.refused(401, "AUTH_REQUIRED");
    bob.on(&server).get("/2fa/devices/").await.ok();
}

#[tokio::test]
async fn an_erased_user_stays_erased() {
    let server = server();
    let ann = Kept::enrolled(&server, "ann").await;
    let delete = "DELETE".parse().expect("a method");
    server.call(delete, "/2fa/users/ann/").bearer(&ann.key).await.ok();
    let server = server.crash();
    let user = ann.on(&server);
    assert_eq!(user.app.state("ann").await["has_2fa_enabled"], false);
    user.get("/2fa/devices/").await.refused(401, "AUTH_REQUIRED");
    assert_eq!(user.app.open_session("ann").await["requires_2fa"], false);
}

#[tokio::test]
async fn an_unlocked_user_stays_unlocked() {
    let server = server();
    let ann = Kept::enrolled(&server, "ann").await;
    {
        let user = ann.on(&server);
        let session = user.challenge().await;
        for wrong in user.phone.wrong_codes(&server, 5).await {
            assert!(user.answer(&session, &wrong).await.status >= 400);
        }
        assert!(user.app.state("ann").await["throttled_until"].is_string());
        user.app.post("/2fa/users/ann/unlock/").await.ok();
    }
    let server = server.crash();
    let mut user = ann.on(&server);
    assert!(user.app.state("ann").await["throttled_until"].is_null());
    user.sign_in().await;
}

#[tokio::test]
async fn a_revoked_api_key_stays_worthless() {
    let server = server();
    let ann = Kept::enrolled(&server, "ann").await;
    let other = server.command(["key", "create", "--app", &ann.app]).await;
    let other = other["api_key"].as_str().expect("a key").to_owned();
    server.command(["key", "revoke", "--app", &ann.app, &ann.key_id]).await;
    let server = server.crash();
    ann.on(&server).app.get("/2fa/users/ann/").await.refused(401, "AUTH_REQUIRED");
    server.get("/2fa/users/ann/").bearer(&other).await.ok();
}

#[tokio::test]
async fn a_device_is_added_and_removed_once() {
    let server = server();
    let ann = Kept::enrolled(&server, "ann").await;
    let (_, tablet) = ann.on(&server).add_device("Tablet").await;
    let server = server.crash();
    let user = ann.on(&server);
    assert_eq!(devices(&user.get("/2fa/devices/").await.ok()), 2);
    let confirm = json!({"device_id": tablet, "code": "123456"});
    user.post("/2fa/setup/confirm/").json(confirm).await.refused(404, "DEVICE_NOT_FOUND");
    let place = format!("/2fa/devices/{tablet}/");
    user.call("DELETE", &place).await.ok();
    let server = server.crash();
    let user = ann.on(&server);
    user.call("DELETE", &place).await.refused(404, "DEVICE_NOT_FOUND");
    assert_eq!(devices(&user.get("/2fa/devices/").await.ok()), 1);
}

#[tokio::test]
async fn a_trusted_browser_has_its_new_token_only() {
    let server = server();
    let ann = Kept::enrolled(&server, "ann").await;
    let open = async |server: &Server, token: &str| {
        let body = json!({"user_id": "ann", "trusted_browser_token": token});
        ann.on(server).app.open_with(body).await.expect(201)
    };
    let (old, new) = {
        let mut user = ann.on(&server);
        let body = json!({"session_id": user.challenge().await, "code": user.fresh_code().await, "trust_device": true});
        let old = server.post("/2fa/verify/").json(body).await.ok().text("trusted_browser_token");
        let new = open(&server, &old).await.text("trusted_browser_token");
        (old, new)
    };
    let server = server.crash();
    let next = open(&server, &new).await;
    assert_eq!(next["requires_2fa"], false, "{next}");
    let again = open(&server, &old).await;
    assert_eq!(again["requires_2fa"], true, "{again}");
}
