//! Who the owner of an account is, for the ways that tell them of it.

use std::fmt;

use sidekey_core::backup_code::BackupCodes;
use sidekey_core::id::{AccountId, AccountName, AppId, UserId};

use super::Notice;
use crate::context::Context;
use crate::pages;
use crate::pages::locale::{self, Locale};
use crate::store::StoreError;
use crate::store::engine::Pending;
use crate::token::dispute::DisputeToken;
use crate::token::session_link::PARAMETER;

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
    /// The language that their pages were last shown in.
    pub language: Option<&'static Locale>,
    /// By which they say that it was not their doing.
    pub link: Option<DisputeLink>,
}

/// The address of the page on which an owner says that something was not their doing. It holds a token.
#[derive(Clone, PartialEq, Eq)]
pub struct DisputeLink {
    page: String,
    token: DisputeToken,
}

impl DisputeLink {
    /// A link to this page.
    pub fn new(page: String, token: DisputeToken) -> Self {
        Self { page, token }
    }

    /// The address, for the mail to the owner and nobody else.
    pub fn expose(&self) -> String {
        format!("{}?{PARAMETER}={}", self.page, self.token.expose())
    }
}

impl fmt::Debug for DisputeLink {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("DisputeLink(…)")
    }
}

/// Finds owners.
pub trait Owners: Send + Sync {
    /// The owner of the account that an event is about; `None`: there is no such account.
    fn find<'a>(&'a self, notice: &'a Notice) -> Pending<'a, Result<Option<Owner>, StoreError>>;
}

impl Owners for Context {
    fn find<'a>(&'a self, notice: &'a Notice) -> Pending<'a, Result<Option<Owner>, StoreError>> {
        Box::pin(async move {
            let (Some(app), Some(user)) = (&notice.app, &notice.user) else { return Ok(None) };
            let (Ok(app), Ok(user)) = (AppId::parse(app), UserId::parse(user)) else { return Ok(None) };
            let Some(found) = self.apps.find(&app).await? else { return Ok(None) };
            let Some(account) = self.store.account(&AccountId { app, user }).await? else { return Ok(None) };
            let language = self.store.language(&account.id).await?;
            let token = DisputeToken::of(&self.pepper, notice, account.birth);
            Ok(Some(Owner {
                backup_codes_left: account.backup_codes().map(BackupCodes::remaining),
                account_name: account.name,
                app: found.name.clone(),
                issuer: self.settings.issuer.clone(),
                language: language.and_then(|tag| locale::first_of(std::iter::once(tag.as_str()))),
                link: token.map(|token| DisputeLink::new(self.url(pages::address::DISPUTE), token)),
            }))
        })
    }
}
