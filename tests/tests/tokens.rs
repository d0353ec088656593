//! Rule 7 (tokens) and the freshness of rule 5.

use data_encoding::BASE64URL_NOPAD;
use sidekey_tests::{Answer, Enforcement, Server, Value, json, jwt};

const DAY: u64 = 86_400;

async fn refresh(server: &Server, token: &str) -> Answer {
    server.post("/2fa/token/refresh/").json(json!({"refresh_token": token})).await
}

#[tokio::test]
async fn a_jwt_library_verifies_an_access_token_through_the_jwks() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    let token = user.sign_in().await.text("access_token");
    let claims = jwt::verified(&server, &token, &app.id).await;
    let now = server.now().await;

    let header = jwt::header(&token);
    assert_eq!(header["typ"], "at+jwt");
    assert_eq!(header["alg"], "ES256");
    assert!(header["kid"].is_string() && header.as_object().map(serde_json::Map::len) == Some(3), "{header}");

    let mut names: Vec<&String> = claims.as_object().expect("an object").keys().collect();
    names.sort();
    assert_eq!(names, ["acr", "amr", "aud", "auth_time", "exp", "iat", "iss", "jti", "sid", "sub"]);
    assert_eq!(claims["sub"], "ann");
    assert_eq!(claims["aud"], app.id.as_str());
    assert!(claims["iss"].as_str().is_some_and(|iss| iss.starts_with("http")), "{claims}");
    let time = |name: &str| claims[name].as_u64().unwrap_or_else(|| panic!("`{name}` of {claims}"));
    assert_eq!(time("exp") - time("iat"), 900);
    assert!(time("iat") <= now && time("iat") + 60 > now);
    assert!(time("auth_time") <= now && time("auth_time") + 60 > now);
    assert_eq!(claims["amr"], json!(["otp", "mfa"]));
    assert_eq!(claims["acr"], "urn:sidekey:acr:2fa");
}

#[tokio::test]
async fn the_jwks_shows_public_keys_only() {
    let server = Server::start();
    let answer = server.get("/.well-known/jwks.json").await.ok();
    let keys = answer["keys"].as_array().expect("a list");
    assert!(!keys.is_empty());
    for key in keys {
        assert_eq!((&key["kty"], &key["crv"]), (&json!("EC"), &json!("P-256")));
        assert_eq!((&key["use"], &key["alg"]), (&json!("sig"), &json!("ES256")));
        assert!(key["kid"].as_str().is_some_and(|kid| !kid.is_empty()));
        assert!(key.get("d").is_none(), "a private key");
        for part in ["x", "y"] {
            let bytes = BASE64URL_NOPAD.decode(key[part].as_str().expect("text").as_bytes());
            assert_eq!(bytes.map(|b| b.len()), Ok(32));
        }
    }
}

#[tokio::test]
async fn a_token_without_second_factor_claims_none() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let token = app.open_session("ann").await.text("access_token");
    let claims = jwt::verified(&server, &token, &app.id).await;
    assert_eq!(claims["amr"], json!([]));
    assert_eq!(claims["acr"], "urn:sidekey:acr:1fa");
    let refreshed = refresh(&server, &app.open_session("ann").await.text("refresh_token")).await.ok();
    assert_eq!(jwt::claims(&refreshed.text("access_token"))["amr"], json!([]));
}

#[tokio::test]
async fn the_token_of_confirm_proves_the_second_factor() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let user = app.enrol("ann").await;
    assert_eq!(jwt::verified(&server, &user.access, &app.id).await["amr"], json!(["otp", "mfa"]));
}

#[tokio::test]
async fn every_token_has_its_own_jti_and_every_login_its_own_sid() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    let first = user.sign_in().await;
    let second = user.sign_in().await;
    let third = refresh(&server, &second.text("refresh_token")).await.ok();
    let of = |answer: &Answer, name: &str| jwt::claims(&answer.text("access_token"))[name].clone();
    assert_ne!(of(&first, "jti"), of(&second, "jti"));
    assert_ne!(of(&second, "jti"), of(&third, "jti"));
    assert_ne!(of(&first, "sid"), of(&second, "sid"));
    assert_eq!(of(&second, "sid"), of(&third, "sid"), "a refresh stays within the login");
}

#[tokio::test]
async fn an_access_token_lives_for_fifteen_minutes() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let user = app.enrol("ann").await;
    server.advance(840).await;
    user.get("/2fa/devices/").await.ok();
    server.advance(61).await;
    user.get("/2fa/devices/").await.refused(401, "AUTH_REQUIRED");
}

#[tokio::test]
async fn a_token_that_was_touched_opens_nothing() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let (user, other) = (app.enrol("ann").await, app.enrol("bob").await);
    let parts: Vec<&str> = user.access.split('.').collect();
    let encode = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    let mut claims = jwt::claims(&user.access);
    claims["sub"] = json!("bob");
    let forged = encode(&claims);
    let mut header = jwt::header(&user.access);
    header["alg"] = json!("none");
    let none = encode(&header);
    header["alg"] = json!("HS256");
    let hmac = encode(&header);
    header["alg"] = json!("ES256");
    header["kid"] = json!("unknown");
    let kid = encode(&header);
    header["kid"] = jwt::header(&user.access)["kid"].clone();
    header["typ"] = json!("JWT");
    let typ = encode(&header);
    let foreign = other.access.split('.').nth(2).expect("a signature");
    for token in [
        format!("{}.{forged}.{}", parts[0], parts[2]),
        format!("{none}.{forged}."),
        format!("{none}.{}.", parts[1]),
        format!("{hmac}.{forged}.{}", parts[2]),
        format!("{kid}.{}.{}", parts[1], parts[2]),
        format!("{typ}.{}.{}", parts[1], parts[2]),
        format!("{}.{}.{foreign}", parts[0], parts[1]),
        format!("{}.{}.", parts[0], parts[1]),
        format!("{}.{}", parts[0], parts[1]),
        format!("{}.{}.{}.", parts[0], parts[1], parts[2]),
        user.refresh.clone(),
    ] {
        server.get("/2fa/devices/").bearer(&token).await.refused(401, "AUTH_REQUIRED");
    }
}

#[tokio::test]
async fn a_refresh_token_rotates_at_every_use() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let user = app.enrol("ann").await;
    let mut token = user.refresh.clone();
    for _ in 0..5 {
        let answer = refresh(&server, &token).await.ok();
        assert_eq!(answer["token_type"], "Bearer");
        assert_eq!(answer["expires_in"], 900);
        assert_ne!(answer.text("refresh_token"), token);
        token = answer.text("refresh_token");
        server.get("/2fa/devices/").bearer(&answer.text("access_token")).await.ok();
    }
}

#[tokio::test]
async fn the_use_of_a_spent_refresh_token_revokes_its_whole_family_but_no_other() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    let other_login = user.refresh.clone();
    let first = user.sign_in().await.text("refresh_token");
    let second = refresh(&server, &first).await.ok().text("refresh_token");
    let third = refresh(&server, &second).await.ok().text("refresh_token");
    refresh(&server, &first).await.refused(401, "AUTH_REQUIRED");
    for token in [&third, &second, &first] {
        refresh(&server, token).await.refused(401, "AUTH_REQUIRED");
    }
    refresh(&server, &other_login).await.ok();
}

#[tokio::test]
async fn a_client_that_lost_the_answer_may_ask_again_with_its_idempotency_key() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let user = app.enrol("ann").await;
    let ask = |token: &str, key: &str| {
        let body = json!({"refresh_token": token});
        server.post("/2fa/token/refresh/").header("idempotency-key", key).json(body)
    };
    let first = ask(&user.refresh, "attempt-1").await.ok();
    let again = ask(&user.refresh, "attempt-1").await.ok();
    assert_eq!(first["refresh_token"], again["refresh_token"]);
    let next = refresh(&server, &first.text("refresh_token")).await.ok().text("refresh_token");
    let other = ask(&next, "attempt-2").await.ok().text("refresh_token");
    ask(&next, "attempt-3").await.refused(401, "AUTH_REQUIRED");
    refresh(&server, &other).await.refused(401, "AUTH_REQUIRED");
}

#[tokio::test]
async fn ten_seconds_later_the_same_idempotency_key_is_a_theft() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let user = app.enrol("ann").await;
    let ask = || {
        let body = json!({"refresh_token": user.refresh});
        server.post("/2fa/token/refresh/").header("idempotency-key", "attempt").json(body)
    };
    let heir = ask().await.ok().text("refresh_token");
    server.advance(11).await;
    ask().await.refused(401, "AUTH_REQUIRED");
    refresh(&server, &heir).await.refused(401, "AUTH_REQUIRED");
}

#[tokio::test]
async fn a_refresh_token_lives_for_seven_days() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    let (one, two) = (user.sign_in().await.text("refresh_token"), user.sign_in().await.text("refresh_token"));
    server.advance(7 * DAY - 300).await;
    refresh(&server, &one).await.ok();
    server.advance(301).await;
    refresh(&server, &two).await.refused(401, "AUTH_REQUIRED");
}

#[tokio::test]
async fn a_remembered_login_lives_for_thirty_days() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    let mut tokens = Vec::new();
    for _ in 0..2 {
        let opened = app.open_with(json!({"user_id": "ann", "remember_me": true})).await.expect(201);
        let code = user.fresh_code().await;
        tokens.push(user.answer(&opened.text("session_id"), &code).await.ok().text("refresh_token"));
    }
    server.advance(30 * DAY - 300).await;
    refresh(&server, &tokens[0]).await.ok();
    server.advance(301).await;
    refresh(&server, &tokens[1]).await.refused(401, "AUTH_REQUIRED");
}

#[tokio::test]
async fn unknown_and_malformed_refresh_tokens_answer_alike() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let user = app.enrol("ann").await;
    let long = "A".repeat(5000);
    let mut bodies = Vec::new();
    for token in [&"A".repeat(43), "x", "", &long, &user.access, &app.key] {
        bodies.push(refresh(&server, token).await.refused(401, "AUTH_REQUIRED").json);
    }
    assert!(bodies.iter().all(|body| body == &bodies[0]), "{bodies:?}");
    let post = |body| server.post("/2fa/token/refresh/").json(body);
    post(json!({})).await.invalid("refresh_token");
    post(json!({"refresh_token": 7})).await.refused(400, "VALIDATION_ERROR");
}

#[tokio::test]
async fn revoking_ends_the_whole_login_and_always_answers_the_same() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    let other = user.refresh.clone();
    for name in ["refresh_token", "token"] {
        let spent = user.sign_in().await.text("refresh_token");
        let current = refresh(&server, &spent).await.ok().text("refresh_token");
        let known = server.post("/2fa/token/revoke/").json(json!({name: current})).await.ok();
        let unknown = server.post("/2fa/token/revoke/").json(json!({name: "A".repeat(43)})).await.ok();
        assert_eq!(known.json, unknown.json);
        refresh(&server, &current).await.refused(401, "AUTH_REQUIRED");
    }
    refresh(&server, &other).await.ok();
}

#[tokio::test]
async fn no_refresh_moves_the_time_of_the_second_factor() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    let answer = user.sign_in().await;
    let auth_time = jwt::claims(&answer.text("access_token"))["auth_time"].clone();
    server.advance(601).await;
    let renewed = refresh(&server, &answer.text("refresh_token")).await.ok();
    let access = renewed.text("access_token");
    let claims = jwt::verified(&server, &access, &app.id).await;
    assert_eq!(claims["auth_time"], auth_time);
    assert!(claims["iat"].as_u64() >= auth_time.as_u64().map(|t| t + 601));
    server.get("/2fa/devices/").bearer(&access).await.ok();
    server.post("/2fa/setup/").bearer(&access).json(json!({})).await.refused(401, "2FA_REQUIRED");
}

#[tokio::test]
async fn a_stale_second_factor_is_refused_as_rfc_9470_says_and_stepping_up_cures_it() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    server.advance(590).await;
    user.post("/2fa/setup/").json(json!({})).await.ok();
    server.advance(61).await;
    let refusal = user.post("/2fa/setup/").json(json!({})).await.refused(401, "2FA_REQUIRED");
    assert_eq!(refusal["max_age"], 600);
    let challenge = refusal.header("www-authenticate");
    assert!(challenge.starts_with("Bearer "), "{challenge}");
    assert!(challenge.contains(r#"error="insufficient_user_authentication""#), "{challenge}");
    assert!(challenge.contains("max_age=600") || challenge.contains(r#"max_age="600""#), "{challenge}");

    let step_up = user.post("/2fa/sessions/").json(json!({})).await.expect(201).text("session_id");
    let code = user.fresh_code().await;
    let access = user.answer(&step_up, &code).await.ok().text("access_token");
    server.post("/2fa/setup/").bearer(&access).json(json!({})).await.ok();
}

#[tokio::test]
async fn introspection_tells_the_app_about_its_own_tokens_only() {
    let server = Server::start();
    let (app, other) = (server.app(Enforcement::Optional).await, server.app(Enforcement::Optional).await);
    let user = app.enrol("ann").await;
    let ask = |key: &str, token: &str| {
        server.post("/2fa/token/introspect/").bearer(key).json(json!({"token": token}))
    };
    let answer = ask(&app.key, &user.access).await.ok();
    let claims = jwt::claims(&user.access);
    assert_eq!(answer["active"], true);
    for name in ["iss", "sub", "aud", "iat", "exp", "jti"] {
        assert_eq!(answer[name], claims[name], "{name}: {answer}");
    }
    let inactive = json!({"active": false});
    assert_eq!(ask(&other.key, &user.access).await.ok().json, inactive);
    for token in ["x", "", "a.b.c", &"A".repeat(43)] {
        assert_eq!(ask(&app.key, token).await.ok().json, inactive, "{token}");
    }
    let form = server
        .post("/2fa/token/introspect/")
        .bearer(&app.key)
        .body(
            "application/x-www-form-urlencoded",
            format!("token={}&token_type_hint=access_token", user.access),
        )
        .await
        .ok();
    assert_eq!(form.json, answer.json);
    let missing = server.post("/2fa/token/introspect/").bearer(&app.key).json(json!({}));
    missing.await.invalid("token");
    server.advance(901).await;
    assert_eq!(ask(&app.key, &user.access).await.ok().json, inactive);
}

#[tokio::test]
async fn introspection_knows_that_a_login_was_revoked() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let user = app.enrol("ann").await;
    server.post("/2fa/token/revoke/").json(json!({"refresh_token": user.refresh})).await.ok();
    let answer = app.post("/2fa/token/introspect/").json(json!({"token": user.access})).await.ok();
    assert_eq!(answer.json, json!({"active": false}));
}

#[tokio::test]
async fn introspection_never_takes_another_credential_for_an_access_token() {
    let server = Server::start();
    let app = server.app(Enforcement::Required).await;
    let enrollment = app.open_session("bob").await.text("enrollment_token");
    let user = app.enrol("ann").await;
    let ask = async |token: &str| app.post("/2fa/token/introspect/").json(json!({"token": token})).await.ok();
    for token in [&enrollment, &app.key] {
        assert_eq!(ask(token).await.json, json!({"active": false}));
    }
    // Whoever looks at `active` alone must not take one for an access token.
    assert_eq!(ask(&user.refresh).await.json, json!({"active": false}));
    let access = ask(&user.access).await;
    assert!(access["active"] == true && access["token_type"] != "refresh_token", "{access}");
}

#[tokio::test]
async fn where_the_grace_period_is_over_a_login_without_second_factor_is_not_prolonged_nor_ended() {
    let server = Server::start();
    let app = server.app(Enforcement::RequiredAfter(2)).await;
    let opened = app.open_session("ann").await;
    let token = refresh(&server, &opened.text("refresh_token")).await.ok().text("refresh_token");
    server.advance(2 * DAY + 1).await;
    for _ in 0..3 {
        refresh(&server, &token).await.refused(401, "2FA_REQUIRED");
    }
    // Not spent and not ended: it is told the same once there is a device, where a dead one gets AUTH_REQUIRED.
    let user = app.enrol("ann").await;
    refresh(&server, &token).await.refused(401, "2FA_REQUIRED");
    refresh(&server, &opened.text("refresh_token")).await.refused(401, "AUTH_REQUIRED");
    refresh(&server, &user.refresh).await.ok();
}

#[tokio::test]
async fn introspection_calls_no_token_active_that_opens_nothing_for_want_of_a_second_factor() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let weak = app.open_session("ann").await;
    let (access, refresh_token) = (weak.text("access_token"), weak.text("refresh_token"));
    let inactive = json!({"active": false});
    let ask = async |token: &str| app.post("/2fa/token/introspect/").json(json!({"token": token})).await.ok();
    let ask_refresh = async |token: &str| {
        let body = json!({"token": token, "token_type_hint": "refresh_token"});
        app.post("/2fa/token/introspect/").json(body).await.ok()
    };
    assert_eq!(ask(&access).await["active"], true);
    assert_eq!(ask(&refresh_token).await.json, inactive, "nobody asked for a refresh token");
    assert_eq!(ask_refresh(&refresh_token).await["token_type"], "refresh_token");

    let mut user = app.enrol("ann").await;
    assert_eq!(ask(&access).await.json, inactive);
    assert_eq!(ask_refresh(&refresh_token).await.json, inactive);
    assert_eq!(ask(&user.access).await["active"], true);
    assert_eq!(ask(&user.refresh).await.json, inactive);
    let told = ask_refresh(&user.refresh).await;
    assert_eq!((&told["active"], &told["token_type"]), (&json!(true), &json!("refresh_token")));
    refresh(&server, &user.refresh).await.ok();
    assert_eq!(ask_refresh(&user.refresh).await.json, inactive, "it was spent");

    let code = user.fresh_code().await;
    user.post("/2fa/disable/").json(json!({"code": code})).await.ok();
    assert_eq!(ask(&user.access).await.json, inactive, "2FA was turned off");
}
