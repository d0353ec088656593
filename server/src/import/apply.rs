//! Users of another product become accounts: each is one transaction, and an account that has a device stays as it is.

use futures_util::{StreamExt as _, stream::FuturesOrdered};
use serde::{Deserialize, Serialize};
use sidekey_core::{
    account::{Account, Imported, NotImported},
    id::{AccountId, AppId},
    import::{DeviceRefusal, ImportedUser},
    time::UnixTime,
};
use tokio::sync::Mutex;
use utoipa::ToSchema;

use super::WireUser;
use crate::{
    audit::Origin,
    backup_code_hash::{BackupCodeHasher, HashError},
    clock::Clock,
    entropy::Entropy,
    store::{Store, StoreError, Subject},
};

/// Users that are taken over at once: their commits share a sync.
const AT_ONCE: usize = 16;

/// Why not all users were looked at. The texts are for the operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// The store is not available.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no hash of somebody's recovery codes.
    #[error(transparent)]
    Hash(#[from] HashError),
}

/// What takes users over.
#[derive(Clone, Copy)]
#[expect(missing_debug_implementations, reason = "it is no value")]
pub struct Importer<'a> {
    /// The accounts.
    pub store: &'a Store,
    /// Hashes their recovery codes.
    pub hasher: &'a BackupCodeHasher,
    /// The time.
    pub clock: &'a Clock,
    /// Whose users they become.
    pub app: &'a AppId,
    /// Who asks for it.
    pub origin: &'a Origin,
    /// Whether it is only told what would be done.
    pub dry_run: bool,
}

/// What became of a user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ImportedUser)]
pub struct Line {
    /// The user, as named.
    pub user_id: String,
    /// What became of them; `skipped`: the user had a device, and nothing has changed.
    pub outcome: Outcome,
    /// Devices that were taken over.
    pub devices: usize,
    /// Backup codes that were taken over.
    pub backup_codes: usize,
    /// Why the user was not taken over, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub reason: Option<String>,
    /// What was left out of the user, and why, for people.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// What became of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ImportOutcome)]
pub enum Outcome {
    /// 2FA is on, with what came along.
    Imported,
    /// 2FA was on, and nothing has changed.
    Skipped,
    /// The user cannot be taken over.
    Refused,
}

impl Line {
    /// A user that cannot be taken over.
    pub fn refused(user_id: &str, reason: &(impl ToString + ?Sized)) -> Self {
        Self {
            user_id: user_id.to_owned(),
            outcome: Outcome::Refused,
            devices: 0,
            backup_codes: 0,
            reason: Some(reason.to_string()),
            notes: Vec::new(),
        }
    }

    /// A user whose 2FA is on.
    fn skipped(self) -> Self {
        Self {
            outcome: Outcome::Skipped,
            reason: Some("2FA is on already".to_owned()),
            ..Self::refused(&self.user_id, "")
        }
    }

    fn is_the_import_of(&self, other: &Self) -> bool {
        self.outcome == Outcome::Imported && self.user_id == other.user_id
    }

    fn of(user: &ImportedUser, imported: Result<Imported, NotImported>) -> Self {
        let line = |outcome| Self { outcome, reason: None, ..Self::refused(user.user.as_str(), "") };
        match imported {
            Ok(Imported { devices, backup_codes, left_out }) => {
                Self { devices, backup_codes, notes: notes(user, &left_out), ..line(Outcome::Imported) }
            }
            Err(NotImported::HasDevice) => line(Outcome::Skipped).skipped(),
            Err(NotImported::NoDevice { left_out }) => Self {
                reason: Some("there is no device that can be taken over".to_owned()),
                notes: notes(user, &left_out),
                ..line(Outcome::Refused)
            },
        }
    }
}

/// What was left out of a user, each reason once.
pub fn notes(user: &ImportedUser, left_out: &[DeviceRefusal]) -> Vec<String> {
    let mut notes: Vec<String> = Vec::new();
    let devices = left_out.iter().map(|refusal| format!("device left out: {refusal}"));
    let codes = user.recovery_left_out.iter().map(|refusal| format!("recovery codes left out: {refusal}"));
    for note in devices.chain(codes) {
        if !notes.contains(&note) {
            notes.push(note);
        }
    }
    notes
}

impl Importer<'_> {
    /// Takes over users as written, some at once; the lines are in their order. Who stands twice is taken over once. `done` is told
    /// how many users are behind.
    ///
    /// # Errors
    /// The store is not available, or too many hashes wait. Who was taken over before stays so; asking again skips them.
    pub async fn take_over(
        self,
        users: &[WireUser],
        mut done: impl FnMut(usize),
    ) -> Result<Vec<Line>, ImportError> {
        let mut lines = Vec::with_capacity(users.len());
        let turn = Mutex::new(());
        let mut waiting = users.iter();
        let mut work: FuturesOrdered<_> =
            waiting.by_ref().take(AT_ONCE).map(|user| self.one(user, &turn)).collect();
        while let Some(line) = work.next().await {
            if let Some(user) = waiting.next() {
                work.push_back(self.one(user, &turn));
            }
            let line = line?;
            // Nothing is stored that would tell.
            let twice = self.dry_run && lines.iter().any(|before: &Line| before.is_the_import_of(&line));
            lines.push(if twice { line.skipped() } else { line });
            done(lines.len());
        }
        Ok(lines)
    }

    async fn one(self, user: &WireUser, turn: &Mutex<()>) -> Result<Line, ImportError> {
        match user.parse() {
            Ok(imported) => self.user(&imported, turn).await,
            Err(refusal) => Ok(Line::refused(&user.user_id, &refusal)),
        }
    }

    async fn user(self, user: &ImportedUser, turn: &Mutex<()>) -> Result<Line, ImportError> {
        let id = AccountId { app: self.app.clone(), user: user.user.clone() };
        // Looked at before anything slow is done for it, and judged for good in the transaction.
        let now = self.clock.now();
        let mut before = self.account(&id, now).await?;
        let mut judged = before.import(user, None, now, &mut Entropy, &mut Vec::new());
        if let Ok(imported) = &mut judged {
            imported.backup_codes = user.recovery.as_ref().map_or(0, |recovery| recovery.codes().len());
        }
        if self.dry_run || judged.is_err() {
            return Ok(Line::of(user, judged));
        }
        let codes = match &user.recovery {
            Some(recovery) => {
                // One of an import waits for a turn at a time: whoever enrols meanwhile is the next but one.
                let _one = turn.lock().await;
                let permit = self.hasher.set().await?;
                Some(permit.imported_set(&id, recovery.codes(), self.clock.now()).await?)
            }
            None => None,
        };
        let now = self.clock.now();
        let imported = self
            .store
            .transact(Subject::account(id.clone()), self.origin, now, |state| {
                let known = state.account.clone();
                let mut account = known.unwrap_or_else(|| Account::new(id.clone(), now, &mut Entropy));
                let imported = account.import(user, codes.clone(), now, &mut Entropy, &mut state.events);
                if imported.is_ok() {
                    state.account = Some(account);
                }
                imported
            })
            .await?;
        Ok(Line::of(user, imported))
    }

    /// The account as it is, or as it would begin.
    async fn account(self, id: &AccountId, now: UnixTime) -> Result<Account, StoreError> {
        let known = self.store.account(id).await?;
        Ok(known.unwrap_or_else(|| Account::new(id.clone(), now, &mut Entropy)))
    }
}

/// How many users each became of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ImportCounts)]
pub struct Counts {
    /// Users that were taken over.
    pub imported: usize,
    /// Users that had a device.
    pub skipped: usize,
    /// Users that cannot be taken over.
    pub refused: usize,
}

impl Counts {
    /// Counts lines.
    pub fn of<'a>(lines: impl IntoIterator<Item = &'a Line>) -> Self {
        let mut counts = Self::default();
        for line in lines {
            match line.outcome {
                Outcome::Imported => counts.imported += 1,
                Outcome::Skipped => counts.skipped += 1,
                Outcome::Refused => counts.refused += 1,
            }
        }
        counts
    }
}
