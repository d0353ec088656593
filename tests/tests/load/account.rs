//! What one client knows of one user: the model that the server is compared with.

use sidekey_tests::{Authenticator, clock, json};

use super::Random;
use super::world::{As, Down, Reply, World};

/// From this many wrong answers on an account is only looked at: over 20 within 30 days it would need two codes.
pub(crate) const WORN: u32 = 11;
/// How long a session takes answers, less what a check may take, in seconds; and less a time step, by which one of several servers may
/// be behind the latest time that was told while their clocks are moved one after the other.
pub(crate) const SESSION: u64 = 250;
/// How long an access token is used, in seconds: less than it lives.
pub(crate) const ACCESS: u64 = 800;

/// How far a user has come.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Stage {
    /// Unknown to the server.
    New,
    /// Has an enrollment token, of a session opened at this time.
    Invited { token: String, opened_at: u64 },
    /// Has a pending device.
    Pending { token: String, opened_at: u64 },
    /// Has an active device.
    Active,
    /// Has turned the second factor off.
    Off,
    /// Was the subject of a finding: the model knows no more.
    Dropped,
}

/// A backup code.
pub(crate) struct Backup {
    pub(crate) code: String,
    pub(crate) spent: bool,
}

/// Tokens of the last answer that gave some.
pub(crate) struct Tokens {
    pub(crate) access: String,
    pub(crate) refresh: String,
    pub(crate) taken_at: u64,
}

/// A session that was opened.
pub(crate) struct Session {
    pub(crate) id: String,
    pub(crate) opened_at: u64,
    pub(crate) verified: bool,
    pub(crate) wrong: Count,
}

/// A number that is known up to what was in flight: from, to.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Count(pub(crate) u32, pub(crate) u32);

impl Count {
    pub(crate) fn one_more(&mut self) {
        *self = Self(self.0 + 1, self.1 + 1);
    }

    pub(crate) fn perhaps_one_more(&mut self) {
        self.1 += 1;
    }

    pub(crate) fn none(&mut self) {
        *self = Self(0, 0);
    }
}

/// What was on its way; sessions are named by their index.
pub(crate) enum Flight {
    Confirm {
        step: u64,
    },
    /// The code of one step to several sessions at once; with each what is known of its answer.
    Codes {
        step: u64,
        sessions: Vec<(usize, Option<bool>)>,
    },
    Wrong {
        session: usize,
    },
    Backup {
        code: usize,
        sessions: Vec<(usize, Option<bool>)>,
    },
    Rename {
        name: String,
    },
    Refresh {
        key: String,
        sent_at: u64,
    },
    Regenerate {
        step: u64,
    },
    Disable {
        step: u64,
    },
}

/// One user.
pub(crate) struct Account {
    pub(crate) user: String,
    pub(crate) stage: Stage,
    pub(crate) secret: String,
    pub(crate) device: String,
    /// What the device's name may be: more than one where a change was in flight.
    pub(crate) names: Vec<String>,
    /// The last step whose code was given to the server.
    pub(crate) given: u64,
    /// The last step whose code was accepted.
    pub(crate) accepted: u64,
    /// The current backup codes, where they are known.
    pub(crate) backups: Option<Vec<Backup>>,
    pub(crate) tokens: Option<Tokens>,
    /// Refresh tokens of the current login that were spent.
    pub(crate) spent: Vec<String>,
    pub(crate) sessions: Vec<Session>,
    /// Wrong codes in a row.
    pub(crate) row: Count,
    /// Wrong codes altogether, at most.
    pub(crate) failures: u32,
    /// Wrong backup codes in a row.
    pub(crate) backup_row: Count,
    pub(crate) flight: Option<Flight>,
}

impl Account {
    pub(crate) fn new(user: String) -> Self {
        Self {
            user,
            stage: Stage::New,
            secret: String::new(),
            device: String::new(),
            names: Vec::new(),
            given: 0,
            accepted: 0,
            backups: None,
            tokens: None,
            spent: Vec::new(),
            sessions: Vec::new(),
            row: Count::default(),
            failures: 0,
            backup_row: Count::default(),
            flight: None,
        }
    }

    /// Whether the load uses it no more.
    pub(crate) fn is_retired(&self) -> bool {
        matches!(self.stage, Stage::Off | Stage::Dropped) || self.failures >= WORN
    }

    /// Whether it can bear another wrong code, beside those that a check costs.
    pub(crate) fn bears_failures(&self, count: u32) -> bool {
        self.row.1 + count <= 3 && self.failures < WORN
    }

    /// Whether only its use makes the code that was accepted last a wrong one now.
    pub(crate) fn accepted_in_window(&self, now: u64) -> bool {
        self.accepted > 0 && now / clock::STEP <= self.accepted + 1
    }

    /// The code of a step.
    pub(crate) fn code(&self, step: u64) -> String {
        Authenticator::from_base32(&self.secret).code_of(step)
    }

    /// Six digits that are no code near this step.
    pub(crate) fn wrong_code(&self, step: u64, random: &mut Random) -> String {
        let phone = Authenticator::from_base32(&self.secret);
        let near: Vec<String> = (step - 3..step + 4).map(|step| phone.code_of(step)).collect();
        loop {
            let code = format!("{:06}", random.between(0, 1_000_000));
            if !near.contains(&code) {
                return code;
            }
        }
    }

    /// The server broke a promise to this user.
    pub(crate) fn broken(&mut self, world: &World, what: &str) {
        world.found(&self.user, what);
        self.stage = Stage::Dropped;
    }

    /// It gave an answer that it should not.
    pub(crate) fn unexpected(&mut self, world: &World, to: &str, reply: &Reply) {
        // Of a success only the names: its values are codes and tokens.
        let said = match reply.body.as_object() {
            Some(members) if reply.status < 400 => members.keys().cloned().collect::<Vec<_>>().join(", "),
            _ => reply.body.to_string(),
        };
        let what = format!("{to}: answered {} {said}", reply.status);
        self.broken(world, &what);
    }

    /// Opens a session, and gives its index; none where the answer is no challenge.
    pub(crate) async fn open(&mut self, world: &World) -> Result<Option<usize>, Down> {
        let opened_at = world.reached();
        let body = json!({"user_id": self.user, "account_name": format!("{}@example.com", self.user)});
        let reply = world.post("/2fa/sessions/", As::App, body).await?;
        if reply.status != 201
            || reply.body["requires_2fa"] != true
            || reply.body["requires_enrollment"] == true
        {
            self.unexpected(world, "opening a session", &reply);
            return Ok(None);
        }
        world.acknowledged();
        let session =
            Session { id: reply.text("session_id"), opened_at, verified: false, wrong: Count::default() };
        self.sessions.push(session);
        Ok(Some(self.sessions.len() - 1))
    }

    /// Answers a session with a TOTP code.
    pub(crate) async fn answer(&self, world: &World, session: usize, code: &str) -> Result<Reply, Down> {
        let body = json!({"session_id": self.sessions[session].id, "code": code});
        world.post("/2fa/verify/", As::Anyone, body).await
    }

    /// Answers a session with a backup code.
    pub(crate) async fn answer_backup(
        &self,
        world: &World,
        session: usize,
        code: &str,
    ) -> Result<Reply, Down> {
        let body = json!({"session_id": self.sessions[session].id, "backup_code": code});
        world.post("/2fa/verify/backup/", As::Anyone, body).await
    }

    /// A session was answered rightly.
    pub(crate) fn verified(&mut self, session: usize) {
        self.sessions[session].verified = true;
    }

    /// A session was answered wrongly with a TOTP code.
    pub(crate) fn failed(&mut self, session: usize) {
        self.sessions[session].wrong.one_more();
        self.row.one_more();
        self.failures += 1;
    }

    /// Tokens of a new login.
    pub(crate) fn login(&mut self, world: &World, reply: &Reply) {
        self.spent.clear();
        self.take_tokens(world, reply);
    }

    /// Tokens of any answer.
    pub(crate) fn take_tokens(&mut self, world: &World, reply: &Reply) {
        let (access, refresh) = (reply.text("access_token"), reply.text("refresh_token"));
        self.tokens = Some(Tokens { access, refresh, taken_at: world.reached() });
    }

    /// New backup codes.
    pub(crate) fn take_backups(&mut self, reply: &Reply) {
        let codes = reply.body["backup_codes"].as_array().map(Vec::as_slice).unwrap_or_default();
        let code = |code: &sidekey_tests::Value| code.as_str().unwrap_or_default().to_string();
        self.backups = Some(codes.iter().map(|c| Backup { code: code(c), spent: false }).collect());
    }

    /// Backup codes left, where they are known.
    pub(crate) fn backups_left(&self) -> Option<usize> {
        self.backups.as_ref().map(|all| all.iter().filter(|backup| !backup.spent).count())
    }

    /// An access token that is still good.
    pub(crate) fn access(&self, world: &World) -> Option<String> {
        let fresh = |tokens: &&Tokens| world.reached() < tokens.taken_at + ACCESS;
        self.tokens.as_ref().filter(fresh).map(|tokens| tokens.access.clone())
    }
}
