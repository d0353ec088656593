//! The way to the database fails: connections end, stall, or end just before a commit or its answer.

use futures_util::future::join_all;
use sidekey_tests::cluster::Postgres;
use sidekey_tests::gate::{Gate, Gatekeeper};
use sidekey_tests::{Authenticator, Fleet, json};

use super::{Ann, is_whole};

/// Seconds within which a refresh may be repeated by its key.
const REPEATABLE: u64 = 10;

/// A server whose only way to the database is a gate.
async fn behind_a_gate() -> (Gatekeeper, Fleet) {
    let postgres = Postgres::of_process();
    let gate = Gatekeeper::before(postgres.folder()).await;
    let address = gate.address(&postgres.database());
    let fleet = Fleet::start(&address, 1, &["--store-tls", "disable"]).await;
    (gate, fleet)
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_connections_are_503_until_new_ones_can_be_made() {
    let (gate, fleet) = behind_a_gate().await;
    let server = &fleet.servers[0];
    let ann = Ann::enrolled(server).await;
    gate.set(Gate::Shut);
    ann.verify(server, 0).await.refused(503, "UNAVAILABLE");
    fleet.is_not_ready().await;
    server.get("/healthz").await.ok();
    server.get("/2fa/devices/").bearer(&ann.access).await.refused(503, "UNAVAILABLE");
    gate.set(Gate::Open);
    fleet.is_ready().await;
    ann.code_is_good(server).await;
    is_whole(&fleet).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_falls_silent_is_503_until_it_speaks_again() {
    let (gate, fleet) = behind_a_gate().await;
    let server = &fleet.servers[0];
    let ann = Ann::enrolled(server).await;
    gate.set(Gate::Stalled);
    // More than there are connections.
    let answers = join_all((0..40).map(|number| ann.verify(server, number % 2))).await;
    for answer in answers {
        answer.refused(503, "UNAVAILABLE");
    }
    fleet.is_not_ready().await;
    server.get("/healthz").await.ok();
    gate.set(Gate::Open);
    fleet.is_ready().await;
    // The server had asked for the session and got no answer: nothing was decided.
    ann.code_is_good(server).await;
    is_whole(&fleet).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_is_lost_on_its_way_has_not_happened() {
    let (gate, fleet) = behind_a_gate().await;
    let server = &fleet.servers[0];
    let ann = Ann::enrolled(server).await;
    gate.set(Gate::LosesCommits);
    ann.verify(server, 0).await.refused(503, "UNAVAILABLE");
    assert!(gate.lost() > 0);
    gate.set(Gate::Open);
    fleet.is_ready().await;
    assert_eq!(ann.status(server, 0).await, "pending");
    ann.code_is_good(server).await;
    is_whole(&fleet).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_answer_is_lost_has_happened_once() {
    let (gate, fleet) = behind_a_gate().await;
    let server = &fleet.servers[0];
    let ann = Ann::enrolled(server).await;
    gate.set(Gate::LosesAnswers);
    ann.verify(server, 0).await.refused(503, "UNAVAILABLE");
    assert!(gate.lost() > 0);
    gate.set(Gate::Open);
    fleet.is_ready().await;
    ann.code_is_used(server).await;
    let logins = server.audit(&["--user", "ann"]).await;
    assert_eq!(logins.matches("second_factor_accepted").count(), 1, "{logins}");
    is_whole(&fleet).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_code_whose_answer_is_lost_is_used_up() {
    let (gate, fleet) = behind_a_gate().await;
    let server = &fleet.servers[0];
    let ann = Ann::enrolled(server).await;
    let answer = async |session: usize| {
        let body = json!({"session_id": ann.sessions[session], "backup_code": ann.backup_codes[0]});
        server.post("/2fa/verify/backup/").json(body).await
    };
    gate.set(Gate::LosesAnswers);
    answer(0).await.refused(503, "UNAVAILABLE");
    gate.set(Gate::Open);
    fleet.is_ready().await;
    answer(0).await.refused(409, "SESSION_ALREADY_VERIFIED");
    answer(1).await.refused(400, "INVALID_CODE");
    assert_eq!(ann.state(server).await["backup_codes_remaining"], 9);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_whose_answer_is_lost_is_repeated_by_its_key_and_has_one_successor() {
    let (gate, fleet) = behind_a_gate().await;
    let server = &fleet.servers[0];
    let ann = Ann::enrolled(server).await;
    let refresh = async |token: &str, key: &str| {
        let body = json!({"refresh_token": token});
        server.post("/2fa/token/refresh/").header("idempotency-key", key).json(body).await
    };
    let begun = server.now().await;
    gate.set(Gate::LosesAnswers);
    refresh(&ann.refresh, "first").await.refused(503, "UNAVAILABLE");
    gate.set(Gate::Open);
    fleet.is_ready().await;
    let next = refresh(&ann.refresh, "first").await;
    // Where the way was shut for longer than a repetition is allowed, it is a reuse, which ends the login.
    let is_late = server.now().await - begun >= REPEATABLE;
    if next.status == 200 || !is_late {
        next.clone().ok();
        let heir = refresh(&next.text("refresh_token"), "second").await.ok().text("refresh_token");
        refresh(&ann.refresh, "third").await.refused(401, "AUTH_REQUIRED");
        refresh(&heir, "fourth").await.refused(401, "AUTH_REQUIRED");
    } else {
        next.refused(401, "AUTH_REQUIRED");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_enrolment_whose_answer_is_lost_has_happened() {
    let (gate, fleet) = behind_a_gate().await;
    let server = &fleet.servers[0];
    let app = server.app(sidekey_tests::Enforcement::Required).await;
    let token = app.setup_token("bob").await;
    let setup = server.post("/2fa/setup/").bearer(&token).json(json!({})).await.ok();
    let mut phone = Authenticator::from_base32(&setup.text("secret"));
    let body = json!({"device_id": setup.text("device_id"), "code": phone.fresh_code(server).await});
    gate.set(Gate::LosesAnswers);
    let confirm = server.post("/2fa/setup/confirm/").bearer(&token).json(body).await;
    confirm.refused(503, "UNAVAILABLE");
    gate.set(Gate::Open);
    fleet.is_ready().await;
    assert_eq!(app.state("bob").await["devices"], 1);
    let session = app.challenge("bob").await;
    let answer = async |code: String| {
        server.post("/2fa/verify/").json(json!({"session_id": session, "code": code})).await
    };
    answer(phone.used_code()).await.refused(400, "INVALID_CODE");
    answer(phone.fresh_code(server).await).await.ok();
}
