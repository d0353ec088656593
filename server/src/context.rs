//! What every operation of a running server may use.

use std::fmt;
use std::sync::Arc;

use metrics_exporter_prometheus::PrometheusHandle;

use crate::apps::Apps;
use crate::clock::Clock;
use crate::config::{PublicUrl, Settings};
use crate::keyring::{Keyring, Pepper};
use crate::store::Engine;
use crate::token::Signer;

/// Made once at start and shared by all requests.
pub struct Context {
    /// The settings as they were at start.
    pub settings: Settings,
    /// Where browsers reach the server, without the base path; its origin is what our own pages send as `Origin`.
    pub public_url: PublicUrl,
    /// The records.
    pub engine: Arc<dyn Engine>,
    /// Seals what is secret in them.
    pub keyring: Keyring,
    /// The key of keyed hashes.
    pub pepper: Pepper,
    /// Signs and verifies access tokens.
    pub signer: Signer,
    /// Host applications and their API keys.
    pub apps: Apps,
    /// The time.
    pub clock: Clock,
    /// What `/metrics` shows.
    pub metrics: PrometheusHandle,
}

impl Context {
    /// The absolute URL of a path of this server, such as `/2fa/account/`, base path included.
    pub fn url(&self, path: &str) -> String {
        format!("{}{}{path}", self.public_url, self.settings.base_path)
    }

    /// The `iss` of access tokens: the public URL with the base path, under which `/.well-known/jwks.json` lies.
    pub fn issuer(&self) -> String {
        self.url("")
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
    use crate::keyring::{MasterKey, unlock};
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
        let keyring = Keyring::new(MasterKey::generate(&mut Entropy));
        let pepper = unlock(&*engine, &keyring, &mut Entropy).await.unwrap();
        let signer = Signer::load_or_create(&*engine, &keyring, now, &mut Entropy).await.unwrap();
        let context = Context {
            public_url: settings.public_url_on(settings.listen),
            settings,
            apps: Apps::new(Arc::clone(&engine)),
            engine,
            keyring,
            pepper,
            signer,
            clock: Clock::standing(now),
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
        assert_eq!(context.issuer(), "https://login.example/api");
        assert_eq!(context.public_url.origin(), "https://login.example");
    }
}
