use std::{
    future,
    sync::atomic::{AtomicUsize, Ordering},
};

use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::Notify};
use warp::{Filter as _, Reply as _, reply::Response};

use super::*;

/// What the server does when it is asked.
#[derive(Clone, Copy)]
enum Answer {
    /// It names this key, and no other.
    Key(&'static str),
    NoKey,
    Error,
    /// It says nothing until it is released, then as `Key`.
    Late(&'static str),
}

/// A server that answers by a list; the last answer is repeated.
struct Script {
    answers: Vec<Answer>,
    asked: AtomicUsize,
    has_come: Notify,
    released: Notify,
}

impl Script {
    async fn answer(self: Arc<Self>) -> Response {
        let place = self.asked.fetch_add(1, Ordering::SeqCst).min(self.answers.len() - 1);
        self.has_come.notify_one();
        match self.answers[place] {
            Answer::Key(id) => set(&[id]),
            Answer::NoKey => set(&[]),
            Answer::Error => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
            Answer::Late(id) => {
                self.released.notified().await;
                set(&[id])
            }
        }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

async fn server(answers: &[Answer], pace: Pace) -> (Arc<Script>, Keys) {
    let script = Arc::new(Script {
        answers: answers.to_vec(),
        asked: AtomicUsize::new(0),
        has_come: Notify::new(),
        released: Notify::new(),
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let served = Arc::clone(&script);
    let routes = warp::any().then(move || Arc::clone(&served).answer());
    tokio::spawn(warp::serve(routes).incoming(listener).run());
    (script, Keys::at_pace(url, pace).unwrap())
}

/// Keys are due again at once, and usable for ever.
const EAGER: Pace = Pace { fresh: Duration::ZERO, usable: Duration::MAX, pause: Duration::ZERO };

fn key(id: &str, algorithm: &str) -> Value {
    let (x, y) =
        ("gI0GAILBdu7T53akrFmMyGcsF3n5dO7MmwNBHKW5SV0", "SLW_xSffzlPWrHEVI30DHM_4egVwt3NQqeUD7nMFpps");
    json!({"kty": "EC", "crv": "P-256", "use": "sig", "alg": algorithm, "kid": id, "x": x, "y": y})
}

fn set(ids: &[&str]) -> Response {
    let keys: Vec<Value> = ids.iter().map(|id| key(id, "ES256")).collect();
    warp::reply::json(&json!({"keys": keys})).into_response()
}

#[test]
fn keys_of_other_kinds_are_passed_over() {
    let mut nameless = key("", "ES256");
    nameless.as_object_mut().unwrap().remove("kid");
    let set = json!({"keys": [
        key("a", "ES256"), key("b", "ES384"), {"kty": "oct", "k": "c2VjcmV0", "alg": "HS256", "kid": "c"}, nameless,
    ]});
    let keys = readable(&serde_json::from_value(set).unwrap());
    assert_eq!(keys.keys().collect::<Vec<_>>(), ["a"]);
    assert_eq!(keys["a"].algorithm, Algorithm::ES256);
}

#[tokio::test]
async fn a_client_that_hangs_up_ends_no_fetch() {
    let (script, keys) = server(&[Answer::Late("a")], PACE).await;
    tokio::select! {
        _ = keys.find("invented") => panic!("nothing can be known yet"),
        () = script.has_come.notified() => {}
    }
    script.released.notify_one();
    assert!(keys.find("a").await.is_ok());
    assert_eq!(script.asked(), 1);
}

#[tokio::test]
async fn invented_keys_are_asked_for_once_in_a_while() {
    let (script, keys) = server(&[Answer::Key("a")], PACE).await;
    for _ in 0..3 {
        assert_eq!(keys.find("invented").await.err(), Some(Refusal::Invalid));
    }
    assert!(keys.find("a").await.is_ok());
    assert_eq!(script.asked(), 1);
}

#[tokio::test]
async fn a_key_at_hand_waits_for_no_server_that_is_away() {
    let (script, keys) =
        server(&[Answer::Key("a"), Answer::Error, Answer::Late("a"), Answer::NoKey], EAGER).await;
    assert!(keys.find("a").await.is_ok());
    assert!(keys.find("a").await.is_ok(), "an error withdraws nothing");
    for _ in 0..3 {
        tokio::select! {
            biased;
            found = keys.find("a") => assert!(found.is_ok()),
            () = future::ready(()) => panic!("it waits"),
        }
    }
    // Meanwhile it is asked, and when it is back, its word counts again.
    while script.asked() < 3 {
        script.has_come.notified().await;
    }
    script.released.notify_one();
    assert_eq!(keys.find("invented").await.err(), Some(Refusal::Invalid));
    assert_eq!(keys.find("a").await.err(), Some(Refusal::Invalid));
}

#[tokio::test]
async fn a_withdrawn_key_is_refused_as_soon_as_it_is_due() {
    let (_script, keys) = server(&[Answer::Key("a"), Answer::NoKey], EAGER).await;
    assert!(keys.find("a").await.is_ok());
    assert_eq!(keys.find("a").await.err(), Some(Refusal::Invalid));
}

#[tokio::test]
async fn without_an_answer_nothing_is_known() {
    let (_script, keys) = server(&[Answer::Error], PACE).await;
    for _ in 0..2 {
        assert_eq!(keys.find("a").await.err(), Some(Refusal::Unavailable));
    }
}
