//! Load that adds second devices and removes them again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sidekey_tests::{Authenticator, Server, Value, clock, json};
use tokio::task::JoinHandle;

/// Clients at once.
const CLIENTS: usize = 3;
/// Devices that are added to one user and removed again, as long as its access token lives.
const DEVICES: usize = 8;

/// What was acknowledged of the second devices of users.
#[derive(Default)]
pub(crate) struct Removals {
    users: Vec<User>,
    rounds: usize,
}

/// Clients at work.
pub(crate) struct AtWork {
    clients: Vec<JoinHandle<Vec<User>>>,
    over: Arc<AtomicBool>,
}

pub(crate) struct User {
    name: String,
    access: String,
    removed: Vec<String>,
    /// How many devices it may have: two where the last request may or may not have been granted.
    most: u64,
}

impl Removals {
    /// Starts clients, each of which goes on until one of its requests is not granted.
    pub(crate) fn begin(&mut self, servers: &[Server], key: &str) -> AtWork {
        self.rounds += 1;
        let over = Arc::<AtomicBool>::default();
        let client = |number: usize| {
            let client = Client {
                http: reqwest::Client::builder().no_proxy().build().expect("a client can be made"),
                address: servers[number % servers.len()].address().to_owned(),
                key: key.to_owned(),
                over: Arc::clone(&over),
            };
            tokio::spawn(client.work(format!("removal-{}-{number}", self.rounds)))
        };
        AtWork { clients: (0..CLIENTS).map(client).collect(), over }
    }

    /// Ends the others too, and takes down what was acknowledged to all.
    pub(crate) async fn end(&mut self, at_work: AtWork) {
        at_work.over.store(true, Ordering::SeqCst);
        for client in at_work.clients {
            self.users.extend(client.await.expect("a client does not panic"));
        }
    }

    /// How many devices were removed.
    pub(crate) fn count(&self) -> usize {
        self.users.iter().map(|user| user.removed.len()).sum()
    }

    /// Of what was removed nothing is back, and nothing else is gone.
    pub(crate) async fn check(&self, server: &Server, key: &str) {
        for user in &self.users {
            let state = server.get(&format!("/2fa/users/{}/", user.name)).bearer(key).await.ok();
            assert!((1..=user.most).contains(&state.number("devices")), "{state}");
            let listed = server.get("/2fa/devices/").bearer(&user.access).await;
            // The clock may have gone on for longer than an access token lives.
            if listed.status == 401 {
                continue;
            }
            let back = user.removed.iter().find(|device| listed.body().contains(*device));
            assert_eq!((back, listed.status), (None, 200), "{listed}");
        }
    }
}

struct Client {
    http: reqwest::Client,
    address: String,
    key: String,
    over: Arc<AtomicBool>,
}

impl Client {
    async fn work(self, name: String) -> Vec<User> {
        let mut users = Vec::new();
        for number in 0.. {
            let Ok(mut user) = self.enrol_user(format!("{name}-{number}")).await else { break };
            let done = self.use_up(&mut user).await;
            users.push(user);
            if done.is_err() || self.over.load(Ordering::SeqCst) {
                break;
            }
        }
        users
    }

    async fn use_up(&self, user: &mut User) -> Result<(), u16> {
        for _ in 0..DEVICES {
            if self.over.load(Ordering::SeqCst) {
                return Ok(());
            }
            user.most = 2;
            let (tablet, device, _) = match self.enrol(&user.access).await {
                // The clock has gone on meanwhile, and the code was too late.
                Err(400) => return Ok(()),
                other => other?,
            };
            let code = tablet.code_of(self.step().await? + 1);
            let path = format!("/2fa/devices/{device}/");
            match self.send("DELETE", &path, &user.access, json!({"code": code})).await {
                Err(400) => return Ok(()),
                other => other?,
            };
            user.removed.push(device);
            user.most = 1;
        }
        Ok(())
    }

    async fn enrol_user(&self, name: String) -> Result<User, u16> {
        let body = json!({"user_id": name, "account_name": "removal@example.com"});
        let opened = self.send("POST", "/2fa/sessions/", &self.key, body).await?;
        let (_, _, enrolled) = self.enrol(&text(&opened, "enrollment_token")).await?;
        Ok(User { name, access: text(&enrolled, "access_token"), removed: Vec::new(), most: 1 })
    }

    async fn enrol(&self, token: &str) -> Result<(Authenticator, String, Value), u16> {
        let setup = self.send("POST", "/2fa/setup/", token, json!({"device_name": "tablet"})).await?;
        let (phone, device) =
            (Authenticator::from_base32(&text(&setup, "secret")), text(&setup, "device_id"));
        let body = json!({"device_id": device, "code": phone.code_of(self.step().await?)});
        let done = self.send("POST", "/2fa/setup/confirm/", token, body).await?;
        Ok((phone, device, done))
    }

    async fn step(&self) -> Result<u64, u16> {
        let clock = self.send("GET", "/development/clock/", "", Value::Null).await?;
        Ok(clock::unix(&text(&clock, "now")) / clock::STEP)
    }

    /// The body of a success, else the status; 0 where there is no answer.
    async fn send(&self, method: &str, path: &str, bearer: &str, body: Value) -> Result<Value, u16> {
        let method = method.parse().expect("a method");
        let mut request = self.http.request(method, format!("http://{}{path}", self.address));
        if !body.is_null() {
            request = request.bearer_auth(bearer).json(&body);
        }
        let answer = request.send().await.map_err(|_| 0u16)?;
        let status = answer.status().as_u16();
        let bytes = answer.bytes().await.map_err(|_| 0u16)?;
        if status >= 300 { Err(status) } else { Ok(serde_json::from_slice(&bytes).unwrap_or_default()) }
    }
}

fn text(body: &Value, name: &str) -> String {
    body[name].as_str().unwrap_or_default().to_owned()
}
