//! Where everything is stored.

use std::fs;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt as _;
use serde::{Deserialize, Serialize};
use tokio_postgres::Config;
use tokio_postgres::config::Host;

use crate::store::postgres::connect::Options;
use crate::store::sled::SurveyAt;

/// Mebibytes of memory that sled caches pages in where nobody says how many.
pub(super) const CACHE_MB: u32 = 64;
/// Fewest and most that may be asked for.
const CACHE: RangeInclusive<u32> = 8..=1_048_576;

/// When all records are read where nobody says when: an account that is gone must not pass for a user without a second factor.
pub(super) const FULL: &str = "full";
const AFTER_CRASH: &str = "after_crash";
/// A store with fewer records is always read whole before requests are answered: that takes some tenths of a second.
const LARGE: u64 = 250_000;

/// Connections of a process where nobody says how many.
pub(super) const POOL_SIZE: u32 = 16;
/// Most that may be asked for.
const MAX_POOL: u32 = 1_000;

/// The table `[store]`, as text.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreSettings {
    /// What keeps everything: `sled`, in the data folder, or `postgres`, a database that several servers may share [default: sled]
    #[arg(id = "store.engine", long = "store-engine", env = "SIDEKEY_STORE_ENGINE", value_name = "ENGINE")]
    pub engine: Option<String>,
    /// Mebibytes of memory for the pages of sled, about: more is quicker for many users who come in turn [default: 64]
    #[arg(
        id = "store.cache_mb",
        long = "store-cache-mb",
        env = "SIDEKEY_STORE_CACHE_MB",
        value_name = "NUMBER"
    )]
    pub cache_mb: Option<u32>,
    /// When a start reads all records of the data folder: `full`, always before requests are answered; `after_crash`, of a large store
    /// that was closed in good order only while they are answered [default: `full`]
    #[arg(
        id = "store.check_at_start",
        long = "store-check-at-start",
        env = "SIDEKEY_STORE_CHECK_AT_START",
        value_name = "WHEN"
    )]
    pub check_at_start: Option<String>,
    /// Address of the database without a password, as in `postgres://sidekey@db.example.com/sidekey`
    #[arg(id = "store.url", long = "store-url", env = "SIDEKEY_STORE_URL", value_name = "URL")]
    pub url: Option<String>,
    /// File with the address of the database, password included, in place of `store.url`
    #[arg(
        id = "store.url_file",
        long = "store-url-file",
        env = "SIDEKEY_STORE_URL_FILE",
        value_name = "FILE"
    )]
    pub url_file: Option<PathBuf>,
    /// Most connections of this server to the database for its requests; while a failed one is given up, it has up to twice as many, and 6 for its own tasks [default: 16]
    #[arg(
        id = "store.pool_size",
        long = "store-pool-size",
        env = "SIDEKEY_STORE_POOL_SIZE",
        value_name = "NUMBER"
    )]
    pub pool_size: Option<u32>,
    /// PEM file with the certificates that the database's own is signed by; default: those of the system
    #[arg(id = "store.ca_file", long = "store-ca-file", env = "SIDEKEY_STORE_CA_FILE", value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// TLS to the database, `require` or `disable`, this only on the same machine; default: `require`, but for sockets
    #[arg(id = "store.tls", long = "store-tls", env = "SIDEKEY_STORE_TLS", value_name = "WHEN")]
    pub tls: Option<String>,
}

/// What keeps everything.
#[derive(Clone, Debug)]
pub enum StoreChoice {
    /// sled, in the data folder.
    Sled {
        /// Bytes of memory that it caches pages in.
        cache_bytes: u64,
        /// When a start compares all records with the head.
        survey: SurveyAt,
    },
    /// A database.
    Postgres(Box<Options>),
}

impl StoreSettings {
    /// These settings, and others where these are silent.
    pub(super) fn over(self, other: Self) -> Self {
        // An address of one place is not mixed with that of another.
        let names = self.url.is_some() || self.url_file.is_some();
        let (url, url_file) = if names { (self.url, self.url_file) } else { (other.url, other.url_file) };
        Self {
            engine: self.engine.or(other.engine),
            cache_mb: self.cache_mb.or(other.cache_mb),
            check_at_start: self.check_at_start.or(other.check_at_start),
            url,
            url_file,
            pool_size: self.pool_size.or(other.pool_size),
            ca_file: self.ca_file.or(other.ca_file),
            tls: self.tls.or(other.tls),
        }
    }

    /// These settings with what counts where nobody says anything.
    pub(super) fn filled(self) -> Self {
        let engine = self.engine.or_else(|| Some("sled".to_owned()));
        let cache_mb = self.cache_mb.or(Some(CACHE_MB));
        let check_at_start = self.check_at_start.or_else(|| Some(FULL.to_owned()));
        Self { engine, cache_mb, check_at_start, pool_size: self.pool_size.or(Some(POOL_SIZE)), ..self }
    }

    /// What they choose. A development server takes a database that may lose what it acknowledges.
    ///
    /// # Errors
    /// The first mistake, a sentence.
    pub fn check(&self, development: bool) -> Result<StoreChoice, String> {
        match self.engine.as_deref().unwrap_or("sled") {
            "sled" => return self.sled(),
            "postgres" => {}
            other => return Err(format!("`--store-engine` must be `sled` or `postgres`, not `{other}`")),
        }
        let config = self.address()?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err("the address of the database names no host".to_owned());
        }
        let pool_size = self.pool_size.unwrap_or(POOL_SIZE);
        if !(1..=MAX_POOL).contains(&pool_size) {
            return Err(format!("`--store-pool-size` must be 1 to {MAX_POOL}"));
        }
        let by_socket = config.get_hosts().iter().all(|host| matches!(host, Host::Unix(_)));
        let tls = match self.tls.as_deref() {
            Some("require") => true,
            Some("disable") => false,
            None => !by_socket,
            Some(other) => {
                return Err(format!("`--store-tls` must be `require` or `disable`, not `{other}`"));
            }
        };
        let tls = tls.then(|| client(self.ca_file.as_deref())).transpose()?.map(Arc::new);
        let pool_size = usize::try_from(pool_size).unwrap_or(usize::MAX);
        let options = Options { config, tls, pool_size, volatile: development };
        if options.tls.is_none() && !options.is_local() {
            return Err("`--store-tls disable` is for a database on this machine only: what is stored would cross the \
                        network in the clear"
                .to_owned());
        }
        Ok(StoreChoice::Postgres(Box::new(options)))
    }

    fn sled(&self) -> Result<StoreChoice, String> {
        let cache_mb = self.cache_mb.unwrap_or(CACHE_MB);
        if !CACHE.contains(&cache_mb) {
            let (least, most) = (CACHE.start(), CACHE.end());
            return Err(format!("`--store-cache-mb` must be {least} to {most}"));
        }
        let survey = match self.check_at_start.as_deref().unwrap_or(FULL) {
            FULL => SurveyAt::Start,
            AFTER_CRASH => SurveyAt::StartUnlessClosed { records: LARGE },
            other => {
                return Err(format!(
                    "`--store-check-at-start` must be `full` or `after_crash`, not `{other}`"
                ));
            }
        };
        Ok(StoreChoice::Sled { cache_bytes: u64::from(cache_mb) << 20, survey })
    }

    fn address(&self) -> Result<Config, String> {
        let wrong = |name: &str| {
            // The parser's own words may quote the password.
            format!("{name} must be an address such as postgres://sidekey@db.example.com/sidekey")
        };
        match (&self.url, &self.url_file) {
            (Some(url), None) => {
                let config: Config = url.parse().map_err(|_| wrong("`--store-url`"))?;
                if config.get_password().is_some() {
                    return Err("`--store-url` must not have a password, which others could read: put the address into a \
                                file and name that with `--store-url-file`"
                        .to_owned());
                }
                Ok(config)
            }
            (None, Some(file)) => {
                let name = file.display();
                let text = fs::read_to_string(file)
                    .map_err(|error| format!("`--store-url-file {name}` cannot be read: {error}"))?;
                text.trim().parse().map_err(|_| wrong(&format!("the text in `--store-url-file {name}`")))
            }
            _ => Err("`--store-engine postgres` needs the address of the database: either `--store-url` or \
                      `--store-url-file`"
                .to_owned()),
        }
    }
}

/// TLS that verifies the database's certificate and name.
fn client(ca_file: Option<&Path>) -> Result<ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let failed = |error: rustls::Error| format!("TLS to the database cannot be set up: {error}");
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(failed)?;
    let Some(file) = ca_file else {
        return Ok(builder.with_platform_verifier().map_err(failed)?.with_no_client_auth());
    };
    let name = file.display();
    let unreadable =
        |error: &dyn std::fmt::Display| format!("`--store-ca-file {name}` cannot be read: {error}");
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(|error| unreadable(&error))? {
        let certificate = certificate.map_err(|error| unreadable(&error))?;
        roots.add(certificate).map_err(|error| unreadable(&error))?;
    }
    if roots.is_empty() {
        return Err(unreadable(&"there is no certificate in it"));
    }
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn postgres(url: &str) -> StoreSettings {
        StoreSettings {
            engine: Some("postgres".to_owned()),
            url: Some(url.to_owned()),
            ..StoreSettings::default()
        }
    }

    fn mistake(settings: &StoreSettings) -> String {
        settings.check(false).unwrap_err()
    }

    #[test]
    fn without_a_word_everything_is_in_the_data_folder() {
        let unsaid = StoreSettings::default();
        assert!(matches!(unsaid.check(false), Ok(StoreChoice::Sled { cache_bytes: 0x400_0000, .. })));
        for cache_mb in [0, 7, u32::MAX] {
            let cache_mb = Some(cache_mb);
            assert!(mistake(&StoreSettings { cache_mb, ..unsaid.clone() }).contains("--store-cache-mb"));
        }
        let unknown = StoreSettings { engine: Some("mysql".to_owned()), ..StoreSettings::default() };
        assert!(mistake(&unknown).contains("`sled` or `postgres`"));
    }

    #[test]
    fn all_records_are_read_before_anything_else_unless_it_is_said_otherwise() {
        let survey = |when: Option<&str>| {
            let check_at_start = when.map(str::to_owned);
            match (StoreSettings { check_at_start, ..StoreSettings::default() }).check(false) {
                Ok(StoreChoice::Sled { survey, .. }) => Ok(survey),
                Ok(StoreChoice::Postgres(_)) => panic!("a database"),
                Err(mistake) => Err(mistake),
            }
        };
        assert_eq!(survey(Some("full")), Ok(SurveyAt::Start));
        let large_only = Ok(SurveyAt::StartUnlessClosed { records: LARGE });
        assert_eq!(survey(Some("after_crash")), large_only);
        assert_eq!(survey(None), Ok(SurveyAt::Start));
        assert!(survey(Some("never")).unwrap_err().contains("--store-check-at-start"));
    }

    #[test]
    fn a_password_is_read_from_a_file_and_never_told() {
        let refused = mistake(&postgres("postgres://a:hunter2@db.example/b"));
        assert!(refused.contains("--store-url-file") && !refused.contains("hunter2"));
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "postgres://a:hunter2@127.0.0.1/b\n").unwrap();
        let by_file = StoreSettings { url: None, url_file: Some(file.path().into()), ..postgres("") };
        let Ok(StoreChoice::Postgres(options)) = by_file.check(false) else { panic!("refused") };
        assert_eq!(options.config.get_password(), Some(&b"hunter2"[..]));
        fs::write(file.path(), "postgres://a:hunter2@127.0.0.1:no/b").unwrap();
        assert!(!mistake(&by_file).contains("hunter2"));
    }

    #[test]
    fn tls_is_left_out_on_this_machine_only() {
        let tls = |url: &str, tls: Option<&str>| {
            let settings = StoreSettings { tls: tls.map(str::to_owned), ..postgres(url) };
            settings.check(false).map(|choice| match choice {
                StoreChoice::Postgres(options) => options.tls.is_some(),
                StoreChoice::Sled { .. } => panic!("sled"),
            })
        };
        assert_eq!(tls("postgres://a@db.example/b", None), Ok(true));
        assert_eq!(tls("host=/run/postgresql user=a", None), Ok(false));
        assert_eq!(tls("postgres://a@127.0.0.1/b", None), Ok(true));
        assert_eq!(tls("postgres://a@127.0.0.1/b", Some("disable")), Ok(false));
        assert!(tls("postgres://a@db.example/b", Some("disable")).is_err());
        assert!(tls("postgres://a@db.example/b", Some("prefer")).is_err());
    }

    #[test]
    fn an_address_is_given_once_and_a_certificate_file_has_certificates() {
        let both = StoreSettings { url_file: Some("x".into()), ..postgres("postgres://a@localhost/b") };
        assert!(mistake(&both).contains("either"));
        let empty = tempfile::NamedTempFile::new().unwrap();
        let without =
            StoreSettings { ca_file: Some(empty.path().into()), ..postgres("postgres://a@localhost/b") };
        assert!(mistake(&without).contains("no certificate"));
        let many = StoreSettings { pool_size: Some(0), ..postgres("postgres://a@localhost/b") };
        assert!(mistake(&many).contains("--store-pool-size"));
    }
}
