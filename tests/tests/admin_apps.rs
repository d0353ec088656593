//! Host applications and their API keys in the admin area.

use sidekey_tests::{Operator, Server, Value};

/// The API key that a page shows.
fn shown_key(html: &str) -> String {
    let after = html.split("id=\"api-key\">").nth(1).unwrap_or_else(|| panic!("no key: {html}"));
    after.split('<').next().unwrap().to_owned()
}

async fn settings(server: &Server, key: &str) -> (u16, Value) {
    let answer = server.get("/2fa/app/").bearer(key).await;
    (answer.status, answer.json.clone())
}

#[tokio::test]
async fn an_app_is_made_changed_and_its_keys_come_and_go() {
    let server = Server::start();
    let mut ann = Operator::create(&server, "ann", "admin").await;
    ann.get("/admin/apps/").await.ok();
    let new = [("action", "create"), ("name", "Shop <1>"), ("id", "shop"), ("enforcement", "required")];
    let new = [&new[..], &[("grace_days", "7"), ("reason", "a new shop")]].concat();
    ann.post("/admin/apps/", &new).await.ok();
    let key = shown_key(&ann.browser.html);
    let (status, told) = settings(&server, &key).await;
    assert_eq!(
        (status, told["name"].as_str(), told["grace_days"].as_u64()),
        (200, Some("Shop <1>"), Some(7))
    );
    ann.get("/admin/apps/").await.ok();
    assert!(!ann.browser.html.contains(&key) && ann.browser.html.contains("?app=shop"));
    ann.post("/admin/apps/", &new).await.expect(400);

    ann.get("/admin/app/?app=shop").await.ok();
    assert!(!ann.browser.html.contains(&key), "it was shown once");
    let change = [
        ("action", "change"),
        ("name", "Shop"),
        ("enforcement", "optional"),
        ("grace_days", ""),
        ("return_urls", "https://shop.example/after\r\nhttps://shop.example/other"),
        ("accent_color", "#a1b2c3"),
        ("reason", "another look"),
    ];
    ann.post("/admin/app/?app=shop", &change).await.expect(303);
    let (_, told) = settings(&server, &key).await;
    assert_eq!(told["return_urls"].as_array().unwrap().len(), 2);
    assert_eq!(
        (told["accent_color"].as_str(), told["enforcement"].as_str()),
        (Some("#a1b2c3"), Some("optional"))
    );
    ann.get("/admin/app/?app=shop").await.ok();
    assert!(ann.browser.html.contains("The settings count from now on."));
    let bad =
        change.map(|(name, value)| if name == "return_urls" { (name, "nowhere") } else { (name, value) });
    ann.post("/admin/app/?app=shop", &bad).await.expect(400);

    ann.get("/admin/app/?app=shop").await.ok();
    ann.post("/admin/app/?app=shop", &[("action", "create-key"), ("reason", "rotation")]).await.ok();
    let second = shown_key(&ann.browser.html);
    ann.get("/admin/app/?app=shop").await.ok();
    let first_id =
        ann.browser.html.split("name=\"key_id\" value=\"").nth(2).unwrap().split('"').next().unwrap();
    let revoke = [("action", "revoke-key"), ("key_id", &*first_id.to_owned()), ("reason", "rotation")];
    ann.post("/admin/app/?app=shop", &revoke).await.expect(303);
    let statuses = [settings(&server, &key).await.0, settings(&server, &second).await.0];
    assert!(statuses == [401, 200] || statuses == [200, 401], "one of the two is worthless: {statuses:?}");

    ann.get("/admin/trail/?app=shop").await.ok();
    let html = &ann.browser.html;
    for (event, reason) in [
        ("app_created", "a new shop"),
        ("app_changed", "another look"),
        ("api_key_created", "rotation"),
        ("api_key_revoked", "rotation"),
    ] {
        assert!(html.contains(&format!("<strong class=\"event\">{event}</strong>")), "{event}: {html}");
        assert!(html.contains(&format!("Reason: <bdi>{reason}</bdi>")), "{reason}: {html}");
    }
    assert!(html.contains("operator ann") && !html.contains(&key) && !html.contains(&second));
    assert!(!server.log().contains(&key) && !server.log().contains(&second));
}

#[tokio::test]
async fn who_is_no_admin_looks_and_changes_nothing() {
    let server = Server::start();
    server.command(["app", "create", "--name", "Shop", "--id", "shop"]).await;
    for role in ["viewer", "support"] {
        let mut bob = Operator::create(&server, role, role).await;
        bob.get("/admin/apps/").await.ok();
        assert!(!bob.browser.html.contains("New application"));
        bob.get("/admin/app/?app=shop").await.ok();
        assert!(!bob.browser.html.contains("Revoke"));
        for action in ["change", "create-key", "revoke-key"] {
            let fields =
                [("action", action), ("name", "Stolen"), ("enforcement", "optional"), ("reason", "mine")];
            bob.post("/admin/app/?app=shop", &fields).await.expect(403);
        }
        let new = [("action", "create"), ("name", "Mine"), ("enforcement", "optional"), ("reason", "mine")];
        bob.post("/admin/apps/", &new).await.expect(403);
    }
    let shown = server.command(["app", "show", "--app", "shop"]).await;
    assert_eq!(shown["name"], "Shop");
    let mut ann = Operator::create(&server, "ann", "admin").await;
    ann.get("/admin/app/?app=nobody").await.expect(404);
    ann.get("/admin/app/?app=Sh%2Fop").await.expect(404);
}
