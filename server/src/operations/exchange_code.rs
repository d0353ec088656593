//! `POST /2fa/token/`: the application turns the one-time code that came with a browser into the tokens of the login, or into that of the
//! action that was approved.

use serde_json::json;
use sidekey_core::{id::AccountName, refresh::Family};
use utoipa::ToSchema;

use super::shown::{Answered, Approved, Person, Verified, approved};
use crate::{
    caller::{Host, hash, host},
    context::Context,
    http::{Call, Code, Problem, Reply},
    openapi::{Operation, Tag},
    store::Subject,
    token::{
        approval,
        numbered::{Numbered, Purpose},
        pair::issue,
    },
};

/// The one-time code that a browser brought.
#[derive(Debug, ToSchema)]
pub struct ExchangeCode {
    /// What came with the browser, as `code` in the query of `return_url`.
    pub code: String,
}

pub(crate) fn described() -> Operation {
    Operation::new("exchangeCode", Tag::Sessions, "Exchange a one-time code for tokens")
        .telling(
            "The browser of somebody who succeeded on a hosted page brings `code` along to `return_url`. It counts for 60 s and \
             once; the second use ends the login. Where an action was approved it gives the `action_token`, again and again for \
             60 s: that counts once.",
        )
        .takes_idempotency_key()
        .takes::<ExchangeCode>(json!({ "code": "J-m1QGrlJgvQ0gAAAAAAAAAB…" }))
        .answers::<Answered>(
            "The tokens of the login.",
            json!({
                "message": "Verified.",
                "access_token": "eyJhbGciOiJF….eyJpc3MiOiJo….1OuJ50Tr…",
                "refresh_token": "J-m1QGrlJg-t…",
                "token_type": "Bearer",
                "expires_in": 900,
                "user": { "account_name": "ann@example.com", "id": "42" },
                "persistent_session": false,
            }),
        )
        .refuses(&[Code::InvalidCode])
}

/// Gives the tokens of the login, once. The second use of a code ends the login, unless it is the same request again: see
/// `Idempotency-Key` in docs/api.md.
///
/// # Errors
/// No valid API key, a malformed body, or a code that is not the app's, is over, or was used.
pub async fn run(context: &Context, mut call: Call) -> Result<Reply, Problem> {
    let host = host(context, &call).await?;
    let retry_key = call.idempotency_key()?.map(|key| hash(key.as_str()));
    let fields = call.fields().await?;
    if let Some(session) = approval::read_code(&context.pepper, &host.app.id, fields.text("code")?) {
        return Ok(Reply::ok(&approved_in(context, &session).await?));
    }
    let (family, account_name) = exchange(context, &host, fields.text("code")?, retry_key).await?;
    let person = Person::new(&family.account.user, account_name.as_ref());
    let tokens = issue(context, &family, context.clock.now())?;
    Ok(Reply::ok(&Verified::of_login(&family, person, tokens)))
}

/// The token of the action that was approved in the session with this hash of its id. It may be asked for again within the minute: it is
/// the same approval, which counts once.
async fn approved_in(context: &Context, session: &[u8; 32]) -> Result<Approved, Problem> {
    let refused = || Problem::new(Code::InvalidCode);
    let approval = context.store.session(session).await?.and_then(|session| session.approval());
    let approval = approval.filter(|approval| approval.is_handed_out(context.clock.now()));
    approved(context, &approval.ok_or_else(refused)?, None)
}

/// Uses a code: the login that it leads to, and what people see of the account. `retry_key` is the hash of the request's idempotency key.
///
/// # Errors
/// It is not the app's, is over, or was used.
pub async fn exchange(
    context: &Context,
    host: &Host,
    code: &str,
    retry_key: Option<[u8; 32]>,
) -> Result<(Family, Option<AccountName>), Problem> {
    let refused = || Problem::new(Code::InvalidCode);
    let code = Numbered::read(&context.pepper, Purpose::ReturnCode, code);
    let code = code.filter(|code| code.app == host.app.id).ok_or_else(refused)?;
    let family = context.store.family(&code.app, code.login).await?.ok_or_else(refused)?;
    let now = context.clock.now();
    let subject = Subject::account(family.account).with_login(code.login);
    context
        .store
        .transact(subject, &host.origin, now, |state| {
            let account = state.account.as_ref();
            let family = state.family.as_mut().ok_or_else(refused)?;
            family
                .redeem_return_code(account, code.number, retry_key, now, &mut state.events)
                .map_err(|_| refused())?;
            Ok::<_, Problem>((family.clone(), account.and_then(|account| account.name.clone())))
        })
        .await?
}
