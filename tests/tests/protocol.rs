//! The conventions of the contract: paths, methods, bodies, errors.

use sidekey_tests::{Answer, Enforcement, Options, Server, json, wire};

/// Method and path of every route that anyone may try.
const ROUTES: [(&str, &str); 20] = [
    ("GET", "/2fa/authz/"),
    ("POST", "/2fa/sessions/"),
    ("GET", "/2fa/sessions/x/"),
    ("POST", "/2fa/setup/"),
    ("POST", "/2fa/setup/confirm/"),
    ("POST", "/2fa/verify/"),
    ("POST", "/2fa/verify/backup/"),
    ("GET", "/2fa/devices/"),
    ("GET", "/2fa/activity/"),
    ("DELETE", "/2fa/devices/x/"),
    ("PATCH", "/2fa/devices/x/"),
    ("POST", "/2fa/disable/"),
    ("GET", "/2fa/backup-codes/"),
    ("POST", "/2fa/backup-codes/regenerate/"),
    ("POST", "/2fa/token/refresh/"),
    ("POST", "/2fa/token/revoke/"),
    ("POST", "/2fa/token/introspect/"),
    ("GET", "/2fa/users/x/"),
    ("POST", "/2fa/token/"),
    ("POST", "/2fa/account/link/"),
];

async fn send(server: &Server, method: &str, path: &str) -> Answer {
    server.call(method.parse().expect("a method"), path).await
}

#[tokio::test]
async fn every_path_is_served_without_its_last_slash_and_never_redirected() {
    let server = Server::start();
    for (method, path) in ROUTES {
        let with = send(&server, method, path).await;
        let without = send(&server, method, path.trim_end_matches('/')).await;
        assert_ne!(with["code"], "NOT_FOUND", "{with}");
        assert_eq!((with.status, &with["code"]), (without.status, &without["code"]), "{without}");
    }
    let app = server.app(Enforcement::Optional).await;
    app.post("/2fa/sessions").json(json!({"user_id": "ann"})).await.expect(201);
    app.get("/2fa/users/ann").await.ok();
}

#[tokio::test]
async fn a_query_does_not_change_the_route() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    app.get("/2fa/users/ann/?x=1").await.ok();
    app.get("/2fa/users/ann?x=1").await.ok();
}

#[tokio::test]
async fn a_base_path_stands_before_everything() {
    let server = Server::with(Options { base_path: "/api".into(), ..Options::default() });
    let app = server.app(Enforcement::Required).await;
    let opened = app.open_session("ann").await;
    assert!(opened.text("enroll_url").contains("/api/2fa/enroll/?link="), "{opened}");
    let token = opened.text("enrollment_token");
    server.post("/2fa/setup/").bearer(&token).json(json!({})).await.ok();
    let bare = wire::exchange(&server, "POST /2fa/setup/ HTTP/1.1\nContent-Length: 0", b"").await;
    bare.refused(404, "NOT_FOUND");
    wire::exchange(&server, "GET /apix/2fa/devices/ HTTP/1.1", b"").await.refused(404, "NOT_FOUND");
}

#[tokio::test]
async fn an_unknown_path_is_not_found() {
    let server = Server::start();
    for path in [
        "/",
        "/2fa/",
        "/2fa/nothing/",
        "/2fa/setup/x/",
        "/2fa/devices/a/b/",
        "/2fa/users/",
        "/api/2fa/setup/",
    ] {
        for method in ["GET", "POST"] {
            send(&server, method, path).await.refused(404, "NOT_FOUND");
        }
    }
}

#[tokio::test]
async fn another_method_on_a_known_path_names_the_allowed_ones() {
    let server = Server::start();
    for (path, wrong, allowed) in [
        ("/2fa/verify/", "GET", vec!["POST"]),
        ("/2fa/verify", "DELETE", vec!["POST"]),
        ("/2fa/setup/", "PUT", vec!["POST"]),
        ("/2fa/devices/", "POST", vec!["GET"]),
        ("/2fa/devices/x/", "GET", vec!["DELETE", "PATCH"]),
        ("/2fa/users/x/", "POST", vec!["DELETE", "GET"]),
        ("/2fa/backup-codes/", "DELETE", vec!["GET"]),
        ("/2fa/token/refresh/", "GET", vec!["POST"]),
        ("/healthz", "POST", vec!["GET"]),
        ("/.well-known/jwks.json", "POST", vec!["GET"]),
    ] {
        let refusal = send(&server, wrong, path).await.refused(405, "METHOD_NOT_ALLOWED");
        let allow = refusal.header("allow").to_string();
        let named: Vec<&str> = allow.split(',').map(str::trim).collect();
        assert!(
            allowed.iter().all(|method| named.contains(method)) && !named.contains(&wrong),
            "{path}: {allow}"
        );
    }
}

#[tokio::test]
async fn a_body_of_another_type_is_refused() {
    let server = Server::start();
    let body = r#"{"session_id":"x","code":"123456"}"#;
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/jsonx",
        "",
    ] {
        let refusal = server.post("/2fa/verify/").body(kind, body).await;
        refusal.refused(415, "UNSUPPORTED_MEDIA_TYPE");
    }
    let head = format!("POST /2fa/verify/ HTTP/1.1\nContent-Length: {}", body.len());
    wire::exchange(&server, &head, body.as_bytes()).await.refused(415, "UNSUPPORTED_MEDIA_TYPE");
    for kind in ["application/json", "application/json; charset=utf-8", "Application/JSON;charset=UTF-8"] {
        server.post("/2fa/verify/").body(kind, body).await.refused(404, "SESSION_NOT_FOUND");
    }
}

#[tokio::test]
async fn a_body_over_sixteen_kib_is_refused_however_it_is_sent() {
    let server = Server::start();
    let body = |size: usize| {
        let frame = r#"{"session_id":"x","code":"123456","padding":""}"#;
        frame.replace(r#""padding":"""#, &format!(r#""padding":"{}""#, "x".repeat(size - frame.len())))
    };
    let json = "application/json";
    server.post("/2fa/verify/").body(json, body(16 * 1024)).await.refused(404, "SESSION_NOT_FOUND");
    server.post("/2fa/verify/").body(json, body(16 * 1024 + 1)).await.refused(413, "PAYLOAD_TOO_LARGE");
    server.post("/2fa/verify/").body(json, body(1024 * 1024)).await.refused(413, "PAYLOAD_TOO_LARGE");
    // Declared, but never sent: refused by the declaration alone.
    let head = "POST /2fa/verify/ HTTP/1.1\nContent-Type: application/json\nContent-Length: 99999999999";
    wire::exchange(&server, head, b"{").await.refused(413, "PAYLOAD_TOO_LARGE");
}

#[tokio::test]
async fn a_body_that_may_be_left_out_is_still_refused_where_it_is_too_large_or_of_another_type() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    app.enrol("ann").await;
    let call = |method: &str, path| server.call(method.parse().expect("a method"), path).bearer(&app.key);
    for (method, path) in [("POST", "/2fa/users/ann/unlock/"), ("DELETE", "/2fa/users/ann/")] {
        let large = json!({"padding": "x".repeat(20 * 1024)}).to_string();
        let refusal = call(method, path).body("application/json", large).await;
        refusal.refused(413, "PAYLOAD_TOO_LARGE");
        call(method, path).body("text/plain", "x").await.refused(415, "UNSUPPORTED_MEDIA_TYPE");
        call(method, path).body("application/json", "[").await.refused(400, "VALIDATION_ERROR");
        assert_eq!(app.state("ann").await["has_2fa_enabled"], true, "nothing was done");
        call(method, path).json(json!({})).await.ok();
    }
    assert_eq!(app.state("ann").await["has_2fa_enabled"], false);
}

#[tokio::test]
async fn a_chunked_body_is_read_up_to_the_limit() {
    let server = Server::start();
    let head = "POST /2fa/verify/ HTTP/1.1\nContent-Type: application/json\nTransfer-Encoding: chunked";
    let small = b"12\r\n{\"session_id\":\"x\",\r\n11\r\n\"code\":\"123456\"  \r\n1\r\n}\r\n0\r\n\r\n";
    wire::exchange(&server, head, small).await.refused(404, "SESSION_NOT_FOUND");
    let mut large = b"1\r\n{\r\n".to_vec();
    for _ in 0..20 {
        large.extend_from_slice(b"400\r\n");
        large.extend_from_slice(&[b' '; 1024]);
        large.extend_from_slice(b"\r\n");
    }
    large.extend_from_slice(b"0\r\n\r\n");
    wire::exchange(&server, head, &large).await.refused(413, "PAYLOAD_TOO_LARGE");
}

#[tokio::test]
async fn what_is_not_json_or_has_a_wrong_type_is_a_validation_error() {
    let server = Server::start();
    let deep = "[".repeat(8000);
    for body in [
        "",
        "{",
        "}",
        "null",
        "[]",
        "7",
        "\"x\"",
        "{'session_id':'x'}",
        "{\"session_id\":\"x\"",
        "{\"session_id\":\"x\"} x",
        "{\"session_id\":NaN}",
        "{\"session_id\":\"\\ud800\"}",
        &deep,
    ] {
        let refusal = server.post("/2fa/verify/").body("application/json", body.to_string()).await;
        refusal.refused(400, "VALIDATION_ERROR");
    }
    let broken =
        server.post("/2fa/verify/").body("application/json", vec![b'{', b'"', 0xff, b'"', b':', b'1', b'}']);
    broken.await.refused(400, "VALIDATION_ERROR");
}

#[tokio::test]
async fn an_error_never_repeats_what_was_sent() {
    let server = Server::start();
    let marker = "zebra-4711";
    for body in [
        json!({"session_id": marker, "code": "123456"}),
        json!({"session_id": "x", "code": marker}),
        json!({"session_id": [marker], "code": marker}),
        json!(marker),
    ] {
        let refusal = server.post("/2fa/verify/").json(body).await;
        assert!(refusal.status >= 400 && !refusal.body().contains(marker), "{refusal}");
    }
    let refusal = server.post("/2fa/verify/").body("application/json", marker).await;
    assert!(!refusal.body().contains(marker), "{refusal}");
    let refusal = server.post("/2fa/token/refresh/").json(json!({"refresh_token": marker})).await;
    assert!(!refusal.body().contains(marker), "{refusal}");
}

#[tokio::test]
async fn unknown_fields_are_ignored() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    let session = user.challenge().await;
    let code = user.fresh_code().await;
    let body =
        json!({"session_id": session, "code": code, "colour": "blue", "nested": {"a": [1, 2]}, "": null});
    server.post("/2fa/verify/").json(body).await.ok();
}

#[tokio::test]
async fn an_optional_field_may_be_null() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let body = json!({"user_id": "ann", "account_name": null, "ip_address": null, "return_url": null, "remember_me": null});
    let token = app.open_with(body).await.expect(201).text("access_token");
    let body = json!({"device_name": null, "restart": null});
    server.post("/2fa/setup/").bearer(&token).json(body).await.ok();
}

#[tokio::test]
async fn head_and_options_are_answered_sanely() {
    let server = Server::start();
    for path in ["/healthz", "/2fa/devices/", "/2fa/enroll/", "/.well-known/jwks.json"] {
        let get = server.get(path).await;
        let head = wire::exchange(&server, &format!("HEAD {path} HTTP/1.1"), b"").await;
        assert_eq!(head.status, get.status, "HEAD answers as GET does: {head}");
    }
    for (_, path) in ROUTES {
        let options = wire::exchange(&server, &format!("OPTIONS {path} HTTP/1.1"), b"").await;
        assert!([200, 204, 405].contains(&options.status), "{options}");
        assert!(!options.header("allow").is_empty(), "{options}");
    }
    for method in ["TRACE", "PROPFIND", "CONNECT"] {
        let answer = wire::raw(
            &server,
            format!("{method} /2fa/verify/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes(),
        )
        .await;
        let text = String::from_utf8_lossy(&answer);
        assert!(text.starts_with("HTTP/1.1 4") || text.starts_with("HTTP/1.1 501"), "{text}");
    }
}

#[tokio::test]
async fn every_answer_has_a_request_id_of_its_own() {
    let server = Server::start();
    let (one, two) = (server.get("/healthz").await, server.get("/2fa/nothing/").await);
    assert_ne!(one.header("x-request-id"), two.header("x-request-id"));
}

#[tokio::test]
async fn a_path_that_is_not_canonical_reaches_nothing() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    app.open_session("ann").await;
    for target in [
        "//2fa/users/ann/",
        "/2fa//users/ann/",
        "/2fa/./users/ann/",
        "/2fa/../2fa/users/ann/",
        "/2fa/%2e/users/ann/",
        "/x/%2e%2e/2fa/users/ann/",
        "/2fa%2fusers/ann/",
        "/2fa/users%2Fann/",
        "/2fa/users/ann/;x=1",
        "/2fa/users;x=1/ann/",
        "/2fa\\users\\ann\\",
        "/2fa/users/ann//",
        "/2FA/users/ann/",
        "/2fa/users/%zz/",
        "/2fa/users/%ff/",
        "/2fa/users/%00/",
    ] {
        let head = format!("GET {target} HTTP/1.1\nAuthorization: Bearer {}", app.key);
        let answer = wire::exchange(&server, &head, b"").await;
        assert!([400, 404].contains(&answer.status), "{target}: {answer}");
    }
}

#[tokio::test]
async fn broken_http_harms_only_its_own_connection() {
    let server = Server::start();
    let long = format!("GET /healthz HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "x".repeat(1 << 20));
    for bytes in [
        b"garbage\r\n\r\n".as_slice(),
        b"\0\0\0\0\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n",
        b"POST /2fa/verify/ HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n{}",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        long.as_bytes(),
    ] {
        let answer = wire::raw(&server, bytes).await;
        let text = String::from_utf8_lossy(&answer);
        assert!(
            text.is_empty() || text.starts_with("HTTP/1.1 4") || text.starts_with("HTTP/1.1 505"),
            "{text}"
        );
    }
    server.get("/healthz").await.ok();
    assert!(!server.log().contains("panicked"), "{}", server.log());
}

#[tokio::test]
async fn health_and_readiness_are_told_to_anyone() {
    let server = Server::start();
    server.get("/healthz").await.ok();
    server.get("/readyz").await.ok();
}

#[tokio::test]
async fn metrics_are_prometheus_text_and_name_no_user() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let user = app.enrol("ann-the-user").await;
    let session = user.challenge().await;
    let answer = server.get("/metrics").await.ok();
    assert!(answer.header("content-type").starts_with("text/plain"), "{answer}");
    let text = answer.body();
    assert!(text.contains("# TYPE "), "{text}");
    for private in ["ann-the-user", &session, &user.device, &app.key] {
        assert!(!text.contains(private), "{text}");
    }
}

// That it describes the routes and the codes that there are is tested beside them, in the server.
#[tokio::test]
async fn the_openapi_document_is_served_with_the_servers_own_address() {
    let server = Server::start();
    let answer = server.get("/openapi.json").await.ok();
    assert!(answer.text("openapi").starts_with("3."), "{answer}");
    assert_eq!(answer["servers"][0]["url"], server.url(""));
}

#[tokio::test]
async fn no_other_origin_may_read_an_answer() {
    let server = Server::start();
    let preflight =
        "OPTIONS /2fa/verify/ HTTP/1.1\nOrigin: https://evil.example\nAccess-Control-Request-Method: POST";
    let answers = [
        wire::exchange(&server, preflight, b"").await,
        server.get("/healthz").header("origin", "https://evil.example").await,
        server.post("/2fa/verify/").header("origin", "https://evil.example").json(json!({})).await,
    ];
    for answer in answers {
        assert!(answer.headers.keys().all(|name| !name.as_str().starts_with("access-control-")), "{answer}");
    }
}

#[tokio::test]
async fn no_text_in_any_field_brings_a_server_error() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let user = app.enrol("ann").await;
    let long = "x".repeat(15_000);
    let device = format!("/2fa/devices/{}/", user.device);
    let texts = [
        "",
        " ",
        "\u{0}",
        "\r\nX-Evil: 1",
        "\u{202e}",
        "\u{feff}",
        "\u{10ffff}",
        "%00%0a",
        "../../x",
        "'\"<b>",
        &long,
    ];
    for text in texts {
        for (method, path, fields, bearer) in [
            ("POST", "/2fa/sessions/", vec!["user_id"], &app.key),
            (
                "POST",
                "/2fa/sessions/",
                vec!["account_name", "ip_address", "user_agent", "return_url"],
                &app.key,
            ),
            ("POST", "/2fa/sessions/", vec!["trusted_browser_token"], &app.key),
            ("POST", "/2fa/setup/", vec!["device_name"], &user.access),
            ("POST", "/2fa/setup/confirm/", vec!["device_id", "code"], &user.access),
            ("PATCH", device.as_str(), vec!["name"], &user.access),
            ("POST", "/2fa/verify/", vec!["session_id", "code", "next_code"], &app.key),
            ("POST", "/2fa/verify/backup/", vec!["session_id", "backup_code"], &app.key),
            ("POST", "/2fa/disable/", vec!["code"], &user.access),
            ("POST", "/2fa/disable/", vec!["backup_code"], &user.access),
            ("POST", "/2fa/token/refresh/", vec!["refresh_token"], &app.key),
            ("POST", "/2fa/token/revoke/", vec!["token"], &app.key),
            ("POST", "/2fa/token/introspect/", vec!["token"], &app.key),
            ("POST", "/2fa/token/", vec!["code"], &app.key),
            ("POST", "/2fa/account/link/", vec!["sid"], &app.key),
        ] {
            for field in fields {
                let mut body = json!({"user_id": "bob", "session_id": "x", "device_id": user.device});
                body[field] = json!(text);
                let call = server.call(method.parse().expect("a method"), path).bearer(bearer);
                let answer = call.json(body).await;
                assert!(answer.status < 500, "{field} of {path} as `{text:.20}`: {answer}");
            }
        }
    }
    assert_eq!(app.state("ann").await["has_2fa_enabled"], true);
}
