//! Who the owner of an account is, for the ways that tell them of it.

use sidekey_core::backup_code::BackupCodes;
use sidekey_core::id::{AccountId, AccountName, AppId, UserId};

use crate::context::Context;
use crate::store::StoreError;
use crate::store::engine::Pending;

/// What is known of the owner of an account at the moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// How the application calls them; often their e-mail address.
    pub account_name: Option<AccountName>,
    /// The application's name.
    pub app: String,
    /// What the server calls itself in authenticator apps.
    pub issuer: String,
    /// Backup codes that are left; `None`: there is no set.
    pub backup_codes_left: Option<usize>,
}

/// Finds owners.
pub trait Owners: Send + Sync {
    /// The owner of an app's user; `None`: there is no such account.
    fn find<'a>(&'a self, app: &'a str, user: &'a str) -> Pending<'a, Result<Option<Owner>, StoreError>>;
}

impl Owners for Context {
    fn find<'a>(&'a self, app: &'a str, user: &'a str) -> Pending<'a, Result<Option<Owner>, StoreError>> {
        Box::pin(async move {
            let (Ok(app), Ok(user)) = (AppId::parse(app), UserId::parse(user)) else { return Ok(None) };
            let Some(found) = self.apps.find(&app).await? else { return Ok(None) };
            let Some(account) = self.store.account(&AccountId { app, user }).await? else { return Ok(None) };
            Ok(Some(Owner {
                backup_codes_left: account.backup_codes().map(BackupCodes::remaining),
                account_name: account.name,
                app: found.name.clone(),
                issuer: self.settings.issuer.clone(),
            }))
        })
    }
}
