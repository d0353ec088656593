//! The settings of `sidekey serve`: flags, environment and a file in, checked values out.
//!
//! - this file: [`ServeSettings`] as typed by a person, [`Settings`] as used by the server;
//! - `file`: the TOML file, whose settings count where neither flag nor environment speaks;
//! - [`catalogue`]: every setting with its default, for the commented file and for who asks what is in force;
//! - [`told`]: what of them an operator of the admin area sees;
//! - `notify`: who is told of what happens, and `protect`: the rules of forward-auth; both stand in the file only;
//! - [`StoreSettings`]: where everything is stored;
//! - `address`: the public URL and the base path.

mod address;
pub mod catalogue;
mod file;
mod notify;
mod protect;
mod store;
#[cfg(test)]
mod tests;
pub mod told;
mod traces;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::builder::BoolishValueParser;
use clap::{ArgAction, Args};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use sidekey_core::key_uri::MAX_ISSUER_BYTES;

pub use address::{BasePath, PublicUrl};
pub use notify::{Fingerprint, NotifySettings};
pub use protect::{ProtectSettings, Protection};
pub use store::{StoreChoice, StoreSettings};
use told::AllTold;
pub use traces::{Tracing, TracingSettings};

use crate::limit::Rate;
use crate::logging::LogLevel;
use crate::outbox::Destination;
use crate::store::retention::Retention;

const LISTEN: &str = "127.0.0.1:8080";
/// The data folder where nobody names one.
pub const DATA: &str = "./data";
const ISSUER: &str = "Sidekey";
const RATE_LIMIT: u32 = 100;
const RATE_BURST: u32 = 1_000;
const AUDIT_RETENTION_DAYS: u32 = 400;
const AUDIT_MAX_ENTRIES: u64 = 10_000_000;
const LOG_LEVEL: &str = "info";

/// The settings of `sidekey serve`, still text and perhaps not there: [`ServeSettings::check`] names every mistake in one go.
///
/// Flags and variables of the environment have the same names as the keys of the file, with `-` for `_`.
#[derive(Args, Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServeSettings {
    /// TOML file with settings; flags and environment variables count before it
    #[arg(long, env = "SIDEKEY_CONFIG", value_name = "FILE")]
    #[serde(skip)]
    pub config: Option<PathBuf>,
    /// Address and port to listen on [default: 127.0.0.1:8080]
    #[arg(long, env = "SIDEKEY_LISTEN", value_name = "ADDRESS")]
    pub listen: Option<String>,
    /// Folder of the database and the control socket; made if missing [default: ./data]
    #[arg(long, env = "SIDEKEY_DATA", value_name = "FOLDER")]
    pub data: Option<PathBuf>,
    /// Development mode: a demo application that anybody can sign in to, a generated key, a clock that tests may advance
    #[arg(
        long,
        env = "SIDEKEY_DEVELOPMENT",
        value_name = "BOOL",
        value_parser = BoolishValueParser::new(),
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    pub development: Option<bool>,
    /// With `--development`: makes users for the tests of a host application, the same for the same number; `--seed` alone: 1
    #[arg(long, value_name = "NUMBER", num_args = 0..=1, require_equals = true, default_missing_value = "1")]
    #[serde(skip)]
    pub seed: Option<u64>,
    /// Where browsers reach this server, for example `https://login.example.com`; default: the address listened on
    #[arg(long, env = "SIDEKEY_PUBLIC_URL", value_name = "URL")]
    pub public_url: Option<String>,
    /// Path before `/2fa/`, for example `/api`
    #[arg(long, env = "SIDEKEY_BASE_PATH", value_name = "PATH")]
    pub base_path: Option<String>,
    /// Name of the service as authenticator apps show it [default: Sidekey]
    #[arg(long, env = "SIDEKEY_ISSUER", value_name = "NAME")]
    pub issuer: Option<String>,
    /// File with the master key, made by `sidekey keys generate --out FILE`
    #[arg(long, env = "SIDEKEY_MASTER_KEY_FILE", value_name = "FILE")]
    pub master_key_file: Option<PathBuf>,
    /// Proxy whose `X-Forwarded-*` headers are believed, as an address or a CIDR block; may be repeated
    #[arg(
        long = "trusted-proxy",
        env = "SIDEKEY_TRUSTED_PROXY",
        value_delimiter = ',',
        action = ArgAction::Append,
        value_name = "CIDR"
    )]
    pub trusted_proxies: Vec<String>,
    /// Requests without credentials, and changes by users, that one client address may make a second in the long run; 0: no limit [default: 100]
    #[arg(long, env = "SIDEKEY_RATE_LIMIT", value_name = "NUMBER")]
    pub rate_limit: Option<u32>,
    /// Such requests that one client address may make at once [default: 1000]
    #[arg(long, env = "SIDEKEY_RATE_BURST", value_name = "NUMBER")]
    pub rate_burst: Option<u32>,
    /// Days that audit entries are kept; 0: as long as there is room [default: 400]
    #[arg(long, env = "SIDEKEY_AUDIT_RETENTION_DAYS", value_name = "DAYS")]
    pub audit_retention_days: Option<u32>,
    /// Most audit entries that are kept, some 400 bytes each; 0: any number [default: 10000000]
    #[arg(long, env = "SIDEKEY_AUDIT_MAX_ENTRIES", value_name = "NUMBER")]
    pub audit_max_entries: Option<u64>,
    /// Serve the admin area at `/admin/` [default: true]
    #[arg(
        long,
        env = "SIDEKEY_ADMIN",
        value_name = "BOOL",
        value_parser = BoolishValueParser::new(),
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    pub admin: Option<bool>,
    /// How much is logged: `error`, `warn`, `info`, `debug`, `trace`, or by module as in `info,sidekey_server=debug` [default: info]
    #[arg(long, env = "SIDEKEY_LOG", value_name = "LEVEL")]
    pub log_level: Option<String>,
    /// Form of the log on standard error: `text` or `json`; default: text on a terminal, JSON elsewhere
    #[arg(long, env = "SIDEKEY_LOG_FORMAT", value_name = "FORM")]
    pub log: Option<String>,
    /// Where everything is stored.
    #[command(flatten)]
    pub store: StoreSettings,
    /// Which requests of a proxy need a second factor.
    #[arg(skip)]
    pub protect: Vec<ProtectSettings>,
    /// Where the applications' own logins are.
    #[arg(skip)]
    pub sign_in: BTreeMap<String, String>,
    /// Who is told of what happens.
    #[arg(skip)]
    pub notify: Vec<NotifySettings>,
    /// Where traces go.
    #[arg(skip)]
    pub tracing: Option<TracingSettings>,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Checked settings of a server.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Address to listen on; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// Folder of the database, the control socket and, in development mode, the keys.
    pub data: PathBuf,
    /// Whether this is a development server.
    pub development: bool,
    /// The number that the users of development mode are made from at the start, if they are.
    pub seed: Option<u64>,
    /// Where browsers reach the server, without the base path; `None`: the address listened on.
    pub public_url: Option<PublicUrl>,
    /// The prefix of every path.
    pub base_path: BasePath,
    /// The product name in key URIs and on pages.
    pub issuer: String,
    /// The file with the master key, if one was named.
    pub master_key_file: Option<PathBuf>,
    /// Peers whose forwarding headers are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// What one client address may do without credentials; `None`: whatever it likes.
    pub rate: Option<Rate>,
    /// How much of the audit log is kept.
    pub audit_retention: Retention,
    /// Whether there is an admin area.
    pub admin: bool,
    /// How much is logged.
    pub log_level: LogLevel,
    /// The form of log lines; `None`: by the kind of standard error.
    pub log: Option<LogFormat>,
    /// Where everything is stored, as it was typed.
    pub store: StoreSettings,
    /// The same, read.
    pub store_choice: StoreChoice,
    /// What is asked of requests that a proxy holds back.
    pub protection: Protection,
    /// Who is told of what happens, as it was typed.
    pub notify: Vec<NotifySettings>,
    /// The same, read.
    pub destinations: Vec<Arc<Destination>>,
    /// What their secrets were when they were read.
    pub notify_secrets: Fingerprint,
    /// All of them as operators are told.
    pub told: AllTold,
    /// Where traces go; `None`: nowhere.
    pub tracing: Option<Tracing>,
}

impl ServeSettings {
    /// Reads the file, if one is named, and parses every setting.
    ///
    /// # Errors
    /// All mistakes, one sentence each; only that of the file if it cannot be read.
    pub fn check(self) -> Result<Settings, Vec<String>> {
        let given = self.clone();
        let merged = self.with_file()?;
        let told = AllTold::of(&given, &merged);
        Ok(Settings { told, ..merged.check_values()? })
    }

    /// These settings, and those of the file where these are silent; values are not looked at.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn with_file(self) -> Result<Self, Vec<String>> {
        let file = self.config.as_deref().map(file::read).transpose().map_err(|mistake| vec![mistake])?;
        Ok(self.over(file.unwrap_or_default()))
    }

    /// These settings, and others where these are silent.
    fn over(self, other: Self) -> Self {
        let listed = |own: Vec<String>, other: Vec<String>| if own.is_empty() { other } else { own };
        Self {
            config: self.config,
            listen: self.listen.or(other.listen),
            data: self.data.or(other.data),
            development: self.development.or(other.development),
            seed: self.seed,
            public_url: self.public_url.or(other.public_url),
            base_path: self.base_path.or(other.base_path),
            issuer: self.issuer.or(other.issuer),
            master_key_file: self.master_key_file.or(other.master_key_file),
            trusted_proxies: listed(self.trusted_proxies, other.trusted_proxies),
            rate_limit: self.rate_limit.or(other.rate_limit),
            rate_burst: self.rate_burst.or(other.rate_burst),
            audit_retention_days: self.audit_retention_days.or(other.audit_retention_days),
            audit_max_entries: self.audit_max_entries.or(other.audit_max_entries),
            admin: self.admin.or(other.admin),
            log_level: self.log_level.or(other.log_level),
            log: self.log.or(other.log),
            store: self.store.over(other.store),
            protect: other.protect,
            sign_in: other.sign_in,
            notify: other.notify,
            tracing: other.tracing,
        }
    }

    fn check_values(self) -> Result<Settings, Vec<String>> {
        let mut mistakes = Vec::new();
        let mut note = |mistake: String| mistakes.push(mistake);

        let development = self.development.unwrap_or(false);
        let listen = self.listen.as_deref().unwrap_or(LISTEN);
        let listen = listen.parse::<SocketAddr>().map_err(|_| {
            note(format!("`--listen` must be an address and a port such as 127.0.0.1:8080, not `{listen}`"));
        });
        let public_url = self.public_url.as_deref().map(PublicUrl::parse).transpose().map_err(&mut note);
        let base_path = BasePath::parse(self.base_path.as_deref().unwrap_or_default()).map_err(&mut note);
        let issuer = self.issuer.unwrap_or_else(|| ISSUER.to_owned());
        // Its mistake has been noted.
        let _ = check_issuer(&issuer).map_err(&mut note);
        let mut trusted_proxies = Vec::new();
        for text in &self.trusted_proxies {
            match parse_network(text) {
                Some(network) => trusted_proxies.push(network),
                None => note(format!(
                    "`--trusted-proxy` must be an address or a block such as 10.0.0.0/8, not `{text}`"
                )),
            }
        }
        let rate_limit = self.rate_limit.unwrap_or(RATE_LIMIT);
        let rate = check_rate(rate_limit, self.rate_burst.unwrap_or(RATE_BURST)).map_err(&mut note);
        let retention_days = self.audit_retention_days.unwrap_or(AUDIT_RETENTION_DAYS);
        let most_entries = self.audit_max_entries.unwrap_or(AUDIT_MAX_ENTRIES);
        let audit_retention = check_retention(retention_days, most_entries).map_err(&mut note);
        let log_level = LogLevel::parse(self.log_level.as_deref().unwrap_or(LOG_LEVEL)).map_err(&mut note);
        let log = parse_log(self.log.as_deref()).map_err(&mut note).unwrap_or_default();
        let store_choice = self.store.check(development).map_err(&mut note);
        let protection = protect::protection(&self.protect, &self.sign_in);
        let protection = protection.map_err(|mistakes| mistakes.into_iter().for_each(&mut note));
        let tracing = self.tracing.as_ref().map(TracingSettings::read).transpose();
        let tracing = tracing.map_err(|mistakes| mistakes.into_iter().for_each(&mut note));
        let destinations = notify::destinations(&self.notify);
        let destinations = destinations.map_err(|mistakes| mistakes.into_iter().for_each(&mut note));
        if !self.protect.is_empty() && self.trusted_proxies.is_empty() {
            note(
                "`[[protect]]` needs the proxy that asks: name its address in `trusted_proxies`, \
                 or nothing passes"
                    .to_owned(),
            );
        }
        if let (Ok(listen), Ok(public_url), false) = (&listen, &public_url, development)
            && let Err(mistake) = check_transport(*listen, public_url.as_ref())
        {
            note(mistake);
        }
        check_development(listen.ok(), self.seed, development).into_iter().for_each(&mut note);
        let told = destinations.and_then(|destinations| Ok((destinations, tracing?)));
        match (
            listen,
            public_url,
            base_path,
            rate,
            audit_retention,
            log_level,
            store_choice,
            protection,
            told,
        ) {
            (
                Ok(listen),
                Ok(public_url),
                Ok(base_path),
                Ok(rate),
                Ok(audit_retention),
                Ok(log_level),
                Ok(store_choice),
                Ok(protection),
                Ok(((destinations, notify_secrets), tracing)),
            ) if mistakes.is_empty() => Ok(Settings {
                listen,
                data: self.data.unwrap_or_else(|| DATA.into()),
                development,
                seed: self.seed,
                public_url,
                base_path,
                issuer,
                master_key_file: self.master_key_file,
                trusted_proxies,
                rate,
                audit_retention,
                admin: self.admin.unwrap_or(true),
                log_level,
                log,
                store: self.store.filled(),
                store_choice,
                protection,
                notify: self.notify,
                destinations,
                notify_secrets,
                told: AllTold::default(),
                tracing,
            }),
            _ => Err(mistakes),
        }
    }
}

/// What a file says of protection, whatever its other settings are.
///
/// # Errors
/// The file cannot be read, or all mistakes, one sentence each.
pub fn protection_of(file: &Path) -> Result<Protection, Vec<String>> {
    let settings = file::read(file).map_err(|mistake| vec![mistake])?;
    protect::protection(&settings.protect, &settings.sign_in)
}

impl Settings {
    /// The keys of the settings that have other values in `other` and count from the start only.
    pub fn fixed_that_differ(&self, other: &Self) -> Vec<&'static str> {
        // Without `..`: a new setting has to be named here, as one that is fixed or one that is read again.
        let Self {
            listen,
            data,
            development,
            seed,
            public_url,
            base_path,
            issuer,
            master_key_file,
            trusted_proxies,
            rate,
            admin,
            log,
            store,
            notify,
            notify_secrets,
            tracing,
            audit_retention: _,
            log_level: _,
            protection: _,
            destinations: _,
            store_choice: _,
            told: _,
        } = self;
        let differ = [
            ("listen", *listen != other.listen),
            ("data", *data != other.data),
            ("development", *development != other.development),
            ("seed", *seed != other.seed),
            ("public_url", *public_url != other.public_url),
            ("base_path", *base_path != other.base_path),
            ("issuer", *issuer != other.issuer),
            ("master_key_file", *master_key_file != other.master_key_file),
            ("trusted_proxies", *trusted_proxies != other.trusted_proxies),
            ("rate_limit, rate_burst", *rate != other.rate),
            ("admin", *admin != other.admin),
            ("tracing", *tracing != other.tracing),
            ("log", *log != other.log),
            ("store", *store != other.store),
            ("notify", *notify != other.notify || *notify_secrets != other.notify_secrets),
        ];
        differ.into_iter().filter_map(|(key, differs)| differs.then_some(key)).collect()
    }

    /// Where browsers reach the server when it listens on `bound`, the address with its real port.
    pub fn public_url_on(&self, bound: SocketAddr) -> PublicUrl {
        self.public_url.clone().unwrap_or_else(|| PublicUrl::of_address(reachable(bound)))
    }
}

/// An unspecified address (`0.0.0.0`, `::`) is listened on, never connected to: the same machine is reached by loopback.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// Codes and tokens travel over TLS unless they stay on the machine.
fn check_transport(listen: SocketAddr, public_url: Option<&PublicUrl>) -> Result<(), String> {
    match public_url {
        Some(url) if url.is_https() || url.is_loopback() => Ok(()),
        Some(url) => Err(format!(
            "`--public-url` must begin with https:// (codes and tokens would cross the network in the clear), not `{url}`"
        )),
        None if listen.ip().is_loopback() => Ok(()),
        None => Err(format!(
            "`--listen {listen}` is reached over the network: say under which address, `--public-url https://…`"
        )),
    }
}

/// The issuer is part of the label of a key URI, where `:` separates it from the account.
fn check_issuer(issuer: &str) -> Result<(), String> {
    let fits = (1..=MAX_ISSUER_BYTES).contains(&issuer.len());
    let clean = !issuer.chars().any(|c| c.is_control() || c == ':') && issuer.trim() == issuer;
    if fits && clean {
        return Ok(());
    }
    Err(format!(
        "`--issuer` must be 1 to {MAX_ISSUER_BYTES} bytes without colons, control characters and outer blanks, not `{}`",
        issuer.escape_debug()
    ))
}

/// A million is more than a server answers, and less than the finest division of a second.
const RATE_MAX: u32 = 1_000_000;

fn check_rate(per_second: u32, burst: u32) -> Result<Option<Rate>, String> {
    let Some(per_second) = NonZeroU32::new(per_second) else { return Ok(None) };
    match NonZeroU32::new(burst) {
        Some(burst) if per_second.get().max(burst.get()) <= RATE_MAX => Ok(Some(Rate { per_second, burst })),
        _ => Err(format!("`--rate-limit` must be 0 to {RATE_MAX} and `--rate-burst` 1 to {RATE_MAX}")),
    }
}

/// What is wrong with users for tests, and with a development server that others reach.
fn check_development(listen: Option<SocketAddr>, seed: Option<u64>, development: bool) -> Option<String> {
    if !development {
        let mistake = "`--seed` makes users whose secrets everybody knows: it needs `--development`";
        return seed.map(|_| mistake.to_owned());
    }
    listen.filter(|listen| !listen.ip().is_loopback()).map(|listen| {
        format!("development mode listens on this machine only: `--listen {listen}` would let everybody in")
    })
}

fn parse_log(text: Option<&str>) -> Result<Option<LogFormat>, String> {
    match text {
        None => Ok(None),
        Some("text") => Ok(Some(LogFormat::Text)),
        Some("json") => Ok(Some(LogFormat::Json)),
        Some(other) => Err(format!("`--log` must be `text` or `json`, not `{other}`")),
    }
}

/// With fewer entries, what an operator looks for could be gone before they look.
const AUDIT_ENTRIES_MIN: u64 = 1_000;

fn check_retention(days: u32, entries: u64) -> Result<Retention, String> {
    const DAY: u64 = 24 * 60 * 60;
    if (1..AUDIT_ENTRIES_MIN).contains(&entries) {
        return Err(format!("`--audit-max-entries` must be 0 or at least {AUDIT_ENTRIES_MIN}"));
    }
    let seconds = (days > 0).then(|| u64::from(days) * DAY);
    Ok(Retention { seconds, entries: (entries > 0).then_some(entries) })
}

fn parse_network(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}
