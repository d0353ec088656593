use sidekey_core::id::AppId;
use sidekey_core::throttle::{FIRST_WAIT, FREE_FAILURES};
use sidekey_core::time::UnixTime;

use super::*;
use crate::audit::{Actor, testing::entries};
use crate::context::testing::context;

const NOW: UnixTime = UnixTime::from_secs(1_790_000_000);
const RIGHT: &str = "correct horse";

fn at(seconds: u64) -> Origin {
    Origin::local(Actor::Anonymous, NOW.plus(seconds))
}

fn ann() -> OperatorName {
    OperatorName::parse("ann").unwrap()
}

/// A context with one operator.
async fn with_ann() -> (tempfile::TempDir, Arc<crate::context::Context>) {
    let (folder, context) = context(NOW, &[]).await;
    let password = Password::parse(RIGHT).unwrap();
    let hash = PasswordHash::of(&context.hasher, &ann(), &password).await.unwrap();
    context.operators.create(&ann(), Role::Support, hash, &at(0)).await.unwrap();
    (folder, context)
}

#[tokio::test]
async fn nobody_can_name_the_app_of_operators() {
    let (_folder, context) = with_ann().await;
    let operator = context.operators.find(&ann()).await.unwrap().unwrap();
    let account = operator.account().unwrap();
    assert!(AppId::parse(account.app.as_str()).is_err());
    assert!(serde_json::from_value::<AppId>(account.app.as_str().into()).is_err());
    let stored = postcard::to_stdvec(&account.app).unwrap();
    assert_eq!(postcard::from_bytes::<AppId>(&stored).unwrap(), account.app);
}

#[tokio::test]
async fn wrong_passwords_make_their_operator_wait_and_nobody_else() {
    let (_folder, context) = with_ann().await;
    let sign_in = |password: &'static str, seconds: u64| {
        let context = Arc::clone(&context);
        async move { context.operators.sign_in(&context.hasher, "Ann", password, &at(seconds)).await }
    };
    for _ in 0..=FREE_FAILURES {
        assert!(matches!(sign_in("wrong horse!", 1).await, Err(SignInRefusal::Refused)));
    }
    assert!(sign_in(RIGHT, FIRST_WAIT).await.is_err(), "it is not judged while it waits");
    assert!(sign_in(RIGHT, 1 + FIRST_WAIT).await.is_ok());
    let refusals = entries(&*context.engine).await.into_iter();
    let refusals: Vec<_> =
        refusals.filter(|entry| entry["event"]["type"] == "operator_sign_in_refused").collect();
    assert_eq!(refusals.len(), 6);
    assert!(refusals.iter().all(|entry| entry["event"]["operator"] == "ann"));
    let unknown = context.operators.sign_in(&context.hasher, "bob", RIGHT, &at(0)).await;
    assert!(matches!(unknown, Err(SignInRefusal::Refused)));
    let last = entries(&*context.engine).await.pop().unwrap();
    assert_eq!(last["event"]["operator"], serde_json::Value::Null);
}

#[tokio::test]
async fn a_session_ends_by_time_and_by_every_change_of_its_operator() {
    let (_folder, context) = with_ann().await;
    let operators = &context.operators;
    let begin = || async {
        let (_, half) = operators.sign_in(&context.hasher, "ann", RIGHT, &at(0)).await.unwrap();
        let whole = operators.complete(&hash_of_cookie(&half.cookie), &at(1)).await.unwrap().unwrap();
        assert!(operators.session(&hash_of_cookie(&half.cookie), NOW).await.unwrap().is_none());
        hash_of_cookie(&whole.cookie)
    };
    let counts = async |session: &[u8; 32], seconds| {
        operators.session(session, NOW.plus(seconds)).await.unwrap().is_some()
    };
    let session = begin().await;
    assert!(counts(&session, 1 + IDLE - 1).await, "used within the half hour");
    assert!(!counts(&session, 1 + IDLE - 1 + IDLE).await, "and not again");
    let session = begin().await;
    for used in (0..LIFETIME).step_by(1_700) {
        assert!(counts(&session, 1 + used).await, "{used}");
    }
    assert!(!counts(&session, 1 + LIFETIME).await);

    let session = begin().await;
    operators.set_role(&ann(), Role::Support, &at(2)).await.unwrap();
    assert!(counts(&session, 2).await, "the same role is no change");
    operators.set_role(&ann(), Role::Viewer, &at(2)).await.unwrap();
    assert!(!counts(&session, 2).await);
    let session = begin().await;
    operators.reset_second_factor(&ann(), &at(2)).await.unwrap();
    assert!(!counts(&session, 2).await);
    let session = begin().await;
    let hash = PasswordHash::of(&context.hasher, &ann(), &Password::parse(RIGHT).unwrap()).await.unwrap();
    operators.reset_password(&ann(), hash, &at(2)).await.unwrap();
    assert!(!counts(&session, 2).await);
    let session = begin().await;
    operators.end_session(&session, &ann(), &at(2)).await.unwrap();
    assert!(!counts(&session, 2).await);
    let session = begin().await;
    operators.remove(&ann(), &at(2)).await.unwrap();
    assert!(!counts(&session, 2).await);
    assert!(matches!(operators.remove(&ann(), &at(2)).await, Err(OperatorError::Unknown(_))));
}
