//! The pages and their files: headers, and nothing inline or foreign. What people do on them is in `hosted_pages.rs`.

use sidekey_tests::{Answer, Options, Server, wire};

const PAGES: [&str; 6] =
    ["/2fa/enroll/", "/2fa/challenge/", "/2fa/account/", "/2fa/account/device/", "/demo/", "/admin/sign-in/"];

const CSP: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' data:; \
connect-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; \
require-trusted-types-for 'script'; trusted-types 'none'";

/// Values of an attribute in the page, in order.
fn attributes(html: &str, name: &str) -> Vec<String> {
    let start = format!(" {name}=\"");
    html.split(start.as_str()).skip(1).filter_map(|rest| rest.split('"').next()).map(String::from).collect()
}

/// Files that a page or script names by an absolute path.
fn references(page: &Answer) -> Vec<String> {
    let html = page.body();
    let mut all = attributes(&html, "src");
    all.extend(attributes(&html, "href"));
    all
}

#[tokio::test]
async fn every_page_is_private_html_under_a_strict_policy() {
    let server = Server::start();
    for path in PAGES {
        for path in [path, path.trim_end_matches('/')] {
            let page = server.get(path).await.ok();
            assert_eq!(page.header("content-type").to_lowercase(), "text/html; charset=utf-8", "{path}");
            assert_eq!(page.header("content-security-policy"), CSP, "{path}");
            assert_eq!(page.header("cache-control"), "no-store", "{path}");
            assert_eq!(page.header("x-content-type-options"), "nosniff", "{path}");
            assert_eq!(page.header("referrer-policy"), "no-referrer", "{path}");
            assert_eq!(page.header("cross-origin-opener-policy"), "same-origin", "{path}");
        }
    }
}

#[tokio::test]
async fn a_page_holds_nothing_inline_and_nothing_foreign() {
    let server = Server::start();
    for path in PAGES {
        let page = server.get(path).await.ok();
        let html = page.body();
        assert!(html.to_lowercase().starts_with("<!doctype html>"), "{path}");
        for banned in
            ["<style", " style=", "javascript:", " onclick=", " onload=", " onsubmit=", "{{", "}}", "<base"]
        {
            assert!(!html.contains(banned), "{path} holds `{banned}`");
        }
        for script in html.split("<script").skip(1) {
            let (open, rest) = script.split_once('>').expect("a tag that ends");
            if open.contains(" type=\"application/json\"") {
                continue;
            }
            assert!(open.contains(" src="), "{path}: an inline script");
            assert!(rest.trim_start().starts_with("</script>"), "{path}: text inside a script with a source");
        }
        for reference in references(&page) {
            let local = reference.starts_with('/') && !reference.starts_with("//");
            assert!(
                local || reference.starts_with('#') || reference.starts_with("data:"),
                "{path} → {reference}"
            );
        }
        assert!(html.contains("lang=\""), "{path} says its language");
    }
}

#[tokio::test]
async fn every_file_that_a_page_names_is_there_with_its_type() {
    let server = Server::start();
    let mut seen = 0;
    for path in PAGES {
        for reference in references(&server.get(path).await.ok()) {
            if !reference.starts_with("/2fa/assets/") {
                continue;
            }
            seen += 1;
            let file = server.get(&reference).await.ok();
            assert_eq!(file.header("x-content-type-options"), "nosniff", "{reference}");
            let kind = file.header("content-type");
            let expected = match reference.rsplit('.').next() {
                Some("js") => "text/javascript",
                Some("css") => "text/css",
                Some("svg") => "image/svg+xml",
                Some("png") => "image/png",
                other => panic!("{reference}: what is {other:?}?"),
            };
            assert!(kind.starts_with(expected), "{reference}: {kind}");
            assert!(!file.bytes.is_empty());
        }
    }
    assert!(seen >= 6, "pages name their scripts and styles");
}

#[tokio::test]
async fn the_package_is_served_beside_the_pages() {
    let server = Server::start();
    let index = server.get("/2fa/assets/generated/sidekey/index.js").await.ok();
    assert!(index.header("content-type").starts_with("text/javascript"));
    assert_eq!(index.header("x-content-type-options"), "nosniff");
    let bytes = server.get("/2fa/assets/generated/sidekey/generated/bytes.js").await.ok();
    assert!(bytes.bytes.len() > 10_000);
}

#[tokio::test]
async fn a_file_that_the_browser_holds_is_not_sent_again() {
    let server = Server::start();
    let first = server.get("/2fa/assets/scripts/pages.js").await.ok();
    assert_eq!(first.header("cache-control"), "no-cache");
    let tag = first.header("etag").to_owned();
    assert!(tag.starts_with('"') && tag.ends_with('"') && tag.len() > 30, "{tag}");
    let other = server.get("/2fa/assets/styles/base.css").await.ok();
    assert_ne!(other.header("etag"), tag);
    for held in [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}"), "*".to_owned()] {
        let again =
            server.get("/2fa/assets/scripts/pages.js").header("if-none-match", &held).await.expect(304);
        assert!(again.bytes.is_empty(), "{held}");
        assert_eq!((again.header("etag"), again.header("cache-control")), (tag.as_str(), "no-cache"));
    }
    let changed = server.get("/2fa/assets/scripts/pages.js").header("if-none-match", "\"x\"").await.ok();
    assert_eq!(changed.bytes, first.bytes);
}

#[tokio::test]
async fn only_the_assets_themselves_are_served() {
    let server = Server::start();
    for target in [
        "/2fa/assets/",
        "/2fa/assets/nothing.js",
        "/2fa/assets/scripts/",
        "/2fa/assets/../pages/setup.html",
        "/2fa/assets/locales/en.json",
        "/2fa/assets/%2e%2e/Cargo.toml",
        "/2fa/assets/..%2f..%2fCargo.toml",
        "/2fa/assets/scripts/..%5c..%5cCargo.toml",
        "/2fa/assets//etc/passwd",
        "/2fa/assets/%2fetc%2fpasswd",
        "/2fa/assets/scripts/pages.js%00.css",
    ] {
        let answer = wire::exchange(&server, &format!("GET {target} HTTP/1.1"), b"").await;
        assert!([400, 404].contains(&answer.status), "{target}: {answer}");
    }
}

#[tokio::test]
async fn pages_follow_the_base_path() {
    let server = Server::with(Options { base_path: "/api".into(), ..Options::default() });
    for path in PAGES {
        let page = server.get(path).await.ok();
        for reference in references(&page) {
            if reference.starts_with('/') {
                assert!(reference.starts_with("/api/"), "{path} → {reference}");
            }
            if let Some(asset) = reference.strip_prefix("/api").filter(|r| r.starts_with("/2fa/assets/")) {
                server.get(asset).await.ok();
            }
        }
    }
}

#[tokio::test]
async fn the_issuer_is_escaped_where_it_lands() {
    let arguments = vec!["--issuer".to_string(), "Fish & <b>Chips</b>\"'".to_string()];
    let server = Server::with(Options { arguments, ..Options::default() });
    let mut named = 0;
    for path in PAGES {
        let html = server.get(path).await.ok().body();
        assert!(!html.contains("<b>Chips"), "{path}");
        named += usize::from(html.contains("Fish &#38; &#60;b&#62;Chips"));
    }
    assert!(named > 0, "some page shows the issuer");
}

#[tokio::test]
async fn whatever_a_page_refuses_it_refuses_by_a_page() {
    let server = Server::start();
    for path in ["/2fa/enroll/", "/2fa/challenge/", "/2fa/account/", "/2fa/account/device/"] {
        let form = "application/x-www-form-urlencoded";
        let wrong_method = server.call("DELETE".parse().expect("a method"), path).await.expect(405);
        assert!(wrong_method.header("allow").contains("POST"), "{wrong_method}");
        let large = server.post(path).body(form, format!("code={}", "1".repeat(20_000))).await.expect(413);
        let other_type = server.post(path).body("text/plain", "code=1").await.expect(415);
        for answer in [wrong_method, large, other_type] {
            assert_eq!(answer.header("content-type"), "text/html; charset=utf-8", "{path}");
            assert!(answer.header("content-security-policy").starts_with(CSP), "{path}");
        }
    }
}
