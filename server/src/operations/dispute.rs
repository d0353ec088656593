//! The owner says, by the link of a mail, that what it told of was not their doing.
//!
//! No endpoint of the API leads here, only the page of the link.

use sidekey_core::{
    action::Spent,
    id::{AccountId, AppId, Incarnation, UserId},
    time::UnixTime,
};

use crate::{
    audit::Origin,
    context::Context,
    http::Problem,
    notify::Notice,
    store::{Key, StoreError, Subject},
    token::dispute::{DisputeToken, ends_at},
};

/// What a link that counts is about.
pub(crate) struct Disputable {
    /// What the mail told of.
    pub(crate) notice: Notice,
    /// Whose account it is about.
    pub(crate) account: AccountId,
    birth: Incarnation,
    token: DisputeToken,
}

/// What the text of a link is about; `None`: it is none of ours, its week is over, or event or account are gone.
///
/// # Errors
/// The store is not available.
pub(crate) async fn find(context: &Context, text: &str) -> Result<Option<Disputable>, Problem> {
    let Some(sequence) = DisputeToken::sequence(text) else { return Ok(None) };
    let entry = context.engine.get(&Key::audit(sequence)).await?;
    let notice = entry.and_then(|entry| Notice::read(&context.engine.id(), sequence, &entry.value));
    let Some(notice) = notice.filter(|notice| context.clock.now() < ends_at(notice)) else { return Ok(None) };
    let parsed = |app: &str, user: &str| {
        Some(AccountId { app: AppId::parse(app).ok()?, user: UserId::parse(user).ok()? })
    };
    let id = notice.app.as_deref().zip(notice.user.as_deref()).and_then(|(app, user)| parsed(app, user));
    let Some(id) = id else { return Ok(None) };
    let Some(account) = context.store.account(&id).await? else { return Ok(None) };
    let token = DisputeToken::of(&context.pepper, &notice, account.birth).filter(|token| token.is(text));
    Ok(token.map(|token| Disputable { notice, account: id, birth: account.birth, token }))
}

impl Disputable {
    /// The token, for the cookie of the browser that came by it.
    pub(crate) fn token(&self) -> &DisputeToken {
        &self.token
    }

    /// Whether it has been used.
    ///
    /// # Errors
    /// The store is not available.
    pub(crate) async fn is_done(&self, context: &Context) -> Result<bool, StoreError> {
        context.store.is_spent(&self.account.app, self.token.spent_as(&context.pepper)).await
    }

    /// Ends every login of the account and every trust in a browser, the first time.
    ///
    /// # Errors
    /// The store is not available.
    pub(crate) async fn run(&self, context: &Context, origin: &Origin) -> Result<(), StoreError> {
        let now: UnixTime = context.clock.now();
        let id = self.token.spent_as(&context.pepper);
        let subject = Subject::account(self.account.clone()).with_spent_token(id, ends_at(&self.notice));
        context
            .store
            .transact(subject, origin, now, |state| {
                let account = state.account.as_mut().filter(|account| account.birth == self.birth);
                if let (Some(account), None) = (account, state.spent) {
                    account.dispute(&mut state.events);
                    state.spent = Some(Spent::default());
                }
            })
            .await
    }
}
