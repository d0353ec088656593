//! What fails, and what must hold nevertheless.
//!
//! | module | what |
//! |---|---|
//! | [`kills`] | servers are killed (SIGKILL) and started again |
//! | [`promotion`] | the primary is killed and its synchronous standby promoted; the standby is away |
//! | [`removals`] | load that adds and removes devices, beside what [`load`](super::load) does |
//! | [`network`] | connections end, stall, or end just before a commit or its answer |
//! | [`exhaustion`] | no connection is left, of the pool or of the database |
//! | [`disk`] | the database's disk fails |

mod disk;
mod exhaustion;
mod kills;
mod network;
mod promotion;
mod removals;

use sidekey_tests::{Answer, Authenticator, Enforcement, Fleet, Server, json};

/// One user, with all that a test needs after servers were replaced.
struct Ann {
    key: String,
    access: String,
    refresh: String,
    backup_codes: Vec<String>,
    /// Two sessions, and the step of a code that was never used.
    sessions: [String; 2],
    phone: Authenticator,
    step: u64,
}

impl Ann {
    async fn enrolled(server: &Server) -> Self {
        let app = server.app(Enforcement::Optional).await;
        let user = app.enrol("ann").await;
        let sessions = [user.challenge().await, user.challenge().await];
        // After the enrolment's, and good for another one.
        let step = server.step().await + 1;
        let (key, access, refresh) = (app.key.clone(), user.access.clone(), user.refresh.clone());
        Self { key, access, refresh, backup_codes: user.backup_codes, sessions, phone: user.phone, step }
    }

    /// The code in one of the two sessions.
    async fn verify(&self, server: &Server, session: usize) -> Answer {
        self.verify_with(server, session, self.step).await
    }

    async fn verify_with(&self, server: &Server, session: usize, step: u64) -> Answer {
        let body = json!({"session_id": self.sessions[session], "code": self.phone.code_of(step)});
        server.post("/2fa/verify/").json(body).await
    }

    async fn status(&self, server: &Server, session: usize) -> String {
        let path = format!("/2fa/sessions/{}/", self.sessions[session]);
        server.get(&path).bearer(&self.key).await.ok().text("status")
    }

    /// What the host application sees.
    async fn state(&self, server: &Server) -> Answer {
        server.get("/2fa/users/ann/").bearer(&self.key).await.ok()
    }

    /// The code counts once, in the first session, and then no more. On a machine so slow that its time is over, a newer one.
    async fn code_is_good(&self, server: &Server) {
        let step = self.step.max(server.step().await - 1);
        self.verify_with(server, 0, step).await.ok();
        self.verify_with(server, 1, step).await.refused(400, "INVALID_CODE");
        self.code_is_used(server).await;
    }

    /// The code was accepted in the first session, whether that was told or not.
    async fn code_is_used(&self, server: &Server) {
        self.verify(server, 0).await.refused(409, "SESSION_ALREADY_VERIFIED");
        self.verify(server, 1).await.refused(400, "INVALID_CODE");
        assert_eq!(self.status(server, 0).await, "verified");
        assert_eq!(self.status(server, 1).await, "pending");
    }
}

/// The audit log is whole, and nothing else is found either.
async fn is_whole(fleet: &Fleet) {
    for server in &fleet.servers {
        let found = server.command(["verify"]).await;
        assert_eq!(found["findings"], json!([]), "{found}");
    }
}
