//! Signing in to the admin area over HTTP, without scripts.

use sidekey_tests::operator::PASSWORD;
use sidekey_tests::{Browser, Operator, Server};

#[tokio::test]
async fn without_operators_the_page_says_how_the_first_is_made() {
    let server = Server::start();
    let mut browser = Browser::new(&server);
    browser.visit("/admin/").await.ok();
    assert!(browser.html.contains("sidekey admin create"));
    Operator::make(&server, "ann", "admin").await;
    browser.visit("/admin/").await.ok();
    assert!(browser.html.contains("name=\"password\""));
}

#[tokio::test]
async fn an_unknown_name_looks_like_a_wrong_password() {
    let server = Server::start();
    Operator::make(&server, "ann", "admin").await;
    let mut pages = Vec::new();
    for (name, password) in [("ann", "wrong horse battery"), ("bob", PASSWORD), ("", ""), ("a b", PASSWORD)] {
        let mut browser = Browser::new(&server);
        browser.visit("/admin/").await.ok();
        browser.post("/admin/sign-in/", &[("name", name), ("password", password)]).await.expect(403);
        assert!(browser.cookies.is_empty());
        pages.push(browser.html.replace(&format!("value=\"{name}\""), "value=\"\""));
    }
    assert!(pages.iter().all(|page| *page == pages[0]), "{pages:?}");
}

#[tokio::test]
async fn whoever_signs_out_is_out() {
    let server = Server::start();
    let mut ann = Operator::create(&server, "ann", "viewer").await;
    assert_eq!(ann.browser.heading(), "Overview");
    let before = ann.browser.clone();
    ann.post("/admin/sign-out/", &[]).await.expect(303);
    for mut browser in [ann.browser, before] {
        browser.visit("/admin/").await.ok();
        assert_eq!(browser.heading(), "Sign in to the admin area");
    }
}
