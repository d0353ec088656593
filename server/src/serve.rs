//! `sidekey serve`: everything is opened in order, requests are served, everything is closed in order.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ipnet::IpNet;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Semaphore;

use crate::apps::{ApiKey, Apps};
use crate::backup_code_hash::BackupCodeHasher;
use crate::banner;
use crate::cli::{Failure, listed};
use crate::clock::Clock;
use crate::config::{ServeSettings, Settings, StoreChoice};
use crate::context::{Context, MAX_DOWNLOADS};
use crate::control::socket::ControlSocket;
use crate::control::{Authority, Door};
use crate::development::mode::{self, ModeError};
use crate::development::{demo, seed};
use crate::entropy::{self, Entropy};
use crate::keyring::{Keyring, Origin, SourceError, UnlockError, sources};
use crate::limit::{AccountLimit, AddressLimit};
use crate::listener::{self, Limits};
use crate::logging;
use crate::master_keys::MasterKeys;
use crate::metering;
use crate::notify::owner::Owners;
use crate::operators::Operators;
use crate::outbox;
use crate::probe::Probes;
use crate::reload::{Live, Reloading};
use crate::routes;
use crate::service_manager;
use crate::statistics::latency::Latency;
use crate::statistics::worker::Worker as Counting;
use crate::store::shared::SharedFolder;
use crate::store::sled::Options;
use crate::store::{Engine, Lead, OpenError, PostgresEngine, SledEngine, Store, retention, sweep};
use crate::swap::Swap;
use crate::telemetry::Telemetry;
use crate::token::Signer;
use crate::trail::live::Listeners;

/// The master key that development mode makes, in the data folder.
pub const DEVELOPMENT_KEY: &str = "development-master.key";

/// Between two clean-ups of the metrics, without which histograms grow.
const UPKEEP: Duration = Duration::from_secs(5);

/// Between two looks whether another process has started, and how many there are: a minute in all.
const START_TURN: Duration = Duration::from_millis(100);
const START_TURNS: u32 = 600;

/// Between two sweeps of what is over.
const SWEEP: Duration = Duration::from_mins(1);

/// Between two readings of the keys that other processes may have changed, and how long one may take: both together, twice, are less than
/// [`READ_AGAIN`](crate::token::rotation::READ_AGAIN).
const READ_KEYS: Duration = Duration::from_secs(30);
const READ_PATIENCE: Duration = Duration::from_secs(20);

/// Serves until SIGTERM or SIGINT, or until the store fails. The process must be hardened before.
///
/// # Errors
/// When the server cannot start, or the store has failed; the text says what to do.
pub fn run(given: ServeSettings) -> Result<(), Failure> {
    let settings = given.clone().check().map_err(|mistakes| listed(&mistakes))?;
    let telemetry = settings.tracing.as_ref().map(Telemetry::to).transpose().map_err(Failure::Settings)?;
    let logging = logging::start(&settings.log_level, settings.log, telemetry.as_ref());
    let logging = logging.map_err(Failure::Settings)?;
    // Before the runtime starts its threads: this changes the environment.
    let passed = service_manager::passed_listener().map_err(Failure::Settings)?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Failure::runtime)?;
    let Some(telemetry) = telemetry else {
        return runtime.block_on(serve(settings, passed, Reloading { given, logging }));
    };
    telemetry.runs_on(runtime.handle().clone());
    let served = runtime.block_on(serve(settings, passed, Reloading { given, logging }));
    telemetry.finish();
    served
}

async fn serve(
    settings: Settings,
    passed: Option<std::net::TcpListener>,
    reloading: Reloading,
) -> Result<(), Failure> {
    // The key comes before anything is made on disk: without one, nothing should be left behind.
    let given = given_keyring(&settings)?;
    let listener = match passed {
        Some(listener) => tokio::net::TcpListener::from_std(listener).map_err(Failure::runtime)?,
        None => listener::bind(settings.listen).await.map_err(Failure::Runtime)?,
    };
    let bound = listener.local_addr().map_err(Failure::runtime)?;
    // The settings have been looked at; a passed socket is none of them.
    if settings.development && !bound.ip().is_loopback() {
        return Err(Failure::Settings(format!(
            "development mode listens on this machine only: the socket {bound} that the service manager passes would let \
             everybody in"
        )));
    }
    // From here on a signal ends the server in order, also during a slow start.
    let stopped = listener::stop_signal().map_err(Failure::runtime)?;
    let hangup = signal(SignalKind::hangup()).map_err(Failure::runtime)?;

    let (engine, _folder) = open_store(&settings).await?;
    // Of several that start at once, one makes what a new store needs.
    let starting = begin_start(&*engine).await?;
    // Before development mode makes a key: in a folder of real accounts, commands would take it for theirs.
    mode::check(&*engine, settings.development).await.map_err(other_mode)?;
    let context = open_rest(settings, bound, given, Arc::clone(&engine)).await?;
    mode::bind(&*engine, context.settings.development).await.map_err(other_mode)?;
    let demo = demo_key(&context).await?;
    drop(starting);
    let has_apps = !context.apps.list().await.map_err(Failure::runtime)?.is_empty();

    let door = Arc::new(Door::of(context.settings.data.clone()));
    let authority = Authority {
        engine: Arc::clone(&engine),
        keys: Some(Arc::clone(&context.master_keys)),
        hasher: Some(Arc::clone(&context.hasher)),
        signer: Some(Arc::clone(&context.signer)),
        destinations: context.settings.destinations.iter().map(|to| to.name.clone()).collect(),
        probes: Some(Arc::clone(&context.probes)),
        door: (!engine.is_shared()).then(|| Arc::clone(&door)),
        apps: context.apps.clone(),
        clock: context.clock.clone(),
    };
    let control = ControlSocket::bind(&context.settings.data)
        .map_err(|error| Failure::Runtime(format!("cannot make the control socket: {error}")))?;
    let control = tokio::spawn(control.serve(authority));
    let upkeep = tokio::spawn(upkeep(context.metrics.clone()));
    let sweeping = tokio::spawn(sweeping(Arc::clone(&context)));
    let reading_keys = tokio::spawn(reading_keys(Arc::clone(&context)));
    let destinations = context.settings.destinations.clone();
    let owners: Arc<dyn Owners> = Arc::clone(&context) as _;
    let telling = tokio::spawn(outbox::run(Arc::clone(&engine), context.clock.clone(), owners, destinations));
    let counting = tokio::spawn(Counting::new(Arc::clone(&engine), context.clock.clone()).run());
    let reloading = tokio::spawn(reloading.at_each(hangup, Arc::clone(&context)));

    banner::print(&context, demo.as_ref(), has_apps);
    drop(demo);
    let version = env!("CARGO_PKG_VERSION");
    tracing::info!(address = %bound, public_url = %context.public_url, version, "listening");
    service_manager::ready();
    let watchdog = tokio::spawn(service_manager::watchdog(Arc::clone(&engine)));

    let failure = OnceLock::new();
    let stop = async {
        tokio::select! {
            () = stopped => tracing::info!("stopping: requests in flight may finish"),
            () = door.opened() => tracing::warn!("stopping: the store moves to a database, and is not served from this folder again"),
            reason = engine.failed() => {
                tracing::error!(reason, "stopping: the store has failed");
                // Nobody else sets it.
                let _ = failure.set(reason);
            }
        }
        service_manager::stopping();
    };
    warn_of_unknown_apps(&context).await;
    let filter = routes::filter(Arc::clone(&context));
    listener::serve(listener, filter, limits_for(&context.settings), stop).await;

    upkeep.abort();
    sweeping.abort();
    reading_keys.abort();
    reloading.abort();
    telling.abort();
    counting.abort();
    control.abort();
    watchdog.abort();
    // Waits until the socket is gone, so that nobody finds it after the process has ended.
    let _ = control.await;
    let failure = match failure.into_inner() {
        Some(reason) => Err(Failure::Runtime(format!("the store has failed: {reason}"))),
        None => engine.close().await.map_err(Failure::runtime),
    };
    if failure.is_err() {
        // Never dropped: sled would write once more what may be half lost, and panics where that fails again.
        std::mem::forget(engine);
        return failure;
    }
    tracing::info!("stopped");
    Ok(())
}

/// The limits of the listener. Proxies speak for many clients; in development mode so do the tools on this machine.
fn limits_for(settings: &Settings) -> Limits {
    let mut exempt = settings.trusted_proxies.clone();
    if settings.development {
        exempt.extend([IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()].map(IpNet::from));
    }
    let limits = Limits { exempt, ..Limits::default() };
    warn_if_too_few_descriptors(limits.descriptors());
    limits
}

/// A rule for an application that is not there lets nobody pass. That is no mistake: it may be made while the server runs.
pub(crate) async fn warn_of_unknown_apps(context: &Context) {
    let live = context.live.get();
    let apps: BTreeSet<_> = live.protection.rules.iter().map(|rule| &rule.app).collect();
    for app in apps {
        if matches!(context.apps.find(app).await, Ok(None)) {
            tracing::warn!(%app, "rules `[[protect]]` are for an app that is not there: `sidekey app create --id` makes it");
        }
    }
}

fn warn_if_too_few_descriptors(needed: u64) {
    match listener::raise_descriptor_limit() {
        Ok(limit) if limit >= needed => {}
        Ok(limit) => tracing::warn!(
            limit,
            needed,
            "the limit of open files is too low for all connections that may be open: raise it, for example with \
             `LimitNOFILE` in the systemd unit"
        ),
        Err(error) => tracing::warn!(%error, "cannot raise the limit of open files"),
    }
}

/// The keyring from the places that the operator has a say in. Development mode can do without.
fn given_keyring(settings: &Settings) -> Result<Option<(Keyring, Origin)>, Failure> {
    let given = sources::given(settings.master_key_file.as_deref()).map_err(Failure::settings)?;
    if let Some((keyring, origin)) = &given {
        tracing::info!(source = %origin, keys = keyring.ids().count(), "master key loaded");
    } else if !settings.development {
        return Err(Failure::settings(SourceError::none_for(&settings.data)));
    }
    Ok(given)
}

/// The engine, and the data folder where it is not the engine's own.
async fn open_store(settings: &Settings) -> Result<(Arc<dyn Engine>, Option<SharedFolder>), Failure> {
    match &settings.store_choice {
        StoreChoice::Sled { cache_bytes, survey } => {
            let options = Options { cache_bytes: *cache_bytes, new_id: entropy::random(), survey: *survey };
            Ok((open_sled(&settings.data, options).await?, None))
        }
        StoreChoice::Postgres(options) => {
            let folder = SharedFolder::open(&settings.data).map_err(Failure::settings)?;
            let engine = PostgresEngine::open(options, entropy::random()).await.map_err(Failure::runtime)?;
            folder.belongs_to(engine.id()).map_err(Failure::settings)?;
            tracing::warn!(
                "the store is in a database: this is new, and tried with PostgreSQL 15 on one machine only; see docs/operations.md"
            );
            Ok((Arc::new(engine), Some(folder)))
        }
    }
}

/// Waits until no other process is at its start.
async fn begin_start(engine: &dyn Engine) -> Result<Lead, Failure> {
    for _ in 0..START_TURNS {
        if let Some(lead) = engine.lead("start").await.map_err(Failure::runtime)? {
            return Ok(lead);
        }
        tokio::time::sleep(START_TURN).await;
    }
    Err(Failure::Runtime("another server has been starting on this store for a long time".to_owned()))
}

async fn open_sled(data: &Path, options: Options) -> Result<Arc<dyn Engine>, Failure> {
    let folder = data.to_owned();
    let opened = tokio::task::spawn_blocking(move || SledEngine::open(&folder, &options)).await;
    match opened.map_err(Failure::runtime)? {
        Ok(engine) => Ok(Arc::new(engine)),
        Err(error @ (OpenError::NotAFolder { .. } | OpenError::PermissionDenied { .. })) => {
            Err(Failure::settings(error))
        }
        Err(error) => Err(Failure::runtime(error)),
    }
}

/// What needs the store.
async fn open_rest(
    settings: Settings,
    bound: SocketAddr,
    given: Option<(Keyring, Origin)>,
    engine: Arc<dyn Engine>,
) -> Result<Arc<Context>, Failure> {
    let (keyring, source) = match given {
        Some(given) => given,
        None => development_keyring(&settings.data)?,
    };
    let clock = clock_of(&*engine, settings.development);
    let opened = MasterKeys::open(Arc::clone(&engine), keyring, source, clock.now(), &mut Entropy).await;
    let (master_keys, pepper) = opened.map_err(|error| match error {
        UnlockError::WrongKey { .. } | UnlockError::MissingKey { .. } | UnlockError::NotedKey { .. } => {
            Failure::settings(error)
        }
        error => Failure::runtime(error),
    })?;
    let pepper = Arc::new(pepper);
    let signer = Signer::load_or_create(&*engine, &master_keys.current(), clock.now(), &mut Entropy)
        .await
        .map_err(Failure::runtime)?;
    let metrics = metering::install().map_err(Failure::runtime)?;
    let public_url = settings.public_url_on(bound);
    let issuer = format!("{public_url}{}", settings.base_path);
    Ok(Arc::new(Context {
        probes: Arc::new(Probes::new(issuer.clone(), settings.public_url.is_some())),
        issuer,
        public_url,
        password_limit: AddressLimit::of_passwords(settings.development),
        address_limit: settings.rate.map(|rate| AddressLimit::new(rate, settings.development)),
        account_limit: AccountLimit::new(),
        live: Swap::new(Live::of(&settings)),
        description: OnceLock::new(),
        settings,
        apps: Apps::new(Arc::clone(&engine)),
        operators: Operators::new(Arc::clone(&engine)),
        store: Store::new(Arc::clone(&engine), master_keys.shared()),
        hasher: Arc::new(BackupCodeHasher::new(Arc::clone(&pepper))),
        engine,
        master_keys: Arc::new(master_keys),
        pepper,
        signer: Arc::new(signer),
        clock,
        metrics,
        latency: Latency::default(),
        listeners: Listeners::default(),
        downloads: Arc::new(Semaphore::new(MAX_DOWNLOADS)),
    }))
}

fn other_mode(error: ModeError) -> Failure {
    match error {
        ModeError::Store(error) => Failure::runtime(error),
        error => Failure::settings(error),
    }
}

/// The clock, which never shows an earlier time than that of the latest decision in the store.
fn clock_of(store: &dyn Engine, development: bool) -> Clock {
    let clock = Clock::system();
    if development {
        let seconds = clock.catch_up(store.high_water());
        if seconds > 0 {
            tracing::info!(seconds, "development mode: the clock goes on from where it had been advanced to");
        }
        return clock;
    }
    warn_if_set_back(clock.not_before(store.high_water()));
    clock
}

fn warn_if_set_back(seconds: u64) {
    if seconds > 0 {
        tracing::warn!(
            seconds,
            "the system clock is behind the time that was shown before; the server's clock stands until it has caught up, \
             and refuses new codes until then: correct the system's time"
        );
    }
}

fn development_keyring(data: &Path) -> Result<(Keyring, Origin), Failure> {
    let path = data.join(DEVELOPMENT_KEY);
    let (keyring, _) = sources::load_or_create(&path, &mut Entropy).map_err(Failure::runtime)?;
    tracing::warn!(file = %path.display(), "development mode: the master key lies beside the data that it seals");
    Ok((keyring, Origin::File(path)))
}

async fn demo_key(context: &Context) -> Result<Option<ApiKey>, Failure> {
    if !context.settings.development {
        return Ok(None);
    }
    tracing::warn!("development mode: anybody can sign in to the demo application");
    let Context { apps, settings, clock, .. } = context;
    let key = demo::key(apps, &settings.data, clock.now(), &mut Entropy).await.map_err(Failure::runtime)?;
    demo::lead_back(context).await.map_err(Failure::runtime)?;
    if let Some(number) = settings.seed {
        seed::at_start(context, number).await.map_err(Failure::runtime)?;
    }
    Ok(Some(key))
}

/// Sweeps for as long as the server runs. A sweep that fails is no loss: the next one finds the same.
async fn sweeping(context: Arc<Context>) {
    let mut interval = tokio::time::interval(SWEEP);
    interval.tick().await;
    loop {
        // A panic of the database ends one round and not all of them.
        if let Err(error) = tokio::spawn(sweep_once(Arc::clone(&context))).await {
            tracing::error!(%error, "a sweep has come to an end before its time");
        }
        interval.tick().await;
        warn_if_set_back(context.clock.behind());
    }
}

async fn sweep_once(context: Arc<Context>) {
    let now = context.clock.now();
    // One process sweeps for all of them.
    let _lead = match context.engine.lead("sweep").await {
        Ok(Some(lead)) => lead,
        Ok(None) => return,
        Err(error) => return tracing::warn!(%error, "cannot sweep"),
    };
    match sweep::sweep(&context.store, now).await {
        Ok(0) => {}
        Ok(removed) => tracing::debug!(removed, "swept what is over"),
        Err(error) => tracing::warn!(%error, "cannot sweep"),
    }
    match retention::trim(&context.store, context.live.get().audit_retention, now).await {
        Ok(0) => {}
        Ok(removed) => tracing::info!(removed, "old audit entries were removed"),
        Err(error) => tracing::error!(%error, "old audit entries cannot be removed"),
    }
    take_up_keys(&context).await;
}

/// Reads keys again for as long as the server runs, however long a sweep takes.
async fn reading_keys(context: Arc<Context>) {
    let mut interval = tokio::time::interval(READ_KEYS);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    interval.tick().await;
    loop {
        interval.tick().await;
        if tokio::time::timeout(READ_PATIENCE, take_up_keys(&context)).await.is_err() {
            tracing::warn!("the store does not say in time which keys there are");
        }
    }
}

/// Reads the signing keys again: another process may have made or removed some, and so may the sweep.
async fn take_up_keys(context: &Context) {
    if let Err(error) = context.signer.reload(&*context.engine, &context.master_keys.current()).await {
        tracing::warn!(%error, "cannot read the signing keys again");
    }
    match context.master_keys.left_behind().await {
        Ok(Some(key)) => tracing::warn!(
            key,
            "another server of this store seals with another master key: give this one the same key file and reload it"
        ),
        Ok(None) => {}
        Err(error) => tracing::warn!(%error, "cannot read which master key is in use"),
    }
}

async fn upkeep(metrics: PrometheusHandle) {
    let mut interval = tokio::time::interval(UPKEEP);
    loop {
        interval.tick().await;
        metrics.run_upkeep();
    }
}

#[cfg(test)]
mod tests {
    use sidekey_core::time::UnixTime;

    use super::*;
    use crate::store::Batch;

    #[tokio::test]
    async fn the_clock_goes_on_from_the_latest_decision_in_the_store() {
        let folder = tempfile::tempdir().unwrap();
        // A day ahead of the system's time, which so was set back.
        let latest = Clock::system().now().plus(86_400);
        let open = || SledEngine::open(folder.path(), &Options::new([7; 16])).unwrap();
        let mut batch = Batch::new();
        batch.decided_at(latest).decided_at(UnixTime::from_secs(1)).append(b"{}".to_vec());
        open().commit(batch).await.unwrap();

        let engine = open();
        assert_eq!(engine.high_water(), latest);
        let clock = clock_of(&engine, false);
        assert_eq!((clock.now(), clock.now()), (latest, latest));
        assert!(clock.behind() > 86_000, "it stands");
        let clock = clock_of(&engine, true);
        assert!(clock.now() >= latest && clock.behind() == 0, "it runs on");
    }
}
