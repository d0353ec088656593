//! The slow hash of backup codes, and of operators' passwords: Argon2id (RFC 9106) over HMAC-SHA-256 with the store's pepper, off the async threads and
//! bounded in number, because each takes 19 MiB and some twenty milliseconds.

use argon2::{Algorithm, Argon2, Block, Params, Version};
use sidekey_core::{
    backup_code::{BackupCode, BackupCodes, CODES, CodeHash, Salt},
    id::AccountId,
    import::ReducedCode,
    time::UnixTime,
};
use std::{
    num::NonZero,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{entropy::Entropy, keyring::Pepper, operators::Password};

/// OWASP's parameters for Argon2id: 19 MiB, two passes, one lane.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// Requests that may wait for a hash or a set, each; whoever comes later is told to come again.
const QUEUE: usize = 256;

/// Why there is no hash. The texts are for the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    /// Too many wait for theirs already.
    #[error("too many hashes wait for their turn: try again in a moment")]
    Busy,
    /// The computation failed, which the log tells of.
    #[error("a hash could not be computed, see the server's log")]
    Failed,
}

/// Hashes backup codes, a few at a time.
///
/// Attempts have their turns and whole sets have theirs, one set at a time: a set takes ten hashes, and whoever asks for many
/// must not keep others from getting in. So have the passwords of operators, which anybody may try, one at a time.
#[derive(Debug)]
pub struct BackupCodeHasher {
    shared: Arc<Shared>,
    attempts: Turns,
    sets: Turns,
    passwords: Turns,
}

#[derive(Debug)]
struct Shared {
    pepper: Arc<Pepper>,
    /// The memory of hashes that are done, for the next ones.
    idle_memory: Mutex<Vec<Vec<Block>>>,
    memory_kept: usize,
}

#[derive(Debug)]
struct Turns {
    queue: Arc<Semaphore>,
    permits: Arc<Semaphore>,
}

/// The turn to compute one hash or one set. Whoever waited for it should look again whether the hash is still needed.
///
/// It goes along with the computation: a client that hangs up frees nothing before the work that it caused has ended.
#[derive(Debug)]
pub struct Permit {
    shared: Arc<Shared>,
    _permits: (OwnedSemaphorePermit, OwnedSemaphorePermit),
}

/// A fresh set of codes. It keeps its turn until it is dropped, so that the next set of the same account is asked for
/// after this one was stored.
#[derive(Debug)]
pub struct FreshSet {
    /// The codes, to be shown once.
    pub codes: Vec<BackupCode>,
    /// What is kept of them.
    pub kept: BackupCodes,
    _permit: Permit,
}

impl Turns {
    fn new(permits: usize) -> Self {
        Self { queue: Arc::new(Semaphore::new(QUEUE)), permits: Arc::new(Semaphore::new(permits)) }
    }

    async fn wait(&self, shared: &Arc<Shared>) -> Result<Permit, HashError> {
        let place = Arc::clone(&self.queue).try_acquire_owned().map_err(|_| HashError::Busy)?;
        let turn = Arc::clone(&self.permits).acquire_owned().await.map_err(|_| HashError::Busy)?;
        Ok(Permit { shared: Arc::clone(shared), _permits: (turn, place) })
    }
}

impl BackupCodeHasher {
    /// A hasher that computes as many attempts at once as the machine has processors, and one set.
    pub fn new(pepper: Arc<Pepper>) -> Self {
        let processors = std::thread::available_parallelism().map_or(2, NonZero::get);
        let shared = Shared { pepper, idle_memory: Mutex::default(), memory_kept: processors + 1 };
        Self {
            shared: Arc::new(shared),
            attempts: Turns::new(processors),
            sets: Turns::new(1),
            passwords: Turns::new(1),
        }
    }

    /// Waits for the turn of an attempt.
    ///
    /// # Errors
    /// Too many wait already.
    pub async fn attempt(&self) -> Result<Permit, HashError> {
        self.attempts.wait(&self.shared).await
    }

    /// Waits for the turn of a set.
    ///
    /// # Errors
    /// Too many wait already.
    pub async fn set(&self) -> Result<Permit, HashError> {
        self.sets.wait(&self.shared).await
    }

    /// Waits for the turn of an operator's password.
    ///
    /// # Errors
    /// Too many wait already.
    pub async fn password(&self) -> Result<Permit, HashError> {
        self.passwords.wait(&self.shared).await
    }
}

impl Permit {
    /// The hash of a code under the salt of its set. What is hashed of a text depends on the form of the set.
    ///
    /// # Errors
    /// The computation failed.
    pub async fn hash(
        self,
        account: &AccountId,
        salt: Salt,
        code: ReducedCode,
    ) -> Result<CodeHash, HashError> {
        let (hashes, _) = self.hash_all(account, salt, vec![code]).await?;
        hashes.into_iter().next().ok_or(HashError::Failed)
    }

    /// A fresh set of codes.
    ///
    /// # Errors
    /// The computation failed.
    pub async fn fresh_set(self, account: &AccountId, now: UnixTime) -> Result<FreshSet, HashError> {
        let salt = Salt::generate(&mut Entropy);
        let codes: Vec<_> = (0..CODES).map(|_| BackupCode::generate(&mut Entropy)).collect();
        let reduced = codes.iter().map(ReducedCode::from).collect();
        let (hashes, permit) = self.hash_all(account, salt, reduced).await?;
        Ok(FreshSet { codes, kept: BackupCodes::new(salt, hashes, now), _permit: permit })
    }

    /// What is kept of the codes that another product gave out.
    ///
    /// # Errors
    /// The computation failed.
    pub async fn imported_set(
        self,
        account: &AccountId,
        codes: &[ReducedCode],
        now: UnixTime,
    ) -> Result<BackupCodes, HashError> {
        let salt = Salt::generate(&mut Entropy);
        let (hashes, _) = self.hash_all(account, salt, codes.to_vec()).await?;
        Ok(BackupCodes::new(salt, hashes, now))
    }

    /// The hashes of codes under the salt of their set, in the order of the codes.
    ///
    /// # Errors
    /// The computation failed.
    pub async fn hashes(
        self,
        account: &AccountId,
        salt: Salt,
        codes: Vec<ReducedCode>,
    ) -> Result<Vec<CodeHash>, HashError> {
        Ok(self.hash_all(account, salt, codes).await?.0)
    }

    /// The hash of an operator's password. It takes as long for every name and text.
    ///
    /// # Errors
    /// The computation failed.
    pub async fn password_hash(
        self,
        operator: &str,
        salt: [u8; 16],
        password: Password,
    ) -> Result<[u8; 32], HashError> {
        let operator = operator.to_owned();
        let work = move || {
            let parts = [operator.as_bytes(), password.as_bytes()];
            let mut memory = self.shared.memory();
            let hash = hash(&self.shared.pepper, "operator-password", &parts, &salt, &mut memory);
            self.shared.keep(memory);
            hash
        };
        let outcome = tokio::task::spawn_blocking(work).await;
        outcome
            .map_err(|error| error.to_string())
            .and_then(|hash| hash.map_err(|error| error.to_string()))
            .map_err(|error| {
                tracing::error!(%error, "a password cannot be hashed");
                HashError::Failed
            })
    }

    async fn hash_all(
        self,
        account: &AccountId,
        salt: Salt,
        codes: Vec<ReducedCode>,
    ) -> Result<(Vec<CodeHash>, Self), HashError> {
        let account = account.clone();
        let work = move || {
            let hashes = self.shared.hash_all(&account, salt, &codes);
            hashes.map(|hashes| (hashes, self))
        };
        let outcome = tokio::task::spawn_blocking(work).await;
        let hashes = outcome.map_err(|error| error.to_string());
        hashes.and_then(|hashes| hashes.map_err(|error| error.to_string())).map_err(|error| {
            tracing::error!(%error, "a backup code cannot be hashed");
            HashError::Failed
        })
    }
}

impl Shared {
    fn hash_all(
        &self,
        account: &AccountId,
        salt: Salt,
        codes: &[ReducedCode],
    ) -> Result<Vec<CodeHash>, argon2::Error> {
        let mut memory = self.memory();
        let (app, user) = (account.app.as_str().as_bytes(), account.user.as_str().as_bytes());
        let of = |code: &ReducedCode| {
            let parts = [app, user, code.expose().as_bytes()];
            hash(&self.pepper, "backup-code", &parts, &salt.0, &mut memory).map(CodeHash::new)
        };
        let hashes = codes.iter().map(of).collect();
        self.keep(memory);
        hashes
    }

    fn memory(&self) -> Vec<Block> {
        self.idle_memory.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    /// Keeps the memory of a hash for the next one. What it left there is of no use without the pepper, and the next one writes over it.
    fn keep(&self, memory: Vec<Block>) {
        let mut idle = self.idle_memory.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < self.memory_kept {
            idle.push(memory);
        }
    }
}

fn hash(
    pepper: &Pepper,
    domain: &str,
    parts: &[&[u8]],
    salt: &[u8],
    memory: &mut Vec<Block>,
) -> Result<[u8; 32], argon2::Error> {
    let keyed = zeroize::Zeroizing::new(pepper.mac(domain, parts));
    let params = Params::new(MEMORY_KIB, PASSES, LANES, Some(32))?;
    let mut out = [0; 32];
    memory.resize(params.block_count(), Block::new());
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params).hash_password_into_with_memory(
        keyed.as_slice(),
        salt,
        &mut out,
        memory,
    )?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sidekey_core::backup_code::Attempt;
    use sidekey_core::id::{AppId, UserId};
    use sidekey_core::import::CodeForm;

    #[tokio::test]
    async fn a_code_hashes_alike_however_it_is_typed_and_for_its_account_only() {
        let now = UnixTime::from_secs(1);
        let (_folder, context) = crate::context::testing::context(now, &[]).await;
        let account =
            |user: &str| AccountId { app: AppId::parse("shop").unwrap(), user: UserId::parse(user).unwrap() };
        let set = context.hasher.set().await.unwrap().fresh_set(&account("42"), now).await.unwrap();
        let (codes, mut kept) = (set.codes, set.kept);
        let typed = codes[3].shown().to_lowercase().replace('-', " ");
        let code = CodeForm::Native.reduce(&typed).unwrap();
        let salt = kept.salt();
        let foreign =
            context.hasher.attempt().await.unwrap().hash(&account("43"), salt, code.clone()).await.unwrap();
        assert!(!kept.spend(Attempt { salt, hash: foreign }));
        let hash = context.hasher.attempt().await.unwrap().hash(&account("42"), salt, code).await.unwrap();
        assert!(kept.spend(Attempt { salt, hash }));
        assert_eq!(kept.remaining(), CODES - 1);
    }
}
