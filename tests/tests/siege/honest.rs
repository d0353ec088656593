//! Users who only want to log in, each time over new connections.

use std::time::Duration;

use sidekey_tests::{App, Authenticator, json};

/// Slow is allowed while the server is attacked, never is not.
const PATIENCE: Duration = Duration::from_mins(2);
/// Users without a clock to move, and the devices that each of them has.
const USERS: usize = 3;
const DEVICES: usize = 7;

/// Honest users and what they log in with.
pub(crate) struct Honest<'s> {
    app: App<'s>,
    means: Means,
}

enum Means {
    /// One user and one device; the clock moves where a code was used.
    Clock(String, Authenticator),
    /// A code each of many devices: user and code.
    Codes(Vec<(String, String)>),
}

impl<'s> Honest<'s> {
    pub(crate) async fn with_the_clock(app: &App<'s>) -> Self {
        let user = app.enrol("honest").await;
        Self { app: app.clone(), means: Means::Clock(user.id, user.phone) }
    }

    pub(crate) async fn with_many_devices(app: &App<'s>) -> Self {
        let mut phones = Vec::new();
        for number in 0..USERS {
            let user = app.enrol(&format!("honest-{number}")).await;
            for device in 1..DEVICES {
                phones.push((user.id.clone(), user.add_device(&format!("device {device}")).await.0));
            }
            phones.push((user.id, user.phone));
        }
        app.server.advance(120).await;
        let step = app.server.next_step().await;
        // The last ones are used first: each device's earlier step comes before its later one.
        let codes = [step + 1, step]
            .into_iter()
            .flat_map(|step| phones.iter().map(move |(user, phone)| (user.clone(), phone.code_of(step))));
        Self { app: app.clone(), means: Means::Codes(codes.collect()) }
    }

    /// Logs in; false when there is nothing left to do it with.
    pub(crate) async fn log_in(&mut self) -> bool {
        let (user, code) = match &mut self.means {
            Means::Clock(user, phone) => (user.clone(), phone.fresh_code(self.app.server).await),
            Means::Codes(codes) => match codes.pop() {
                Some(next) => next,
                None => return false,
            },
        };
        let login = async {
            let opening = self.app.post("/2fa/sessions/").header("connection", "close");
            let opened = opening.json(json!({"user_id": user})).await.expect(201);
            let body = json!({"session_id": opened.text("session_id"), "code": code});
            self.app.server.post("/2fa/verify/").header("connection", "close").json(body).await.ok();
        };
        tokio::time::timeout(PATIENCE, login)
            .await
            .unwrap_or_else(|_| panic!("an honest user was not let in within {PATIENCE:?}"));
        true
    }
}
