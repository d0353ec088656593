//! Rules 1 and 3 under concurrency: whatever several sessions answer at once with the codes of several devices, the answers are
//! those of some order, one after the other, in which each step of a device counts once and only ascending.
//!
//! `SIDEKEY_HISTORIES` sets the number of histories (24), `SIDEKEY_HISTORY_SEED` repeats the choices of a run.

mod history;

use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::future::join_all;
use history::{Call, Said, Sent, is_linearizable};
use sidekey_tests::random::Random;
use sidekey_tests::settings::{number, seed};
use sidekey_tests::{Answer, Authenticator, Enforcement, Server, User, clock::STEP};

/// Histories in an ordinary test run.
const HISTORIES: u64 = 24;
/// Rounds of a history; the clock moves between them.
const ROUNDS: usize = 4;
/// Answers of a round, all at once.
const ANSWERS: usize = 14;
/// Sessions of a round, each answered several times.
const SESSIONS: usize = 9;
/// Longer than any wait.
const BETWEEN_ROUNDS: u64 = 3_600;
/// Failures of a history do not count in the next.
const BETWEEN_HISTORIES: u64 = 31 * 86_400;

fn said(answer: &Answer) -> Said {
    match (answer.status, answer["code"].as_str()) {
        (200, None) => Said::Accepted,
        (400, Some("INVALID_CODE")) => {
            let remaining = answer.number("attempts_remaining");
            Said::Invalid { remaining: remaining.try_into().expect("at most five") }
        }
        (400, Some("NEXT_CODE_REQUIRED")) => Said::NextCodeRequired,
        (403, Some("MAX_ATTEMPTS_EXCEEDED")) => Said::Failed,
        (409, Some("SESSION_ALREADY_VERIFIED")) => Said::AlreadyVerified,
        (429, Some("ACCOUNT_THROTTLED")) => Said::Throttled,
        _ => panic!("no answer that the model knows: {answer}"),
    }
}

/// An account with several devices, and the last step that each of them had accepted.
struct Scene<'s> {
    user: User<'s>,
    phones: Vec<Authenticator>,
    last: Vec<u64>,
    order: AtomicU64,
}

impl<'s> Scene<'s> {
    async fn set(server: &'s Server) -> Self {
        let app = server.app(Enforcement::Optional).await;
        // The clock moves by hours: of the steps used here nothing is left when the first history begins.
        let user = app.enrol("ann").await;
        let (tablet, _) = user.add_device("tablet").await;
        let (watch, _) = user.add_device("watch").await;
        let phones = vec![user.phone.clone(), tablet, watch];
        Self { user, last: vec![0; phones.len()], phones, order: AtomicU64::new(0) }
    }

    /// A code that is right for at most one device and step near this time, and one that is right for none.
    fn wrong_code(&self, step: u64) -> String {
        let near: Vec<String> =
            self.phones.iter().flat_map(|p| (step - 5..step + 5).map(|s| p.code_of(s))).collect();
        let mut all = (0..1_000_000).map(|n| format!("{n:06}"));
        all.find(|code| !near.contains(code)).expect("a code that is none of thirty")
    }

    /// Whether no two devices and steps of the window share a code: the model could not tell them apart.
    fn is_clear(&self, step: u64) -> bool {
        let mut codes: Vec<String> =
            self.phones.iter().flat_map(|p| (step - 2..=step + 2).map(|s| p.code_of(s))).collect();
        let all = codes.len();
        codes.sort();
        codes.dedup();
        codes.len() == all
    }

    /// Answers at once, each somewhere within the window; `None` if the step was over before they were.
    async fn round(&self, round: usize, random: &mut Random) -> Option<Vec<Call>> {
        let server = self.user.server();
        let mut step = server.next_step().await;
        while !self.is_clear(step) {
            step = server.next_step().await;
        }
        let sessions = join_all((0..SESSIONS).map(|_| self.user.challenge())).await;
        let calls = (0..ANSWERS).map(|_| {
            let device = below(random, self.phones.len());
            let sent = match random.between(0, 7) {
                0 => Sent::Wrong,
                _ => Sent::Code { device, step: step - 1 + random.between(0, 3) },
            };
            let session = below(random, SESSIONS);
            self.call(round, round * SESSIONS + session, &sessions[session], sent, step)
        });
        let calls = join_all(calls).await;
        (server.step().await == step).then_some(calls)
    }

    async fn call(&self, round: usize, session: usize, id: &str, sent: Sent, step: u64) -> Call {
        let code = match sent {
            Sent::Code { device, step } => self.phones[device].code_of(step),
            Sent::Wrong => self.wrong_code(step),
        };
        let begun = self.order.fetch_add(1, Ordering::SeqCst);
        let answer = self.user.answer(id, &code).await;
        let ended = self.order.fetch_add(1, Ordering::SeqCst);
        Call { begun, ended, round, session, sent, said: said(&answer) }
    }

    /// Some rounds, or `None` if the step ended in the midst of one.
    async fn history(&self, random: &mut Random) -> Option<Vec<Call>> {
        let mut calls = Vec::new();
        for round in 0..ROUNDS {
            calls.extend(self.round(round, random).await?);
            self.user.server().advance(BETWEEN_ROUNDS).await;
        }
        Some(calls)
    }

    /// A right answer, so that the next history begins without failures in a row, and a month, so that it begins without failures.
    async fn rest(&self) {
        let server = self.user.server();
        let step = server.advance(BETWEEN_HISTORIES).await / STEP;
        self.user.answer(&self.user.challenge().await, &self.phones[0].code_of(step)).await.ok();
        server.advance(BETWEEN_ROUNDS).await;
    }
}

fn below(random: &mut Random, end: usize) -> usize {
    usize::try_from(random.between(0, end as u64)).expect("below a usize")
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_answers_to_one_account_are_those_of_some_order() {
    let histories = number("SIDEKEY_HISTORIES").unwrap_or(HISTORIES);
    println!("SIDEKEY_HISTORIES={histories}");
    let seed = seed("SIDEKEY_HISTORY_SEED");
    let server = Server::start();
    let scene = Scene::set(&server).await;
    let mut random = Random::new(seed);
    let mut counts = [0_usize; 6];
    let (mut checked, mut overlapping) = (0, 0);
    for number in 0..histories {
        scene.rest().await;
        let Some(calls) = scene.history(&mut random).await else { continue };
        assert!(
            is_linearizable(&scene.last, &calls),
            "seed {seed}, history {number} has no order: {calls:#?}"
        );
        checked += 1;
        overlapping += calls.iter().filter(|a| calls.iter().any(|b| overlap(a, b))).count();
        for call in &calls {
            counts[kind(call.said)] += 1;
        }
    }
    let [accepted, invalid, throttled, two_codes, verified, failed] = counts;
    println!(
        "{checked} histories: {accepted} accepted, {invalid} invalid, {throttled} throttled, {two_codes} asked for two codes, \
         {verified} to verified sessions, {failed} to failed ones; {overlapping} overlapped another"
    );
    assert!(
        checked * 2 > histories,
        "only {checked} of {histories} histories were quick enough to tell anything"
    );
    assert!(accepted > 0 && invalid > 0 && overlapping > 0);
}

fn overlap(a: &Call, b: &Call) -> bool {
    a.begun < b.begun && b.begun < a.ended
}

fn kind(said: Said) -> usize {
    match said {
        Said::Accepted => 0,
        Said::Invalid { .. } => 1,
        Said::Throttled => 2,
        Said::NextCodeRequired => 3,
        Said::AlreadyVerified => 4,
        Said::Failed => 5,
    }
}
