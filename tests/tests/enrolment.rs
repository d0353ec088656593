//! Enrolment: rule 4 (setup is safe to repeat) and rule 5 (more devices need a fresh second factor).

use data_encoding::BASE64;
use futures_util::future::join_all;
use sidekey_tests::{Answer, App, Authenticator, Enforcement, Options, Server, json};

async fn setup(app: &App<'_>, token: &str) -> Answer {
    app.server.post("/2fa/setup/").bearer(token).json(json!({})).await
}

async fn confirm(app: &App<'_>, token: &str, device: &str, code: &str) -> Answer {
    let body = json!({"device_id": device, "code": code});
    app.server.post("/2fa/setup/confirm/").bearer(token).json(body).await
}

#[tokio::test]
async fn setup_gives_a_secret_that_an_authenticator_can_read_in_every_form() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let token = app.setup_token("ann").await;
    let answer = setup(&app, &token).await.ok();
    let secret = answer.text("secret");
    assert_eq!(Authenticator::from_base32(&secret).secret().len(), 20, "RFC 4226 R6 recommends 160 bits");
    let uri = answer.text("provisioning_uri");
    assert!(uri.starts_with("otpauth://totp/"), "{uri}");
    assert!(uri.contains(&format!("secret={secret}")) && uri.contains("issuer="), "{uri}");
    assert!(uri.contains("ann%40example.com") || uri.contains("ann@example.com"), "{uri}");
    let device = answer.text("device_id");
    assert!(device.len() == 32 && device.bytes().all(|b| b.is_ascii_hexdigit()), "{device}");
    assert_eq!(answer["expires_in"], 600);
    let svg = answer.text("qr_code_svg");
    assert!(
        svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>") && !svg.contains("<script"),
        "{svg}"
    );
}

#[tokio::test]
async fn the_qr_code_is_a_square_png_with_a_white_quiet_zone_and_a_finder_in_three_corners() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let token = app.setup_token("ann").await;
    let answer = setup(&app, &token).await.ok();
    let data = answer.text("qr_code_base64");
    let bytes = data.strip_prefix("data:image/png;base64,").expect("a data URI of a PNG");
    let bytes = BASE64.decode(bytes.as_bytes()).expect("base64 with padding");
    let mut decoder = png::Decoder::new(std::io::Cursor::new(bytes));
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().expect("a PNG");
    let mut pixels = vec![0; reader.output_buffer_size().expect("a size that fits")];
    let frame = reader.next_frame(&mut pixels).expect("a whole PNG");
    let (side, samples) = (frame.width as usize, frame.color_type.samples());
    assert_eq!(frame.width, frame.height);
    let dark = |x: usize, y: usize| pixels[(y * side + x) * samples] < 128;
    let first = (0..side).find(|&i| dark(i, i)).expect("some module is dark");
    // A finder pattern is seven modules wide: a dark ring, a white ring, a dark square.
    let module = (first..side).take_while(|&x| dark(x, first)).count() / 7;
    assert!(module >= 1 && first >= 4 * module, "quiet zone of {first} pixels, modules of {module}");
    let last = side - 1 - first;
    assert!(dark(last, first) && dark(first, last), "finders at the top right and the bottom left");
    assert!(!dark(first + module, first + module) && dark(first + 2 * module, first + 2 * module));
    assert!((0..side).all(|i| !dark(i, 0) && !dark(0, i) && !dark(i, side - 1) && !dark(side - 1, i)));
}

#[tokio::test]
async fn confirm_turns_the_second_factor_on_and_gives_tokens_and_ten_backup_codes() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let token = app.setup_token("ann").await;
    let pending = setup(&app, &token).await.ok();
    assert_eq!(app.state("ann").await["has_2fa_enabled"], false, "a pending device protects nothing yet");
    let mut phone = Authenticator::from_base32(&pending.text("secret"));
    let code = phone.fresh_code(&server).await;
    let done = confirm(&app, &token, &pending.text("device_id"), &code).await.ok();
    assert!(!done.text("message").is_empty() && !done.text("backup_codes_warning").is_empty());
    let codes = done.texts("backup_codes");
    assert_eq!(codes.len(), 10);
    for code in &codes {
        let groups: Vec<&str> = code.split('-').collect();
        assert!(groups.len() == 4 && groups.iter().all(|g| g.len() == 4), "{code}");
        let crockford = |b: u8| b.is_ascii_digit() || (b.is_ascii_uppercase() && !b"ILOU".contains(&b));
        assert!(groups.concat().bytes().all(crockford), "{code}");
    }
    let mut distinct = codes.clone();
    distinct.sort();
    distinct.dedup();
    assert_eq!(distinct.len(), 10, "all codes differ");
    let devices = server.get("/2fa/devices/").bearer(&done.text("access_token")).await.ok();
    assert_eq!(devices["has_2fa_enabled"], true);
    let refresh = json!({"refresh_token": done.text("refresh_token")});
    server.post("/2fa/token/refresh/").json(refresh).await.ok();
    assert_eq!(app.state("ann").await["has_2fa_enabled"], true);
}

#[tokio::test]
async fn the_code_that_confirmed_cannot_verify_afterwards() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let user = app.enrol("ann").await;
    let session = user.challenge().await;
    user.answer(&session, &user.phone.used_code()).await.refused(400, "INVALID_CODE");
}

#[tokio::test]
async fn asking_again_with_the_same_login_shows_the_same_secret() {
    let server = Server::start();
    let app = server.app(Enforcement::Required).await;
    let token = app.setup_token("ann").await;
    let first = setup(&app, &token).await.ok();
    server.advance(100).await;
    let again = setup(&app, &token).await.ok();
    assert_eq!(first["secret"], again["secret"]);
    assert_eq!(first["device_id"], again["device_id"]);
    assert!(again.number("expires_in") <= 500, "the ten minutes run from the first time: {again}");
    // No body at all means no options.
    let bare = server.post("/2fa/setup/").bearer(&token).await.ok();
    assert_eq!(first["secret"], bare["secret"]);
}

#[tokio::test]
async fn another_login_does_not_see_the_pending_secret() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let (one, two) = (app.setup_token("ann").await, app.setup_token("ann").await);
    let first = setup(&app, &one).await.ok();
    let other = setup(&app, &two).await.ok();
    assert_ne!(first["secret"], other["secret"]);
}

#[tokio::test]
async fn restart_makes_a_new_secret_and_the_old_one_confirms_nothing() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let token = app.setup_token("ann").await;
    let first = setup(&app, &token).await.ok();
    let new = server.post("/2fa/setup/").bearer(&token).json(json!({"restart": true})).await.ok();
    assert_ne!(first["secret"], new["secret"]);
    let mut old = Authenticator::from_base32(&first.text("secret"));
    let mut phone = Authenticator::from_base32(&new.text("secret"));
    let code = old.fresh_code(&server).await;
    assert_eq!(confirm(&app, &token, &first.text("device_id"), &code).await.status / 100, 4);
    let code = phone.fresh_code(&server).await;
    confirm(&app, &token, &new.text("device_id"), &code).await.ok();
}

#[tokio::test]
async fn a_wrong_code_at_confirm_keeps_the_pending_device() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let token = app.setup_token("ann").await;
    let pending = setup(&app, &token).await.ok();
    let mut phone = Authenticator::from_base32(&pending.text("secret"));
    let wrong = phone.wrong_code(&server).await;
    let device = pending.text("device_id");
    let refusal = confirm(&app, &token, &device, &wrong).await.refused(400, "INVALID_CODE");
    assert!(!refusal.has("attempts_remaining"), "no session is answered here: {refusal}");
    assert_eq!(setup(&app, &token).await.ok()["secret"], pending["secret"]);
    let code = phone.fresh_code(&server).await;
    confirm(&app, &token, &device, &code).await.ok();
}

#[tokio::test]
async fn a_pending_device_dies_after_ten_minutes() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let token = app.setup_token("ann").await;
    let pending = setup(&app, &token).await.ok();
    let mut phone = Authenticator::from_base32(&pending.text("secret"));
    server.advance(601).await;
    let code = phone.fresh_code(&server).await;
    confirm(&app, &token, &pending.text("device_id"), &code).await.refused(400, "SETUP_EXPIRED");
    let next = setup(&app, &token).await.ok();
    assert_ne!(next["secret"], pending["secret"], "a dead secret does not come back");
    assert_eq!(next["expires_in"], 600);
}

#[tokio::test]
async fn a_pending_device_still_confirms_shortly_before_its_ten_minutes_are_over() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let token = app.setup_token("ann").await;
    let pending = setup(&app, &token).await.ok();
    let mut phone = Authenticator::from_base32(&pending.text("secret"));
    server.advance(560).await;
    let code = phone.fresh_code(&server).await;
    confirm(&app, &token, &pending.text("device_id"), &code).await.ok();
}

#[tokio::test]
async fn confirm_refuses_unknown_devices_and_malformed_fields() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let token = app.setup_token("ann").await;
    let device = setup(&app, &token).await.ok().text("device_id");
    for unknown in ["00000000000000000000000000000000", "nonsense", ""] {
        confirm(&app, &token, unknown, "123456").await.refused(404, "DEVICE_NOT_FOUND");
    }
    for code in ["", "12345", "1234567", "12345a", "١٢٣٤٥٦"] {
        confirm(&app, &token, &device, code).await.invalid("code");
    }
    let post = |body| server.post("/2fa/setup/confirm/").bearer(&token).json(body);
    post(json!({"device_id": device})).await.invalid("code");
    post(json!({"code": "123456"})).await.invalid("device_id");
    assert_eq!(
        setup(&app, &token).await.ok()["device_id"],
        device,
        "none of that touched the pending device"
    );
}

#[tokio::test]
async fn a_device_name_has_at_most_a_hundred_characters() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let token = app.setup_token("ann").await;
    let post = |body| server.post("/2fa/setup/").bearer(&token).json(body);
    post(json!({"device_name": "é".repeat(101)})).await.invalid("device_name");
    post(json!({"device_name": 7})).await.refused(400, "VALIDATION_ERROR");
    post(json!({"restart": "yes"})).await.refused(400, "VALIDATION_ERROR");
    post(json!({"device_name": "é".repeat(100)})).await.ok();
}

#[tokio::test]
async fn an_enrollment_token_opens_only_setup_and_confirm() {
    let server = Server::start();
    let app = server.app(Enforcement::Required).await;
    let token = app.setup_token("ann").await;
    for path in ["/2fa/devices/", "/2fa/backup-codes/"] {
        server.get(path).bearer(&token).await.refused(403, "FORBIDDEN");
    }
    for (path, body) in [
        ("/2fa/disable/", json!({"code": "123456"})),
        ("/2fa/backup-codes/regenerate/", json!({"code": "123456"})),
        ("/2fa/sessions/", json!({})),
    ] {
        server.post(path).bearer(&token).json(body).await.refused(403, "FORBIDDEN");
    }
    setup(&app, &token).await.ok();
}

#[tokio::test]
async fn an_enrollment_token_opens_nothing_once_the_user_has_a_device() {
    let server = Server::start();
    let app = server.app(Enforcement::Required).await;
    let other_login = app.setup_token("ann").await;
    let pending = setup(&app, &other_login).await.ok();
    app.enrol("ann").await;
    let refusal = setup(&app, &other_login).await;
    assert_eq!(refusal.status, 401, "{refusal}");
    let code = Authenticator::from_base32(&pending.text("secret")).fresh_code(&server).await;
    let refusal = confirm(&app, &other_login, &pending.text("device_id"), &code).await;
    assert_eq!(refusal.status, 401, "{refusal}");
}

#[tokio::test]
async fn a_second_device_needs_a_second_factor_of_the_last_ten_minutes() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let weak = app.setup_token("ann").await;
    let mut user = app.enrol("ann").await;
    setup(&app, &weak).await.refused(401, "2FA_REQUIRED");
    user.sign_in().await;
    server.advance(601).await;
    let refusal = setup(&app, &user.access).await.refused(401, "2FA_REQUIRED");
    assert_eq!(refusal["max_age"], 600);
    user.sign_in().await;
    setup(&app, &user.access).await.ok();
}

#[tokio::test]
async fn a_second_device_works_beside_the_first_and_brings_no_new_backup_codes() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    let pending = setup(&app, &user.access).await.ok();
    user.sign_in().await; // the first device works while the second is pending
    let pending_again = setup(&app, &user.access).await.ok();
    let mut tablet = Authenticator::from_base32(&pending_again.text("secret"));
    assert_ne!(pending["secret"], pending_again["secret"], "a login sees only its own pending device");
    let code = tablet.fresh_code(&server).await;
    let done = confirm(&app, &user.access, &pending_again.text("device_id"), &code).await.ok();
    assert!(!done.has("backup_codes") && !done.has("backup_codes_warning"), "{done}");
    user.sign_in().await;
    let session = user.challenge().await;
    let code = tablet.fresh_code(&server).await;
    user.answer(&session, &code).await.ok();
    assert_eq!(user.get("/2fa/backup-codes/").await.ok()["remaining_count"], 10);
}

#[tokio::test]
async fn confirming_a_second_device_needs_the_fresh_second_factor_too() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let user = app.enrol("ann").await;
    server.advance(300).await;
    let pending = setup(&app, &user.access).await.ok();
    let mut tablet = Authenticator::from_base32(&pending.text("secret"));
    server.advance(301).await;
    let code = tablet.fresh_code(&server).await;
    confirm(&app, &user.access, &pending.text("device_id"), &code).await.refused(401, "2FA_REQUIRED");
}

#[tokio::test]
async fn the_secret_of_an_active_device_is_never_shown_again() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let user = app.enrol("ann").await;
    let secret = data_encoding::BASE32_NOPAD.encode(user.phone.secret());
    let again = setup(&app, &user.access).await.ok();
    assert_ne!(again.text("secret"), secret);
    for answer in [user.get("/2fa/devices/").await.ok(), app.state("ann").await] {
        assert!(!answer.body().contains(&secret), "{answer}");
    }
}

#[tokio::test]
async fn setup_asked_many_times_at_once_shows_one_secret() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let token = app.setup_token("ann").await;
    let answers = join_all((0..20).map(|_| setup(&app, &token))).await;
    for answer in &answers {
        assert_eq!(answer["secret"], answers[0]["secret"], "{answer}");
        assert_eq!(answer.status, 200);
    }
}

#[tokio::test]
async fn of_two_first_enrolments_finished_at_once_one_wins() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    for n in 0..5 {
        let user = format!("user-{n}");
        let mut ready = Vec::new();
        for _ in 0..2 {
            let token = app.setup_token(&user).await;
            let pending = setup(&app, &token).await.ok();
            let code = Authenticator::from_base32(&pending.text("secret")).fresh_code(&server).await;
            ready.push((token, pending.text("device_id"), code));
        }
        let answers = join_all(ready.iter().map(|(token, id, code)| confirm(&app, token, id, code))).await;
        let won = answers.iter().filter(|a| a.status == 200).count();
        let lost = answers.iter().filter(|a| a["code"] == "2FA_REQUIRED").count();
        assert_eq!((won, lost), (1, 1), "{answers:?}");
        assert_eq!(app.state(&user).await["devices"], 1);
    }
}

/// Whether a server with this issuer, if it starts at all, can show a setup to a user of this name.
async fn can_set_up(issuer: &str, account_name: &str) {
    let arguments = vec!["--issuer".into(), issuer.to_string()];
    let Ok(server) = Server::try_with(Options { arguments, ..Options::default() }) else {
        return; // refused at start: nobody meets it later
    };
    let app = server.app(Enforcement::Optional).await;
    let opened = app.open_with(json!({"user_id": "x".repeat(255), "account_name": account_name})).await;
    if opened.status == 201 {
        setup(&app, &opened.text("access_token")).await.ok();
    } else {
        opened.invalid("account_name");
    }
}

#[tokio::test]
async fn the_longest_names_still_fit_into_the_qr_code() {
    // Each character takes three to twelve bytes in a key URI.
    for name in ["\u{20ac}".repeat(85), "\u{1f600}".repeat(63), "%".repeat(255), "a:b".to_string()] {
        can_set_up(&"\u{20ac}".repeat(33), &name).await;
    }
}

#[tokio::test]
async fn an_issuer_that_the_server_starts_with_can_be_enrolled_with() {
    for issuer in [
        "\u{fc}".repeat(64),
        "\u{1f600}".repeat(64),
        "A:B".to_string(),
        " ".to_string(),
        "a/b?c&d=e#f".to_string(),
    ] {
        can_set_up(&issuer, "ann@example.com").await;
    }
}
