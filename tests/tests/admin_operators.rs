//! The page of operators: who may change what, with which proof, and what the audit trail keeps of it.

use sidekey_tests::operator::PASSWORD;
use sidekey_tests::{Browser, Operator, Server, Value};

const PAGE: &str = "/admin/operators/";

/// The role of an operator, as the command line lists it.
async fn role(server: &Server, name: &str) -> Option<String> {
    let listed = server.command(["admin", "list"]).await;
    let found = listed.as_array().expect("a list").iter().find(|operator| operator["name"] == name)?;
    found["role"].as_str().map(str::to_owned)
}

/// The entries of these events in the audit trail, oldest first.
async fn entries(server: &Server, event: &str) -> Vec<Value> {
    let printed = server.audit(&["--event", event]).await;
    printed.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[tokio::test]
async fn an_admin_changes_and_removes_operators_and_the_trail_says_who_why_and_from_where() {
    let server = Server::start();
    let mut ann = Operator::create(&server, "ann", "admin").await;
    let mut bob = Operator::create(&server, "bob", "viewer").await;
    ann.get(PAGE).await.ok();
    let fields = [("action", "role"), ("operator", "bob"), ("role", "support"), ("reason", "Ticket 7")];
    ann.post(PAGE, &fields).await.expect(303);
    assert_eq!(role(&server, "bob").await.as_deref(), Some("support"));
    ann.get(PAGE).await.ok();
    assert!(ann.browser.html.contains("The role of bob is support now."));
    ann.get(PAGE).await.ok();
    assert!(!ann.browser.html.contains("The role of bob is support now."), "it is said once");
    bob.get("/admin/").await.ok();
    assert_eq!(bob.browser.heading(), "Sign in to the admin area");

    let fields = [("action", "second-factor"), ("operator", "bob"), ("reason", "Lost phone")];
    ann.post(PAGE, &fields).await.expect(303);
    Operator::enrol(&server, "bob").await;
    ann.get(PAGE).await.ok();
    let fields = [("action", "remove"), ("operator", "bob"), ("reason", "Left")];
    ann.post(PAGE, &fields).await.expect(303);
    assert_eq!(role(&server, "bob").await, None);

    let removed = entries(&server, "operator_removed").await;
    assert_eq!(removed.len(), 1);
    assert_eq!(removed[0]["event"]["operator"], "bob");
    assert_eq!(removed[0]["actor"], sidekey_tests::json!({"kind": "operator", "name": "ann"}));
    assert_eq!((&removed[0]["reason"], &removed[0]["ip_address"]), (&"Left".into(), &"127.0.0.1".into()));
    assert_eq!(entries(&server, "operator_second_factor_reset").await[0]["reason"], "Lost phone");
    assert_eq!(entries(&server, "operator_role_changed").await[0]["event"]["role"], "support");
    assert_eq!(entries(&server, "operator_signed_in").await.len(), 3);
    assert!(!server.log().contains(PASSWORD));
}

#[tokio::test]
async fn nothing_is_changed_without_a_reason_by_the_role_that_may_not_or_for_oneself() {
    let server = Server::start();
    let mut ann = Operator::create(&server, "ann", "admin").await;
    Operator::make(&server, "bob", "viewer").await;
    ann.get(PAGE).await.ok();
    let shown = ann.browser.clone();
    let long = "x".repeat(201);
    for reason in ["", "  ", "a\nb", &long] {
        ann.browser = shown.clone();
        ann.post(PAGE, &[("action", "remove"), ("operator", "bob"), ("reason", reason)]).await.expect(400);
    }
    for operator in ["ann", "ANN"] {
        ann.browser = shown.clone();
        let fields = [("action", "remove"), ("operator", operator), ("reason", "x")];
        ann.post(PAGE, &fields).await.expect(403);
    }
    ann.browser = shown.clone();
    ann.post(PAGE, &[("action", "remove"), ("operator", "nobody"), ("reason", "x")]).await.expect(404);
    for other in ["viewer", "support"] {
        let mut other = Operator::create(&server, &format!("the-{other}"), other).await;
        let token = other.browser.token("/admin/sign-out/").expect("a token");
        other.browser.get(PAGE).await.expect(403);
        let fields = [("action", "remove"), ("operator", "bob"), ("reason", "x"), ("csrf", &token)];
        other.browser.post_as_it_is(PAGE, &fields, &[]).await.expect(403);
    }
    assert!(role(&server, "bob").await.is_some());
}

#[tokio::test]
async fn a_form_counts_only_if_it_is_ours_and_this_browsers() {
    let server = Server::start();
    let mut ann = Operator::create(&server, "ann", "admin").await;
    Operator::make(&server, "bob", "viewer").await;
    let mut other = Operator::create(&server, "eve", "admin").await;
    let (own, foreign) = (token(&mut ann).await, token(&mut other).await);
    let own_site = [("sec-fetch-site", "same-origin")];
    let remove = |csrf: &str| {
        [("action", "remove"), ("operator", "bob"), ("reason", "x"), ("csrf", csrf)]
            .map(|(name, value)| (name, value.to_owned()))
    };
    for (csrf, headers) in [
        ("", &own_site[..]),
        (foreign.as_str(), &own_site[..]),
        (own.as_str(), &[("sec-fetch-site", "cross-site")][..]),
        (own.as_str(), &[("origin", "https://evil.example")][..]),
    ] {
        let fields = remove(csrf);
        let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        ann.browser.post_as_it_is(PAGE, &fields, headers).await.expect(403);
    }
    assert!(role(&server, "bob").await.is_some());
    let fields = remove(&own);
    let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    ann.browser.post_as_it_is(PAGE, &fields, &own_site).await.expect(303);
    assert!(role(&server, "bob").await.is_none());
}

/// The token of the forms of an operator's page.
async fn token(operator: &mut Operator<'_>) -> String {
    operator.get(PAGE).await.ok();
    operator.browser.token(PAGE).expect("a token")
}

#[tokio::test]
async fn an_old_second_factor_is_asked_for_again_and_what_was_asked_for_is_done_then() {
    let server = Server::start();
    let mut ann = Operator::create(&server, "ann", "admin").await;
    Operator::make(&server, "bob", "viewer").await;
    server.advance(15 * 60).await;
    ann.get(PAGE).await.ok();
    let fields = [("action", "role"), ("operator", "bob"), ("role", "admin"), ("reason", "A & B")];
    ann.post(PAGE, &fields).await.expect(401);
    assert_eq!(ann.browser.heading(), "Confirm that it is you");
    let kept = |browser: &Browser<'_>| -> Vec<(&'static str, String)> {
        let hidden = |name| (name, browser.hidden(name).expect("kept").replace("&#38;", "&"));
        ["action", "operator", "role", "reason"].map(hidden).to_vec()
    };
    let mut again = kept(&ann.browser);
    assert_eq!(again[3].1, "A & B");
    let wrong = ann.phone.wrong_code(&server).await;
    again.push(("confirm_code", wrong));
    let fields: Vec<_> = again.iter().map(|(name, value)| (*name, value.as_str())).collect();
    ann.post(PAGE, &fields).await.expect(400);
    assert_eq!(role(&server, "bob").await.as_deref(), Some("viewer"));

    let mut again = kept(&ann.browser);
    let code = ann.phone.fresh_code(&server).await;
    again.push(("confirm_code", code));
    let fields: Vec<_> = again.iter().map(|(name, value)| (*name, value.as_str())).collect();
    ann.post(PAGE, &fields).await.expect(303);
    assert_eq!(role(&server, "bob").await.as_deref(), Some("admin"));
    ann.get(PAGE).await.ok();
    let fields = [("action", "remove"), ("operator", "bob"), ("reason", "x")];
    ann.post(PAGE, &fields).await.expect(303);
}
