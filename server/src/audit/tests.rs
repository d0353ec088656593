use std::collections::BTreeSet;

use serde_json::json;
use sidekey_core::id::UserId;

use super::*;

fn read(entry: &Entry<'_>) -> Value {
    let mut value: Value = serde_json::from_slice(&entry.to_bytes()).unwrap();
    let request_id = value.as_object_mut().unwrap().remove("request_id").unwrap();
    assert_eq!(request_id.as_str().unwrap().len(), 24);
    value
}

#[test]
fn no_two_requests_have_one_name() {
    let count = 3 * REQUEST_IDS + 1;
    let draw = move || (0..count).map(|_| new_request_id()).collect::<Vec<_>>();
    let other = std::thread::spawn(draw);
    let names: BTreeSet<_> = draw().into_iter().chain(other.join().unwrap()).collect();
    assert_eq!(names.len(), 2 * count);
    assert!(names.iter().all(|name| name.len() == 2 * REQUEST_ID_BYTES), "{names:?}");
}

#[test]
fn an_entry_is_told_as_the_api_writes_it() {
    let origin = Origin::local(Actor::Server, UnixTime::from_secs(1_790_000_000));
    let account = AccountId { app: AppId::parse("shop").unwrap(), user: UserId::parse("42").unwrap() };
    let of = |event: &Event| {
        let entry = serde_json::from_slice(&Entry::new(&account, &origin, event).to_bytes()).unwrap();
        Value::from(told(7, &entry))
    };
    let device = DeviceId::from_bytes([0xab; 16]);
    let accepted = of(&Event::SecondFactorAccepted { method: Method::Otp, device: Some(device) });
    assert_eq!((&accepted["sequence"], &accepted["at"]), (&json!(7), &json!("2026-09-21T14:13:20Z")));
    assert_eq!(
        accepted["event"],
        json!({"type": "second_factor_accepted", "method": "totp", "device": "ab".repeat(16)})
    );
    let until = UnixTime::from_secs(1_790_000_030);
    let throttled = of(&Event::AccountThrottled { method: Method::BackupCode, until, notify: true });
    assert_eq!(throttled["event"]["until"], "2026-09-21T14:13:50Z");
    assert_eq!(throttled["event"]["method"], "backup_code");
    let browser = of(&Event::BrowserTrusted { browser: BrowserId::from_bytes([1; 16]) });
    assert_eq!(browser["event"]["browser"], "01".repeat(16));
    let without = of(&Event::SecondFactorAccepted { method: Method::BackupCode, device: None });
    assert_eq!(without["event"]["device"], Value::Null);
}

#[test]
fn the_names_are_those_that_the_types_have() {
    const UNKNOWN: &str = r#"{"type": "?"}"#;
    // "unknown variant `?`, expected one of `a`, `b`, …"
    let named = |refused: serde_json::Error| -> Vec<String> {
        refused.to_string().split('`').skip(3).step_by(2).map(str::to_owned).collect()
    };
    let mut expected = named(serde_json::from_str::<Event>(UNKNOWN).unwrap_err());
    expected.extend(named(serde_json::from_str::<ServerEvent>(UNKNOWN).unwrap_err()));
    assert_eq!(EVENT_NAMES[..], expected[..]);
}

/// The rows of the table of events, each with the names of its fields.
fn documented() -> Vec<(String, Vec<String>)> {
    let place = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/operations.md");
    let text = std::fs::read_to_string(place).unwrap();
    let (_, table) = text.split_once("| event | when | fields |\n").unwrap();
    let rows = table.lines().skip(1).take_while(|line| line.starts_with('|'));
    let row = |line: &str| {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        // `name`: what it says, or `name`, `name`
        let fields = cells[3].split(", ").filter_map(|field| field.strip_prefix('`')?.split('`').next());
        (cells[1].trim_matches('`').to_owned(), fields.map(str::to_owned).collect())
    };
    rows.map(row).collect()
}

#[test]
fn every_event_is_documented() {
    let documented = documented();
    let names: BTreeSet<_> = documented.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, BTreeSet::from(EVENT_NAMES), "the table of docs/operations.md");
    let (device, method) = (DeviceId::from_bytes([1; 16]), Method::Otp);
    let until = UnixTime::from_secs(7);
    for event in [
        Event::SecondFactorAccepted { method, device: Some(device) },
        Event::DeviceConfirmed { device, first: true },
        Event::AnswerRefused { method, replayed: true },
        Event::AccountThrottled { method, until, notify: true },
        Event::UserImported { devices: 1, backup_codes: 2 },
        Event::AccountLocked,
    ] {
        let written = serde_json::to_value(&event).unwrap();
        let mut fields: Vec<_> = written.as_object().unwrap().keys().filter(|key| *key != "type").collect();
        let (_, mut told) = documented.iter().find(|(name, _)| *name == event.name()).unwrap().clone();
        fields.sort();
        told.sort();
        assert_eq!(fields, told.iter().collect::<Vec<_>>(), "{event:?}");
    }
}

#[test]
fn an_event_is_called_as_it_is_written() {
    let mut members = json!({
        "asks": "nothing", "device": DeviceId::from_bytes([1; 16]), "first": true, "method": Method::Otp, "replayed": true,
        "until": 7, "notify": true, "browser": BrowserId::from_bytes([1; 16]), "action": "transfer", "devices": 1,
        "backup_codes": 2,
    });
    let (of_accounts, of_the_server) = EVENT_NAMES.split_at(30);
    assert_eq!(of_the_server.first(), Some(&"app_created"));
    for name in of_accounts {
        members["type"] = (*name).into();
        let event: Event = serde_json::from_value(members.clone()).unwrap();
        assert_eq!(event.name(), *name);
    }
}

#[test]
fn an_entry_names_an_account_only_where_it_is_about_one() {
    let app = AppId::parse("shop").unwrap();
    let origin = Origin::local(Actor::Operator, UnixTime::from_secs(1_790_000_000));
    let account = AccountId { app: app.clone(), user: UserId::parse("42").unwrap() };
    let common = json!({
        "at": 1_790_000_000, "actor": {"kind": "operator"}, "ip_address": null, "user_agent": null,
    });
    let with = |members: Value| {
        let mut all = common.clone();
        all.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        all
    };
    assert_eq!(
        read(&Entry::new(&account, &origin, &Event::AccountUnlocked)),
        with(json!({"app": "shop", "user": "42", "event": {"type": "account_unlocked"}}))
    );
    let reason = Reason::parse("lost phone").unwrap();
    let signed_in = Origin {
        actor: Actor::SignedInOperator { name: "ann".to_owned() },
        ip_address: Some([203, 0, 113, 7].into()),
        ..origin.clone().because(reason)
    };
    let reset = Entry::new(&account, &signed_in, &Event::TwoFactorReset);
    assert_eq!(
        read(&reset),
        with(json!({
            "app": "shop", "user": "42", "event": {"type": "two_factor_reset"}, "reason": "lost phone",
            "actor": {"kind": "operator", "name": "ann"}, "ip_address": "203.0.113.7",
        }))
    );
    let shown = Shown::read(&reset.to_bytes()).unwrap();
    assert_eq!((shown.actor(), shown.operator()), ("operator", Some("ann")));
    let owner = shown.for_owner();
    assert_eq!((owner.operator(), &owner.reason, owner.ip_address), (None, &None, None));
    let event = ServerEvent::ApiKeyRevoked { key_id: "k1".to_owned() };
    assert_eq!(
        read(&Entry::of_server(Some(&app), &origin, &event)),
        with(json!({"app": "shop", "event": {"type": "api_key_revoked", "key_id": "k1"}}))
    );
}
