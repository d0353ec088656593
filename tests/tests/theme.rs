//! An application's name, logo and accent colour on the pages of its users.

use sidekey_tests::{Answer, App, Browser, Enforcement, Server, Value, json};

/// A picture that would do harm where scripts run.
const SVG: &str =
    "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 8 8'><script>parent.x=1</script></svg>";
const SVG_URI: &str = "data:image/svg+xml;base64,PHN2ZyB4bWxucz0naHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmcnIHZpZXdCb3g9JzAgMCA4IDgnPjxzY3JpcHQ+cGFyZW50Lng9MTwvc2NyaXB0Pjwvc3ZnPg==";

async fn set(app: &App<'_>, body: Value) {
    app.server.call("PATCH".parse().expect("a method"), "/2fa/app/").bearer(&app.key).json(body).await.ok();
}

/// The theme's files that a page names, in order: stylesheet, logo.
fn theme(html: &str) -> Vec<String> {
    let starts = html.split("\"/2fa/theme/").skip(1);
    starts.filter_map(|rest| rest.split('"').next()).map(|name| format!("/2fa/theme/{name}")).collect()
}

fn assert_kept_for_ever(file: &Answer) {
    assert_eq!(file.header("cache-control"), "public, max-age=31536000, immutable");
    assert_eq!(file.header("x-content-type-options"), "nosniff");
    assert_eq!(file.header("cross-origin-resource-policy"), "same-origin");
    assert!(file.header("content-security-policy").starts_with("default-src 'none'"), "{file}");
}

#[tokio::test]
async fn every_page_of_an_app_wears_its_colour_and_its_logo() {
    let server = Server::start();
    let app = server.app(Enforcement::Required).await;
    let before = app.open_session("ann").await.text("enroll_url");
    let mut plain = Browser::new(&server);
    plain.visit(&before).await.ok();
    assert_eq!(theme(&plain.html), Vec::<String>::new());

    set(&app, json!({"name": "Shop & Co", "accent_color": "#ffff00", "logo": SVG_URI})).await;
    plain.get("/2fa/enroll/").await.ok();
    let files = theme(&plain.html);
    assert_eq!(files.len(), 2, "{files:?}");
    let user = app.enrol("bob").await;
    let challenge = app.open_session("bob").await.text("verify_url");
    let account = user.post("/2fa/account/link/").await.ok().text("account_url");
    for url in [challenge, account] {
        let mut browser = Browser::new(&server);
        browser.visit(&url).await.ok();
        assert_eq!(theme(&browser.html), files, "{}", browser.html);
        assert!(browser.html.contains("alt=\"Logo of Shop &#38; Co\""), "{}", browser.html);
    }
    assert_eq!(theme(&server.get("/2fa/account/").await.ok().body()), Vec::<String>::new());
}

#[tokio::test]
async fn a_theme_is_kept_by_browsers_until_it_changes() {
    let server = Server::start();
    let app = server.app(Enforcement::Required).await;
    set(&app, json!({"accent_color": "#ffff00", "logo": SVG_URI})).await;
    let mut browser = Browser::new(&server);
    browser.visit(&app.open_session("ann").await.text("enroll_url")).await.ok();
    let files = theme(&browser.html);
    let css = server.get(&files[0]).await.ok();
    assert_eq!(css.header("content-type"), "text/css; charset=utf-8");
    let (light, dark) =
        css.body().split_once("dark").map(|(a, b)| (a.to_owned(), b.to_owned())).expect("both");
    assert!(light.contains("--fill: #ffff00;") && !light.contains("--accent: #ffff00;"), "{light}");
    assert!(dark.contains("--accent: #ffff00;"), "yellow is read well on dark: {dark}");
    assert_kept_for_ever(&css);
    let again = server.get(&files[0]).header("if-none-match", css.header("etag")).await.expect(304);
    assert!(again.bytes.is_empty());
    assert_eq!(again.header("etag"), css.header("etag"));

    set(&app, json!({"accent_color": "#0000ff"})).await;
    browser.get("/2fa/enroll/").await.ok();
    let changed = theme(&browser.html);
    assert_ne!(changed[0], files[0]);
    assert_eq!(changed[1], files[1], "the logo is what it was");
    server.get(&files[0]).await.refused(404, "NOT_FOUND");
}

#[tokio::test]
async fn a_logo_is_a_picture_and_nothing_more() {
    let server = Server::start();
    let app = server.app(Enforcement::Required).await;
    set(&app, json!({"logo": SVG_URI})).await;
    let mut browser = Browser::new(&server);
    let page = browser.visit(&app.open_session("ann").await.text("enroll_url")).await.ok();
    assert!(page.header("content-security-policy").contains("img-src 'self'"));
    let files = theme(&browser.html);
    assert_eq!(files.len(), 1, "no colour, no stylesheet: {files:?}");
    let logo = server.get(&files[0]).await.ok();
    assert_eq!((logo.header("content-type"), logo.body().as_str()), ("image/svg+xml", SVG));
    assert_kept_for_ever(&logo);
    assert!(logo.header("content-security-policy").ends_with("; sandbox"), "{logo}");
}

#[tokio::test]
async fn nobody_learns_by_guessing_which_apps_there_are() {
    let server = Server::start();
    let app = server.app(Enforcement::Required).await;
    set(&app, json!({"accent_color": "#ffff00", "logo": SVG_URI})).await;
    let tag = "0123456789abcdef0123456789abcdef";
    let unknown = server.get(&format!("/2fa/theme/nobody-{tag}.css")).await.refused(404, "NOT_FOUND");
    for name in [
        format!("{}-{tag}.css", app.id),
        format!("{}-{tag}.svg", app.id),
        format!("{}.css", app.id),
        format!("{}-.css", app.id),
        "-.css".to_owned(),
        "%2e%2e-x.css".to_owned(),
    ] {
        let refused = server.get(&format!("/2fa/theme/{name}")).await.refused(404, "NOT_FOUND");
        assert_eq!(refused["detail"], unknown["detail"]);
    }
}
