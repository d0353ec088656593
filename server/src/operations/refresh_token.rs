//! `POST /2fa/token/refresh/`: a refresh token for the next pair of tokens.

use crate::{
    caller::hash,
    context::Context,
    http::{Call, Problem, Reply},
    store::Subject,
    token::pair::{issue, read_refresh_token},
};

/// Spends a refresh token. The use of a spent one ends the login, unless it is the same request again: see `Idempotency-Key` in
/// docs/api.md.
///
/// # Errors
/// A malformed body, a token that does not count, or a second factor that is missing by now.
pub async fn run(context: &Context, mut call: Call) -> Result<Reply, Problem> {
    let retry_key = call.idempotency_key()?.map(|key| hash(key.as_str()));
    let fields = call.fields().await?;
    let text = fields.text("refresh_token")?;
    let token = read_refresh_token(&context.pepper, text).ok_or_else(Problem::credentials_invalid)?;
    let family =
        context.store.family(&token.app, token.login).await?.ok_or_else(Problem::credentials_invalid)?;
    if family.number() == token.number {
        // A spent one always goes on: whoever empties the bucket must not keep a theft from being noticed.
        context.count_account(&family.account)?;
    }
    let app = context.apps.find(&token.app).await?;
    let now = context.clock.now();
    let subject = Subject::account(family.account).with_login(token.login);
    let family = context
        .store
        .transact(subject, call.origin(), now, |state| {
            let family = state.family.as_mut().ok_or_else(Problem::credentials_invalid)?;
            if let (Some(app), Some(account)) = (&app, &mut state.account)
                && family.number() == token.number
                && family.must_enroll(account, app.enforcement, now)
            {
                return Err(Problem::second_factor_required(None));
            }
            family.rotate(state.account.as_ref(), token.number, retry_key, now, &mut state.events)?;
            Ok::<_, Problem>(family.clone())
        })
        .await??;
    Ok(Reply::ok(&issue(context, &family, now)?))
}
