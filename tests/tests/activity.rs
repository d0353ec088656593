//! What a user sees of the audit log: their own entries, newest first, page by page.

use sidekey_tests::{Answer, Enforcement, Server, User, clock, json};

async fn page(user: &User<'_>, query: &str) -> Answer {
    user.get(&format!("/2fa/activity/{query}")).await.ok()
}

fn events(page: &Answer) -> Vec<String> {
    let all = page["activity"].as_array().expect("a list");
    all.iter().map(|entry| entry["event"].as_str().expect("a name").to_owned()).collect()
}

#[tokio::test]
async fn the_newest_comes_first_with_time_outcome_and_origin() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    let session = user.challenge().await;
    let wrong = user.wrong_code().await;
    user.answer(&session, &wrong).await.refused(400, "INVALID_CODE");
    user.sign_in().await;
    let answer = page(&user, "").await;
    assert_eq!(answer.header("cache-control"), "no-store");
    let all = answer["activity"].as_array().expect("a list");
    assert_eq!(
        events(&answer)[..4],
        ["second_factor_accepted", "session_opened", "answer_refused", "session_opened"]
    );
    let times: Vec<u64> = all.iter().map(|e| clock::unix(e["at"].as_str().expect("a time"))).collect();
    assert!(times.is_sorted_by(|later, earlier| later >= earlier), "{times:?}");
    assert_eq!(all[0]["outcome"], "ok");
    assert_eq!(all[0]["method"], "totp");
    assert_eq!(all[0]["device_id"], user.device.as_str());
    assert_eq!(all[0]["ip_address"], "127.0.0.1");
    assert_eq!(all[2]["outcome"], "refused");
    assert_eq!(all[0]["request_id"].as_str().map(str::len), Some(24));
    for name in ["user_agent", "method", "device_id"] {
        assert!(all[1].get(name).is_some(), "{name} is always there");
    }
    assert!(answer["next"].is_null());
}

#[tokio::test]
async fn pages_follow_each_other_without_gaps_and_repetition() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    for _ in 0..4 {
        user.sign_in().await;
    }
    let all = events(&page(&user, "?limit=100").await);
    let (mut read, mut query) = (Vec::new(), "?limit=3".to_owned());
    loop {
        let answer = page(&user, &query).await;
        assert!(events(&answer).len() <= 3);
        read.extend(events(&answer));
        let Some(next) = answer["next"].as_str() else { break };
        query = format!("?limit=3&before={next}");
    }
    assert_eq!(read, all);
}

#[tokio::test]
async fn nobody_sees_anybody_else_and_no_erased_predecessor() {
    let server = Server::start();
    let app = server.app(Enforcement::Optional).await;
    let ann = app.enrol("ann").await;
    let bob = app.enrol("bob").await;
    let of_ann = page(&ann, "?limit=1").await.text("next");
    for query in [format!("?before={of_ann}"), "?limit=0".into(), "?limit=101".into(), "?before=7".into()] {
        bob.get(&format!("/2fa/activity/{query}")).await.refused(400, "VALIDATION_ERROR");
    }
    let other = server.app(Enforcement::Optional).await;
    let namesake = other.enrol("bob").await;
    assert_eq!(events(&page(&namesake, "").await).len(), events(&page(&bob, "").await).len());

    app.server.call("DELETE".parse().expect("a method"), "/2fa/users/ann/").bearer(&app.key).await.ok();
    server.advance(60).await;
    ann.get("/2fa/activity/").await.refused(401, "AUTH_REQUIRED");
    let successor = app.enrol("ann").await;
    let seen = page(&successor, "?limit=100").await;
    assert!(!events(&seen).contains(&"user_erased".to_owned()), "{seen}");
    server.get("/2fa/activity/").await.refused(401, "AUTH_REQUIRED");
    server.get("/2fa/activity/").bearer(&app.key).await.refused(403, "FORBIDDEN");
}

#[tokio::test]
async fn old_entries_go_in_time_and_the_trail_stays_verifiable() {
    let server = Server::with(sidekey_tests::Options {
        arguments: ["--audit-retention-days", "30"].map(String::from).to_vec(),
        ..sidekey_tests::Options::default()
    });
    let app = server.app(Enforcement::Optional).await;
    let mut user = app.enrol("ann").await;
    let before = server.command(["verify"]).await["tally"]["audit_entries"].as_u64().expect("a number");
    server.advance(31 * 86_400).await;
    user.sign_in().await;
    assert_eq!(events(&page(&user, "").await), ["second_factor_accepted", "session_opened"]);
    let report = server.command(["verify"]).await;
    assert_eq!(report["findings"], json!([]), "{report}");
    let kept = report["tally"]["audit_entries"].as_u64().expect("a number");
    assert!(kept < before, "{kept} of {before}");
    let server = server.crash();
    let report = server.command(["verify"]).await;
    assert_eq!(report["findings"], json!([]), "{report}");
    // The demo application's page has moved with the port, which is told once more.
    assert_eq!(report["tally"]["audit_entries"].as_u64(), Some(kept + 1));
}
