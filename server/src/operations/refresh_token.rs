//! `POST /2fa/token/refresh/`: a refresh token for the next pair of tokens.

use serde_json::json;
use utoipa::ToSchema;

use crate::{
    caller::hash,
    context::Context,
    http::{Call, Code, Problem, Reply},
    openapi::{Operation, Tag},
    store::Subject,
    token::pair::{Tokens, issue, read_refresh_token},
};

/// A refresh token.
#[derive(Debug, ToSchema)]
pub struct Refresh {
    /// The living refresh token of the login.
    pub refresh_token: String,
}

pub(crate) fn described() -> Operation {
    Operation::new("refreshToken", Tag::Tokens, "Exchange a refresh token for the next pair")
        .telling(
            "The use of a spent refresh token revokes its whole family. A client that lost the answer may repeat the request \
             once within 10 s with the same `Idempotency-Key` and gets the same refresh token. A login without second factor \
             gets `2FA_REQUIRED`, and its token is not spent, once the user has a device or the enforcement demands one.",
        )
        .takes_idempotency_key()
        .takes::<Refresh>(json!({ "refresh_token": "J-m1QGrlJg-t…" }))
        .answers::<Tokens>(
            "The next pair.",
            json!({
                "access_token": "eyJhbGciOiJF….eyJpc3MiOiJo….u2uS138z…",
                "refresh_token": "J-m1QGrlJg-t…",
                "token_type": "Bearer",
                "expires_in": 900,
            }),
        )
        .refuses(&[Code::AuthRequired, Code::SecondFactorRequired])
}

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
    let now = context.clock.now();
    let account = context.store.sealed_account(&family.account).await?;
    // A spent one always goes on: whoever empties the bucket must not keep a theft from being noticed. One of a login that has ended
    // empties nothing: whoever was signed out must not keep the owner waiting.
    if family.number() == token.number && family.is_alive(account.as_ref(), now) {
        context.count_account(&family.account)?;
    }
    let app = context.apps.find(&token.app).await?;
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
