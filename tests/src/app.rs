//! A host application and its users.

use serde_json::{Value, json};

use crate::answer::Answer;
use crate::authenticator::Authenticator;
use crate::server::Server;

/// Where the tests' applications let their users be sent back to.
pub const AFTER: &str = "https://app.example/after";

/// What an app demands of its users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enforcement {
    /// Whoever wants.
    Optional,
    /// Invited at every login.
    Encouraged,
    /// Demanded at once.
    Required,
    /// Demanded after so many days.
    RequiredAfter(u32),
    /// Demanded of administrators.
    Admins,
}

impl Enforcement {
    fn arguments(self) -> (&'static str, u32) {
        match self {
            Self::Optional => ("optional", 0),
            Self::Encouraged => ("encouraged", 0),
            Self::Required => ("required", 0),
            Self::RequiredAfter(days) => ("required", days),
            Self::Admins => ("admins", 0),
        }
    }
}

/// A host application: a tenant with an API key.
#[derive(Clone)]
pub struct App<'s> {
    /// The server it lives on.
    pub server: &'s Server,
    /// Its id, the audience of its tokens.
    pub id: String,
    /// Its first API key.
    pub key: String,
    /// The id of that key.
    pub key_id: String,
}

impl<'s> App<'s> {
    pub(crate) async fn create(server: &'s Server, enforcement: Enforcement) -> Self {
        let (name, days) = enforcement.arguments();
        let days = days.to_string();
        let made = server
            .command([
                "app",
                "create",
                "--name",
                "Example",
                "--enforcement",
                name,
                "--grace-days",
                &days,
                "--return-url",
                AFTER,
            ])
            .await;
        let text =
            |name: &str| made[name].as_str().unwrap_or_else(|| panic!("no `{name}` in {made}")).to_string();
        Self { server, id: text("app_id"), key: text("api_key"), key_id: text("key_id") }
    }

    /// A GET call with the API key.
    pub fn get(&self, path: &str) -> crate::client::Call {
        self.server.get(path).bearer(&self.key)
    }

    /// A POST call with the API key.
    pub fn post(&self, path: &str) -> crate::client::Call {
        self.server.post(path).bearer(&self.key)
    }

    /// Opens a session with a body of the test's own.
    pub async fn open_with(&self, body: Value) -> Answer {
        self.post("/2fa/sessions/").json(body).await
    }

    /// Opens a session for a user whose account name is `<user>@example.com`.
    pub async fn open_session(&self, user: &str) -> Answer {
        self.open_with(json!({"user_id": user, "account_name": format!("{user}@example.com")}))
            .await
            .expect(201)
    }

    /// Opens a session for a user with a device, and gives its id.
    pub async fn challenge(&self, user: &str) -> String {
        let answer = self.open_session(user).await;
        assert!(
            answer["requires_2fa"] == true && !answer.has("requires_enrollment"),
            "no challenge: {answer}"
        );
        answer.text("session_id")
    }

    /// A session's status.
    pub async fn session_status(&self, session: &str) -> String {
        self.get(&format!("/2fa/sessions/{session}/")).await.ok().text("status")
    }

    /// What the app may know of a user.
    pub async fn state(&self, user: &str) -> Answer {
        self.get(&format!("/2fa/users/{user}/")).await.ok()
    }

    /// A token that opens setup for a user without a device: the access or the enrollment token, as policy has it.
    pub async fn setup_token(&self, user: &str) -> String {
        let answer = self.open_session(user).await;
        let name = if answer["requires_enrollment"] == true { "enrollment_token" } else { "access_token" };
        answer.text(name)
    }

    /// Enrols a user's first device.
    pub async fn enrol(&self, user: &str) -> User<'s> {
        let token = self.setup_token(user).await;
        let setup = self.server.post("/2fa/setup/").bearer(&token).json(json!({})).await.ok();
        let (mut phone, device) =
            (Authenticator::from_base32(&setup.text("secret")), setup.text("device_id"));
        let code = phone.fresh_code(self.server).await;
        let body = json!({"device_id": device, "code": code});
        let done = self.server.post("/2fa/setup/confirm/").bearer(&token).json(body).await.ok();
        User {
            app: self.clone(),
            id: user.to_string(),
            phone,
            device,
            access: done.text("access_token"),
            refresh: done.text("refresh_token"),
            backup_codes: done.texts("backup_codes"),
        }
    }
}

/// A user with one enrolled device and the tokens of the last answer that gave some.
#[derive(Clone)]
pub struct User<'s> {
    /// The app it belongs to.
    pub app: App<'s>,
    /// The app's name for the user.
    pub id: String,
    /// The first device.
    pub phone: Authenticator,
    /// Id of that device.
    pub device: String,
    /// Access token.
    pub access: String,
    /// Refresh token.
    pub refresh: String,
    /// The backup codes of enrolment.
    pub backup_codes: Vec<String>,
}

impl<'s> User<'s> {
    /// The server.
    pub fn server(&self) -> &'s Server {
        self.app.server
    }

    /// A GET call with the access token.
    pub fn get(&self, path: &str) -> crate::client::Call {
        self.server().get(path).bearer(&self.access)
    }

    /// A POST call with the access token.
    pub fn post(&self, path: &str) -> crate::client::Call {
        self.server().post(path).bearer(&self.access)
    }

    /// A call of another method with the access token.
    pub fn call(&self, method: &str, path: &str) -> crate::client::Call {
        let method = method.parse().expect("a method's name");
        self.server().call(method, path).bearer(&self.access)
    }

    /// A new session to answer.
    pub async fn challenge(&self) -> String {
        self.app.challenge(&self.id).await
    }

    /// Answers a session with a TOTP code.
    pub async fn answer(&self, session: &str, code: &str) -> Answer {
        self.server().post("/2fa/verify/").json(json!({"session_id": session, "code": code})).await
    }

    /// Answers a session with a backup code.
    pub async fn answer_with_backup(&self, session: &str, code: &str) -> Answer {
        let body = json!({"session_id": session, "backup_code": code});
        self.server().post("/2fa/verify/backup/").json(body).await
    }

    /// A code never used before (the clock moves on where it must).
    pub async fn fresh_code(&mut self) -> String {
        let server = self.server();
        self.phone.fresh_code(server).await
    }

    /// A code that is certainly wrong.
    pub async fn wrong_code(&self) -> String {
        self.phone.wrong_code(self.server()).await
    }

    /// Signs in with a fresh code and keeps the new tokens.
    pub async fn sign_in(&mut self) -> Answer {
        let session = self.challenge().await;
        let code = self.fresh_code().await;
        let answer = self.answer(&session, &code).await.ok();
        self.access = answer.text("access_token");
        self.refresh = answer.text("refresh_token");
        answer
    }

    /// Enrols a further device.
    pub async fn add_device(&self, name: &str) -> (Authenticator, String) {
        let setup = self.post("/2fa/setup/").json(json!({"device_name": name})).await.ok();
        let mut phone = Authenticator::from_base32(&setup.text("secret"));
        let code = phone.fresh_code(self.server()).await;
        let device = setup.text("device_id");
        self.post("/2fa/setup/confirm/").json(json!({"device_id": device, "code": code})).await.ok();
        (phone, device)
    }
}
