use std::sync::Arc;

use sidekey_core::id::AppId;
use sidekey_core::policy::Enforcement;
use sidekey_core::time::UnixTime;
use tempfile::TempDir;

use super::{AppError, Apps, NewApp, ReturnUrls};
use crate::audit::{Actor, Origin, testing::entries};
use crate::entropy::Entropy;
use crate::store::sled::Options;
use crate::store::{Engine, SledEngine};
use serde_json::json;

fn origin() -> Origin {
    Origin::local(Actor::Operator, UnixTime::from_secs(1_790_000_000))
}

fn apps() -> (TempDir, Apps) {
    let folder = tempfile::tempdir().unwrap();
    let engine = SledEngine::open(folder.path(), &Options::new([7; 16])).unwrap();
    (folder, Apps::new(Arc::new(engine)))
}

fn named(name: &str) -> NewApp {
    NewApp {
        id: None,
        name: name.to_owned(),
        enforcement: Enforcement::Optional,
        return_urls: ReturnUrls::default(),
    }
}

fn with_id(id: &str) -> NewApp {
    NewApp { id: Some(AppId::parse(id).unwrap()), ..named("Shop") }
}

#[tokio::test]
async fn an_app_authenticates_with_its_keys_and_nothing_else() {
    let (_folder, apps) = apps();
    let (shop, first) = apps.create(named("Shop"), &origin(), &mut Entropy).await.unwrap();
    let second = apps.create_key(&shop.id, &origin(), &mut Entropy).await.unwrap();
    for key in [&first, &second, &first] {
        assert_eq!(*apps.authenticate(key.api_key.expose()).await.unwrap().unwrap(), shop);
    }
    let text = first.api_key.expose();
    assert_eq!(text.len(), "sidekey_".len() + 43);
    let other_case = text.to_ascii_uppercase();
    let changed = format!("sidekey_{}", "A".repeat(43));
    for wrong in
        ["", "sidekey_", &text[1..], &text[..text.len() - 1], &format!("{text}="), &other_case, &changed]
    {
        assert!(apps.authenticate(wrong).await.unwrap().is_none(), "{wrong}");
    }
}

#[tokio::test]
async fn a_revoked_key_is_refused_at_once_and_the_others_are_not() {
    let (_folder, apps) = apps();
    let (shop, first) = apps.create(named("Shop"), &origin(), &mut Entropy).await.unwrap();
    let second = apps.create_key(&shop.id, &origin(), &mut Entropy).await.unwrap();
    // Twice: from the store, and from memory.
    for _ in 0..2 {
        assert!(apps.authenticate(first.api_key.expose()).await.unwrap().is_some());
    }
    apps.revoke_key(&shop.id, &first.key_id, &origin()).await.unwrap();
    assert!(apps.authenticate(first.api_key.expose()).await.unwrap().is_none());
    assert!(apps.authenticate(second.api_key.expose()).await.unwrap().is_some());
    apps.revoke_key(&shop.id, &first.key_id, &origin()).await.unwrap();
}

#[tokio::test]
async fn a_key_is_revoked_by_its_own_app_only() {
    let (_folder, apps) = apps();
    let (_, key) = apps.create(with_id("one"), &origin(), &mut Entropy).await.unwrap();
    let (two, _) = apps.create(with_id("two"), &origin(), &mut Entropy).await.unwrap();
    let refused = apps.revoke_key(&two.id, &key.key_id, &origin()).await.unwrap_err();
    assert!(matches!(refused, AppError::UnknownKey { .. }));
    assert!(apps.authenticate(key.api_key.expose()).await.unwrap().is_some());
}

#[tokio::test]
async fn an_id_is_given_once() {
    let (_folder, apps) = apps();
    let (first, key) = apps.create(with_id("shop"), &origin(), &mut Entropy).await.unwrap();
    let refused = apps.create(with_id("shop"), &origin(), &mut Entropy).await.unwrap_err();
    assert!(matches!(refused, AppError::Exists(id) if id == first.id));
    let app = apps.authenticate(key.api_key.expose()).await.unwrap().unwrap();
    assert_eq!(app.id, first.id);
}

#[tokio::test]
async fn apps_of_one_name_get_different_ids() {
    let (_folder, apps) = apps();
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(apps.create(named("Example"), &origin(), &mut Entropy).await.unwrap().0.id);
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 3);
    assert_eq!(ids[0].as_str(), "example");
}

#[tokio::test]
async fn all_apps_are_listed_by_id() {
    let (_folder, apps) = apps();
    assert!(apps.list().await.unwrap().is_empty());
    for id in ["b", "c", "a"] {
        apps.create(with_id(id), &origin(), &mut Entropy).await.unwrap();
    }
    let ids: Vec<_> = apps.list().await.unwrap().into_iter().map(|app| app.id.to_string()).collect();
    assert_eq!(ids, ["a", "b", "c"]);
}

#[tokio::test]
async fn what_cannot_be_is_refused() {
    let (_folder, apps) = apps();
    for name in ["", "   ", "a\nb", &"x".repeat(101)] {
        let refused = apps.create(named(name), &origin(), &mut Entropy).await.unwrap_err();
        assert!(matches!(refused, AppError::InvalidName), "{name:?}");
    }
    let nobody = AppId::parse("nobody").unwrap();
    let refused = apps.create_key(&nobody, &origin(), &mut Entropy).await.unwrap_err();
    assert!(matches!(refused, AppError::UnknownApp(_)));
    let refused = apps.revoke_key(&nobody, "x", &origin()).await.unwrap_err();
    assert!(matches!(refused, AppError::UnknownApp(_)));
}

#[tokio::test]
async fn a_new_app_is_found_although_it_was_looked_for_before() {
    let (_folder, apps) = apps();
    let id = AppId::parse("shop").unwrap();
    assert!(apps.find(&id).await.unwrap().is_none());
    apps.create(with_id("shop"), &origin(), &mut Entropy).await.unwrap();
    assert_eq!(apps.find(&id).await.unwrap().unwrap().id, id);
}

#[tokio::test]
async fn every_change_has_its_audit_entry_and_a_refused_one_has_none() {
    let folder = tempfile::tempdir().unwrap();
    let engine: Arc<dyn Engine> = Arc::new(SledEngine::open(folder.path(), &Options::new([7; 16])).unwrap());
    let apps = Apps::new(Arc::clone(&engine));
    let (shop, first) = apps.create(with_id("shop"), &origin(), &mut Entropy).await.unwrap();
    apps.create(with_id("shop"), &origin(), &mut Entropy).await.unwrap_err();
    let second = apps.create_key(&shop.id, &origin(), &mut Entropy).await.unwrap();
    apps.revoke_key(&shop.id, &first.key_id, &origin()).await.unwrap();
    apps.revoke_key(&shop.id, &first.key_id, &origin()).await.unwrap();
    let entries = entries(&*engine).await;
    let events: Vec<_> = entries.iter().map(|entry| entry["event"].clone()).collect();
    assert_eq!(
        events,
        [
            json!({"type": "app_created"}),
            json!({"type": "api_key_created", "key_id": first.key_id}),
            json!({"type": "api_key_created", "key_id": second.key_id}),
            json!({"type": "api_key_revoked", "key_id": first.key_id}),
        ]
    );
    assert!(entries.iter().all(|entry| entry["app"] == "shop" && entry["actor"]["kind"] == "operator"));
}
