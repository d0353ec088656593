//! What all clients share: the servers' addresses, their clock, the findings.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use sidekey_tests::{Server, Value, clock, json};
use tokio::sync::{Notify, RwLock, RwLockReadGuard};

/// So many changes are acknowledged before the clock moves on by a step.
const CHANGES_A_STEP: u64 = 30;

/// The server did not answer, or that its database is away: whether it did what it was asked is unknown.
#[derive(Debug)]
pub(crate) struct Down;

/// An answer.
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// `code` of a problem, else empty.
    pub(crate) code: String,
    pub(crate) body: Value,
    /// Seconds of `Retry-After`, else 0.
    pub(crate) retry_after: u64,
}

impl Reply {
    /// A member that is a string; empty where it is none.
    pub(crate) fn text(&self, name: &str) -> String {
        self.body[name].as_str().unwrap_or_default().to_string()
    }

    /// Whether it is the problem of this code.
    pub(crate) fn is(&self, code: &str) -> bool {
        self.code == code
    }
}

/// Whose authority a request carries.
pub(crate) enum As<'a> {
    Anyone,
    /// The host application.
    App,
    /// The bearer of a token.
    Bearer(&'a str),
}

/// One server, or several over one database, as long as they run.
pub(crate) struct World {
    http: reqwest::Client,
    addresses: Vec<String>,
    turn: AtomicUsize,
    key: String,
    /// The clock moves only while nobody has a code on the way, which would be late after two moves.
    moving: RwLock<()>,
    /// The latest time the server told.
    now: AtomicU64,
    down: AtomicBool,
    over: AtomicBool,
    acknowledged: AtomicU64,
    more: Notify,
    replays: AtomicU64,
    findings: Mutex<Vec<String>>,
}

impl World {
    /// Running servers, which get the requests in turn, the API key of their app, and the time that they must have reached: after
    /// a restart the development clock shows real time again, and old sessions would come to life. Clocks are set by the furthest.
    pub(crate) async fn new(servers: &[Server], key: &str, reached: u64) -> Self {
        let mut furthest = reached;
        for server in servers {
            furthest = furthest.max(server.now().await);
        }
        for server in servers {
            let now = server.now().await;
            if now < furthest {
                server.advance(furthest - now).await;
            }
        }
        Self {
            http: reqwest::Client::builder().no_proxy().build().expect("a client can be made"),
            addresses: servers.iter().map(|server| server.address().to_string()).collect(),
            turn: AtomicUsize::new(0),
            key: key.to_string(),
            moving: RwLock::new(()),
            now: AtomicU64::new(furthest),
            down: AtomicBool::new(false),
            over: AtomicBool::new(false),
            acknowledged: AtomicU64::new(0),
            more: Notify::new(),
            replays: AtomicU64::new(0),
            findings: Mutex::default(),
        }
    }

    /// Sends a request to the server whose turn it is. An answer that no request should get (a fault of the server, a lost
    /// connection while it is meant to be up) is a finding.
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        caller: As<'_>,
        headers: &[(&str, &str)],
        body: Option<Value>,
    ) -> Result<Reply, Down> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let address = &self.addresses[turn % self.addresses.len()];
        self.send_to(address, method, path, caller, headers, body).await
    }

    async fn send_to(
        &self,
        address: &str,
        method: &str,
        path: &str,
        caller: As<'_>,
        headers: &[(&str, &str)],
        body: Option<Value>,
    ) -> Result<Reply, Down> {
        let method = method.parse().expect("a method");
        let mut request = self.http.request(method, format!("http://{address}{path}"));
        request = match caller {
            As::Anyone => request,
            As::App => request.bearer_auth(&self.key),
            As::Bearer(token) => request.bearer_auth(token),
        };
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = async {
            let answer = request.send().await?;
            let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
            Ok::<_, reqwest::Error>((status, headers, answer.bytes().await?))
        };
        let (status, headers, bytes) = match answer.await {
            Ok(all) => all,
            Err(error) => {
                if !self.down.load(Ordering::SeqCst) {
                    self.found(path, &format!("no answer from a server that is up: {error:?}"));
                }
                return Err(Down);
            }
        };
        let body: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let code = body["code"].as_str().filter(|_| status >= 400).unwrap_or_default().to_string();
        let retry_after = headers.get("retry-after").and_then(|v| v.to_str().ok()?.parse().ok());
        let retry_after = retry_after.unwrap_or(0);
        if self.down.load(Ordering::SeqCst) && code == "UNAVAILABLE" && retry_after > 0 {
            return Err(Down);
        }
        if status >= 500 {
            self.found(path, &format!("answered {status} {body}"));
        }
        Ok(Reply { status, code, body, retry_after })
    }

    /// A POST without further header fields.
    pub(crate) async fn post(&self, path: &str, caller: As<'_>, body: Value) -> Result<Reply, Down> {
        self.send("POST", path, caller, &[], Some(body)).await
    }

    /// A GET.
    pub(crate) async fn get(&self, path: &str, caller: As<'_>) -> Result<Reply, Down> {
        self.send("GET", path, caller, &[], None).await
    }

    /// The time in Unix seconds: of the server that is furthest, by less than a second.
    pub(crate) async fn now(&self) -> Result<u64, Down> {
        self.told(&self.get("/development/clock/", As::Anyone).await?);
        Ok(self.reached())
    }

    /// The latest time the server told.
    pub(crate) fn reached(&self) -> u64 {
        self.now.load(Ordering::SeqCst)
    }

    /// The server's time step, which is the current one or the one before as long as the guard is held.
    pub(crate) async fn step(&self) -> Result<(u64, RwLockReadGuard<'_, ()>), Down> {
        let guard = self.moving.read().await;
        Ok((self.now().await? / clock::STEP, guard))
    }

    /// Moves the clock on, so that new codes count, and lets some changes happen before the next time.
    pub(crate) async fn tick(&self) -> Result<(), Down> {
        let before = self.count();
        loop {
            // Made before the look, so that nothing is missed between the two.
            let more = self.more.notified();
            if self.count() >= before + CHANGES_A_STEP || self.down.load(Ordering::SeqCst) {
                break;
            }
            more.await;
        }
        self.advance().await?;
        // From now on nobody would stop it.
        if self.down.load(Ordering::SeqCst) { Err(Down) } else { Ok(()) }
    }

    async fn advance(&self) -> Result<(), Down> {
        let _guard = self.moving.write().await;
        for address in &self.addresses {
            let body = Some(json!({"advance_seconds": clock::STEP}));
            self.told(&self.send_to(address, "POST", "/development/clock/", As::Anyone, &[], body).await?);
        }
        Ok(())
    }

    /// Moves the clock on by one step.
    pub(crate) async fn next_step(&self) {
        if self.advance().await.is_err() {
            self.found("clock", "the server went away during the checks");
        }
    }

    fn told(&self, reply: &Reply) {
        self.now.fetch_max(clock::unix(&reply.text("now")), Ordering::SeqCst);
    }

    /// A change was acknowledged.
    pub(crate) fn acknowledged(&self) {
        self.acknowledged.fetch_add(1, Ordering::SeqCst);
        self.more.notify_waiters();
    }

    /// How many were.
    pub(crate) fn count(&self) -> u64 {
        self.acknowledged.load(Ordering::SeqCst)
    }

    /// Waits for so many changes.
    pub(crate) async fn wait_for(&self, count: u64) {
        loop {
            let more = self.more.notified();
            if self.count() >= count || !self.findings().is_empty() {
                return;
            }
            more.await;
        }
    }

    /// From now on no answer is no finding.
    pub(crate) fn goes_down(&self) {
        self.down.store(true, Ordering::SeqCst);
        self.more.notify_waiters();
    }

    /// From now on nobody begins anything.
    pub(crate) fn ends(&self) {
        self.over.store(true, Ordering::SeqCst);
    }

    /// Whether it ends.
    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    /// A code was replayed within its window.
    pub(crate) fn replayed(&self) {
        self.replays.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn replays(&self) -> u64 {
        self.replays.load(Ordering::SeqCst)
    }

    /// The server has broken a promise.
    pub(crate) fn found(&self, whom: &str, what: &str) {
        self.findings.lock().expect("nobody panics with it").push(format!("{whom}: {what}"));
        self.more.notify_waiters();
    }

    /// What was found so far.
    pub(crate) fn findings(&self) -> Vec<String> {
        self.findings.lock().expect("nobody panics with it").clone()
    }
}
