//! What every operation of a running server may use.

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use metrics_exporter_prometheus::PrometheusHandle;
use sidekey_core::id::AccountId;
use tokio::sync::Semaphore;

use crate::apps::Apps;
use crate::backup_code_hash::BackupCodeHasher;
use crate::clock::Clock;
use crate::config::{PublicUrl, Settings};
use crate::keyring::Pepper;
use crate::limit::{AccountLimit, AddressLimit, Level, TooMany};
use crate::master_keys::MasterKeys;
use crate::operators::Operators;
use crate::probe::Probes;
use crate::reload::Live;
use crate::statistics::latency::Latency;
use crate::store::{Engine, Store};
use crate::swap::Swap;
use crate::token::{AccessClaims, Signer, TokenError};
use crate::trail::live::Listeners;

/// Downloads of the audit trail at once: each reads all of it.
pub const MAX_DOWNLOADS: usize = 2;

/// Made once at start and shared by all requests.
pub struct Context {
    /// The settings as they were at start.
    pub settings: Settings,
    /// Those that are read again while the server runs.
    pub live: Swap<Live>,
    /// Where browsers reach the server, without the base path; its origin is what our own pages send as `Origin`.
    pub public_url: PublicUrl,
    /// The `iss` of access tokens: the public URL with the base path, under which `/.well-known/jwks.json` lies.
    pub issuer: String,
    /// The records.
    pub engine: Arc<dyn Engine>,
    /// Seal what is secret in them.
    pub master_keys: Arc<MasterKeys>,
    /// The key of keyed hashes.
    pub pepper: Arc<Pepper>,
    /// Accounts, sessions and logins in them.
    pub store: Store,
    /// Hashes backup codes.
    pub hasher: Arc<BackupCodeHasher>,
    /// Signs and verifies access tokens.
    pub signer: Arc<Signer>,
    /// Host applications and their API keys.
    pub apps: Apps,
    /// Who may sign in to the admin area.
    pub operators: Operators,
    /// The time.
    pub clock: Clock,
    /// What client addresses may do without credentials; `None`: whatever they like.
    pub address_limit: Option<AddressLimit>,
    /// How often a client address may try an operator's password; a bucket of its own, because each try writes and takes a slow hash.
    pub password_limit: AddressLimit,
    /// What the logins of an account may repeat at will.
    pub account_limit: AccountLimit,
    /// What `/metrics` shows.
    pub metrics: PrometheusHandle,
    /// How long answers took of late.
    pub latency: Latency,
    /// Who watches what happens.
    pub listeners: Listeners,
    /// The places of those who download the trail.
    pub downloads: Arc<Semaphore>,
    /// Requests of `sidekey doctor`, told back to it.
    pub probes: Arc<Probes>,
    /// What `/openapi.json` shows, from the first time on that somebody asks.
    pub description: OnceLock<Bytes>,
}

impl Context {
    /// The absolute URL of a path of this server, such as `/2fa/account/`, base path included.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.issuer)
    }

    /// Takes a token from an address's bucket, and gives how full it is then; an address that nobody knows has none.
    ///
    /// # Errors
    /// There is none.
    pub fn count_address(&self, address: Option<IpAddr>) -> Result<Option<Level>, TooMany> {
        let Some((limit, address)) = self.address_limit.as_ref().zip(address) else { return Ok(None) };
        limit.take(address).map_err(|seconds| TooMany { seconds, level: Some(limit.empty()) })
    }

    /// Takes a token from an address's bucket for the passwords of operators.
    ///
    /// # Errors
    /// There is none.
    pub fn count_password(&self, address: Option<IpAddr>) -> Result<(), TooMany> {
        let Some(address) = address else { return Ok(()) };
        self.password_limit.take(address).map(drop).map_err(|seconds| TooMany { seconds, level: None })
    }

    /// Takes a token from an account's bucket, for what its logins may repeat at will.
    ///
    /// # Errors
    /// There is none.
    pub fn count_account(&self, account: &AccountId) -> Result<(), TooMany> {
        self.account_limit.take(account).map_err(|seconds| TooMany { seconds, level: None })
    }

    /// The claims of an access token that counts now.
    ///
    /// # Errors
    /// It is none of ours, or has expired.
    pub fn verify_access_token(&self, token: &str) -> Result<AccessClaims, TokenError> {
        self.signer.verify(token, self.clock.now().as_secs(), &self.issuer)
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Context").field("settings", &self.settings).finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use clap::Parser;
    use sidekey_core::time::UnixTime;
    use tempfile::TempDir;

    use super::*;
    use crate::config::ServeSettings;
    use crate::entropy::Entropy;
    use crate::keyring::{self, sources};
    use crate::store::SledEngine;
    use crate::store::sled::Options;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        serve: ServeSettings,
    }

    /// A context over a store of its own, in development mode, with a clock that stands at `now`. The store lives as long
    /// as the folder.
    pub(crate) async fn context(now: UnixTime, flags: &[&str]) -> (TempDir, Arc<Context>) {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().to_str().unwrap();
        let arguments = ["sidekey", "--development", "--data", data].into_iter().chain(flags.iter().copied());
        let settings = Program::try_parse_from(arguments).unwrap().serve.check().unwrap();
        let engine: Arc<dyn Engine> =
            Arc::new(SledEngine::open(&settings.data, &Options::new([7; 16])).unwrap());
        let key_file = folder.path().join("master.key");
        let (keyring, _) = sources::load_or_create(&key_file, &mut Entropy).unwrap();
        let source = keyring::Origin::File(key_file);
        let opened = MasterKeys::open(Arc::clone(&engine), keyring, source, now, &mut Entropy).await;
        let (master_keys, pepper) = opened.unwrap();
        let pepper = Arc::new(pepper);
        let signer =
            Signer::load_or_create(&*engine, &master_keys.current(), now, &mut Entropy).await.unwrap();
        let public_url = settings.public_url_on(settings.listen);
        let issuer = format!("{public_url}{}", settings.base_path);
        let context = Context {
            probes: Arc::new(Probes::new(issuer.clone(), settings.public_url.is_some())),
            issuer,
            public_url,
            live: Swap::new(Live::of(&settings)),
            settings,
            apps: Apps::new(Arc::clone(&engine)),
            operators: Operators::new(Arc::clone(&engine)),
            store: Store::new(Arc::clone(&engine), master_keys.shared()),
            hasher: Arc::new(BackupCodeHasher::new(Arc::clone(&pepper))),
            engine,
            master_keys: Arc::new(master_keys),
            pepper,
            signer: Arc::new(signer),
            clock: Clock::standing(now),
            address_limit: None,
            password_limit: AddressLimit::of_passwords(true),
            account_limit: AccountLimit::new(),
            description: OnceLock::new(),
            latency: Latency::default(),
            listeners: Listeners::default(),
            downloads: Arc::new(Semaphore::new(MAX_DOWNLOADS)),
            metrics: metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder().handle(),
        };
        (folder, Arc::new(context))
    }

    #[tokio::test]
    async fn urls_have_the_base_path() {
        let now = UnixTime::from_secs(1_790_000_000);
        let flags = ["--public-url", "https://login.example/", "--base-path", "api"];
        let (_folder, context) = context(now, &flags).await;
        assert_eq!(context.url("/2fa/account/"), "https://login.example/api/2fa/account/");
        assert_eq!(context.issuer, "https://login.example/api");
        assert_eq!(context.public_url.origin(), "https://login.example");
    }
}
