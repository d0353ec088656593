//! The slow hash of backup codes: Argon2id (RFC 9106) over HMAC-SHA-256 with the store's pepper, off the async threads and
//! bounded in number, because each takes 19 MiB and some twenty milliseconds.

use argon2::{Algorithm, Argon2, Block, Params, Version};
use sidekey_core::{
    backup_code::{BackupCode, BackupCodes, CODES, CodeHash, Salt},
    id::AccountId,
    time::UnixTime,
};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::{
    entropy::Entropy,
    http::{Code, Problem},
    keyring::Pepper,
};

/// OWASP's parameters for Argon2id: 19 MiB, two passes, one lane.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// Hashes backup codes, a few at a time.
#[derive(Debug)]
pub struct BackupCodeHasher {
    pepper: Arc<Pepper>,
    permits: Semaphore,
    /// The memory of hashes that are done, for the next ones: never more than there are permits.
    idle_memory: Arc<Mutex<Vec<Vec<Block>>>>,
}

/// The right to compute one hash (or one set). Whoever waits for it should look again whether the hash is still needed.
#[derive(Debug)]
pub struct Permit<'a> {
    hasher: &'a BackupCodeHasher,
    _permit: SemaphorePermit<'a>,
}

impl BackupCodeHasher {
    /// A hasher that computes as many hashes at once as the machine has processors.
    pub fn new(pepper: Arc<Pepper>) -> Self {
        let processors = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        Self { pepper, permits: Semaphore::new(processors), idle_memory: Arc::default() }
    }

    /// Waits for a turn.
    ///
    /// # Errors
    /// The server is shutting down.
    pub async fn permit(&self) -> Result<Permit<'_>, Problem> {
        let permit = self.permits.acquire().await.map_err(|_| Problem::new(Code::Unavailable))?;
        Ok(Permit { hasher: self, _permit: permit })
    }
}

impl Permit<'_> {
    /// The hash of a code under the salt of its set.
    ///
    /// # Errors
    /// The computation failed.
    pub async fn hash(&self, account: &AccountId, salt: Salt, code: BackupCode) -> Result<CodeHash, Problem> {
        let hashes = self.hash_all(account, salt, vec![code]).await?;
        hashes.into_iter().next().ok_or_else(|| Problem::new(Code::Internal))
    }

    /// A fresh set of codes: the codes themselves, to be shown once, and what is kept of them.
    ///
    /// # Errors
    /// The computation failed.
    pub async fn fresh_set(
        &self,
        account: &AccountId,
        now: UnixTime,
    ) -> Result<(Vec<BackupCode>, BackupCodes), Problem> {
        let salt = Salt::generate(&mut Entropy);
        let codes: Vec<_> = (0..CODES).map(|_| BackupCode::generate(&mut Entropy)).collect();
        let hashes = self.hash_all(account, salt, codes.clone()).await?;
        Ok((codes, BackupCodes::new(salt, hashes, now)))
    }

    async fn hash_all(
        &self,
        account: &AccountId,
        salt: Salt,
        codes: Vec<BackupCode>,
    ) -> Result<Vec<CodeHash>, Problem> {
        let (pepper, account) = (Arc::clone(&self.hasher.pepper), account.clone());
        let idle = Arc::clone(&self.hasher.idle_memory);
        let work = move || {
            let kept = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let mut memory = kept.unwrap_or_default();
            let hashes: Result<Vec<_>, _> =
                codes.iter().map(|code| hash(&pepper, &account, salt, code, &mut memory)).collect();
            // What the last hash left in it is of no use without the pepper, and the next one writes over it.
            idle.lock().unwrap_or_else(PoisonError::into_inner).push(memory);
            hashes
        };
        let outcome = tokio::task::spawn_blocking(work).await;
        outcome
            .map_err(|error| error.to_string())
            .and_then(|hashes| hashes.map_err(|error| error.to_string()))
            .map_err(|error| {
                tracing::error!(%error, "a backup code cannot be hashed");
                Problem::new(Code::Internal)
            })
    }
}

fn hash(
    pepper: &Pepper,
    account: &AccountId,
    salt: Salt,
    code: &BackupCode,
    memory: &mut Vec<Block>,
) -> Result<CodeHash, argon2::Error> {
    let parts = [account.app.as_str().as_bytes(), account.user.as_str().as_bytes(), code.expose().as_bytes()];
    let keyed = zeroize::Zeroizing::new(pepper.mac("backup-code", &parts));
    let params = Params::new(MEMORY_KIB, PASSES, LANES, Some(32))?;
    let mut out = [0; 32];
    memory.resize(params.block_count(), Block::new());
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params).hash_password_into_with_memory(
        keyed.as_slice(),
        &salt.0,
        &mut out,
        memory,
    )?;
    Ok(CodeHash::new(out))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sidekey_core::backup_code::Attempt;
    use sidekey_core::id::{AppId, UserId};

    #[tokio::test]
    async fn a_code_hashes_alike_however_it_is_typed_and_for_its_account_only() {
        let now = UnixTime::from_secs(1);
        let (_folder, context) = crate::context::testing::context(now, &[]).await;
        let account =
            |user: &str| AccountId { app: AppId::parse("shop").unwrap(), user: UserId::parse(user).unwrap() };
        let permit = context.hasher.permit().await.unwrap();
        let (codes, mut kept) = permit.fresh_set(&account("42"), now).await.unwrap();
        let typed = codes[3].shown().to_lowercase().replace('-', " ");
        let code = BackupCode::parse(&typed).unwrap();
        let salt = kept.salt();
        let foreign = permit.hash(&account("43"), salt, code.clone()).await.unwrap();
        assert!(!kept.spend(Attempt { salt, hash: foreign }));
        let hash = permit.hash(&account("42"), salt, code).await.unwrap();
        assert!(kept.spend(Attempt { salt, hash }));
        assert_eq!(kept.remaining(), CODES - 1);
    }
}
