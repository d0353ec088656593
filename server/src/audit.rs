//! The audit trail: what happened, to whom, by whom, from where. It holds nothing secret.
//!
//! Entries are JSON and append-only; they are part of the transaction that they tell of, and the store numbers them. Whoever
//! passes events on reads them from here, so that an event is there exactly when its change is.

mod outline;
mod reason;
mod shown;

use std::cell::RefCell;
use std::net::IpAddr;

use data_encoding::HEXLOWER;
use serde::Serialize;
use serde_json::{Map, Value};
use sidekey_core::{
    event::Event,
    id::{AccountId, AppId, BrowserId, DeviceId},
    login::Method,
    time::UnixTime,
};

use crate::entropy::random;
use crate::http::rfc3339;

pub use outline::{Outline, made_at};
pub use reason::Reason;
pub use shown::{Outcome, Shown, outcome};

/// Room for nearly every entry, so that it does not move while it is put together.
const USUAL_ENTRY: usize = 512;

/// Longest user agent that is kept, in characters.
pub const USER_AGENT_MAX: usize = 256;

/// Bytes of a request's name, and names that are drawn from the system's generator at once.
const REQUEST_ID_BYTES: usize = 12;
const REQUEST_IDS: usize = 32;

/// Where a request came from and who made it.
#[derive(Clone, Debug)]
pub struct Origin {
    /// When.
    pub at: UnixTime,
    /// The request, as its answer names it.
    pub request_id: String,
    /// Who.
    pub actor: Actor,
    /// The address, forwarded ones from configured proxies only.
    pub ip_address: Option<IpAddr>,
    /// The user agent, cut to [`USER_AGENT_MAX`].
    pub user_agent: Option<String>,
    /// Why, where an operator has said so.
    pub reason: Option<Reason>,
}

impl Origin {
    /// Of something that no request of the network asked for.
    pub fn local(actor: Actor, at: UnixTime) -> Self {
        let request_id = new_request_id();
        Self { at, request_id, actor, ip_address: None, user_agent: None, reason: None }
    }

    /// The same, for a reason.
    #[must_use]
    pub fn because(self, reason: Reason) -> Self {
        Self { reason: Some(reason), ..self }
    }
}

/// A random name for a request, on its answer, its log lines and its audit entries. It is no secret, so some are drawn at once.
pub fn new_request_id() -> String {
    thread_local! {
        static DRAWN: RefCell<Vec<[u8; REQUEST_ID_BYTES]>> = const { RefCell::new(Vec::new()) };
    }
    DRAWN.with_borrow_mut(|drawn| {
        let next = drawn.pop().unwrap_or_else(|| {
            let bytes = random::<{ REQUEST_ID_BYTES * REQUEST_IDS }>();
            drawn.extend_from_slice(bytes.as_chunks().0);
            drawn.pop().unwrap_or_else(random)
        });
        HEXLOWER.encode(&next)
    })
}

/// Who made a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Actor {
    /// Nobody who proved who they are: a browser that answers a session, or a refresh.
    Anonymous,
    /// A host application.
    App,
    /// A user.
    User {
        /// The login of the access token.
        login: String,
    },
    /// A browser with an enrolment token.
    Enrollment,
    /// Whoever may open the data folder, at the command line.
    Operator,
    /// An operator who has signed in to the admin area.
    #[serde(rename = "operator")]
    SignedInOperator {
        /// Their name.
        name: String,
    },
    /// The server by itself.
    Server,
}

/// What happens to the server as a whole, not to an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(serde::Deserialize))]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ServerEvent {
    /// A host application was made.
    AppCreated,
    /// Settings of the app are different from now on.
    AppChanged {
        /// Their names.
        #[cfg_attr(test, serde(skip_deserializing))]
        fields: Vec<&'static str>,
    },
    /// An API key of the app was made.
    ApiKeyCreated {
        /// Its public name.
        key_id: String,
    },
    /// An API key of the app is worthless from now on.
    ApiKeyRevoked {
        /// Its public name.
        key_id: String,
    },
    /// From now on this master key seals.
    MasterKeyTakenIntoUse {
        /// Its id.
        key_id: String,
    },
    /// Everything that is sealed is being sealed anew.
    MasterKeyRotationStarted {
        /// With this key.
        key_id: String,
    },
    /// Everything is sealed with one key, and no other is needed.
    MasterKeyRotationFinished {
        /// That key.
        key_id: String,
        /// How many records were sealed anew.
        resealed: u64,
    },
    /// A key for access tokens was made and published.
    SigningKeyCreated {
        /// Its id, as in the key set.
        kid: String,
        /// From when on it signs, Unix time.
        signs_from: UnixTime,
    },
    /// A key for access tokens stops signing.
    SigningKeyRetired {
        /// Its id.
        kid: String,
        /// When, Unix time.
        at: UnixTime,
    },
    /// The store was restored from a backup: a new epoch begins.
    Restored {
        /// The id of the store that the backup was made of.
        store: String,
        /// When the backup was begun, Unix time.
        begun_at: u64,
    },
    /// All devices of the app's users leave in an export.
    UsersExported,
    /// Old audit entries are removed: by their age, or because there are too many.
    AuditTrimmed {
        /// The number of the oldest one that there was.
        first: u64,
        /// The number of the last one that goes.
        last: u64,
        /// When that one was made, Unix time.
        last_at: UnixTime,
    },
    /// The last token that a key signed has expired, and the key was removed.
    SigningKeyRemoved {
        /// Its id.
        kid: String,
    },
    /// An operator of the admin area was made.
    OperatorCreated {
        /// Their name.
        operator: String,
        /// What they may do.
        role: String,
    },
    /// An operator was removed.
    OperatorRemoved {
        /// Their name.
        operator: String,
    },
    /// An operator has another role.
    OperatorRoleChanged {
        /// Their name.
        operator: String,
        /// What they may do now.
        role: String,
    },
    /// An operator has another password.
    OperatorPasswordChanged {
        /// Their name.
        operator: String,
    },
    /// An operator's devices and backup codes are gone.
    OperatorSecondFactorReset {
        /// Their name.
        operator: String,
    },
    /// An operator has signed in, with the second factor.
    OperatorSignedIn {
        /// Their name.
        operator: String,
    },
    /// Name and password did not open the admin area.
    OperatorSignInRefused {
        /// Whose name it was; nothing for a name that nobody has.
        operator: Option<String>,
    },
    /// An operator has signed out.
    OperatorSignedOut {
        /// Their name.
        operator: String,
    },
    /// The audit trail, or a part of it, leaves the admin area as a file.
    AuditExported,
    /// An operator had removed what is over.
    Swept {
        /// Records.
        removed: u64,
        /// Entries of the audit trail.
        trimmed: u64,
    },
}

/// One entry.
#[derive(Debug, Serialize)]
pub struct Entry<'a> {
    at: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    app: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    actor: &'a Actor,
    ip_address: Option<IpAddr>,
    user_agent: Option<&'a str>,
    request_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a Reason>,
    event: What<'a>,
}

/// The names of all events, those of accounts first.
pub const EVENT_NAMES: [&str; 53] = [
    "session_opened",
    "setup_started",
    "device_confirmed",
    "second_factor_accepted",
    "answer_refused",
    "account_throttled",
    "account_locked",
    "account_unlocked",
    "session_failed",
    "device_renamed",
    "primary_changed",
    "device_removed",
    "device_disabled",
    "device_enabled",
    "two_factor_reset",
    "two_factor_disabled",
    "backup_codes_renewed",
    "refresh_token_reused",
    "return_code_reused",
    "login_revoked",
    "browser_trusted",
    "trusted_browser_used",
    "trusted_browser_reused",
    "browser_forgotten",
    "signed_out_everywhere",
    "owner_disputed",
    "action_spent",
    "action_refused",
    "user_imported",
    "user_erased",
    "app_created",
    "app_changed",
    "api_key_created",
    "api_key_revoked",
    "master_key_taken_into_use",
    "master_key_rotation_started",
    "master_key_rotation_finished",
    "signing_key_created",
    "signing_key_retired",
    "restored",
    "users_exported",
    "audit_trimmed",
    "signing_key_removed",
    "operator_created",
    "operator_removed",
    "operator_role_changed",
    "operator_password_changed",
    "operator_second_factor_reset",
    "operator_signed_in",
    "operator_sign_in_refused",
    "operator_signed_out",
    "audit_exported",
    "swept",
];

/// An entry as others are told of it: with its number, times as text, and what is in the event as the API writes it.
pub fn told(sequence: u64, entry: &Map<String, Value>) -> Map<String, Value> {
    let time = |value: &Value| serde_json::from_value(value.clone()).map(rfc3339).ok();
    let mut told = Map::new();
    told.insert("sequence".to_owned(), sequence.into());
    told.extend(entry.clone());
    if let Some(at) = entry.get("at").and_then(time) {
        told.insert("at".to_owned(), at.into());
    }
    let event = told.get_mut("event").and_then(Value::as_object_mut);
    for (name, value) in event.into_iter().flatten() {
        let text = match name.as_str() {
            "device" => serde_json::from_value(value.clone()).map(|id: DeviceId| id.to_string()).ok(),
            "browser" => serde_json::from_value(value.clone()).map(|id: BrowserId| id.to_string()).ok(),
            "method" => {
                serde_json::from_value(value.clone()).map(|method| method_name(method).to_owned()).ok()
            }
            "until" | "at" | "last_at" | "signs_from" | "begun_at" => time(value),
            _ => None,
        };
        if let Some(text) = text {
            *value = text.into();
        }
    }
    told
}

/// The name of a method, as the API has it.
pub fn method_name(method: Method) -> &'static str {
    match method {
        Method::Otp => "totp",
        Method::BackupCode => "backup_code",
    }
}

/// Told apart by their types, whose names no two events share.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum What<'a> {
    Account(&'a Event),
    Server(&'a ServerEvent),
}

impl<'a> Entry<'a> {
    /// The entry of what happened to an account.
    pub fn new(account: &'a AccountId, origin: &'a Origin, event: &'a Event) -> Self {
        Self {
            user: Some(account.user.as_str()),
            ..Self::of(Some(&account.app), origin, What::Account(event))
        }
    }

    /// The entry of what happened to the server, or to one of its apps.
    pub fn of_server(app: Option<&'a AppId>, origin: &'a Origin, event: &'a ServerEvent) -> Self {
        Self::of(app, origin, What::Server(event))
    }

    fn of(app: Option<&'a AppId>, origin: &'a Origin, event: What<'a>) -> Self {
        Self {
            at: origin.at.as_secs(),
            app: app.map(AppId::as_str),
            user: None,
            actor: &origin.actor,
            ip_address: origin.ip_address,
            user_agent: origin.user_agent.as_deref(),
            request_id: &origin.request_id,
            reason: origin.reason.as_ref(),
            event,
        }
    }

    /// Its JSON.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(USUAL_ENTRY);
        // Plain fields and string keys: there is nothing in it that JSON cannot hold.
        serde_json::to_writer(&mut bytes, self).map(|()| bytes).unwrap_or_default()
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use serde_json::Value;

    use crate::store::{Engine, Key, Kind};

    /// All entries of a store, oldest first.
    pub(crate) async fn entries(engine: &dyn Engine) -> Vec<Value> {
        let entries = engine.scan(&Key::of(Kind::Audit), None, 1_000).await.unwrap();
        entries.iter().map(|(_, entry)| serde_json::from_slice(&entry.value).unwrap()).collect()
    }
}

#[cfg(test)]
mod tests;
