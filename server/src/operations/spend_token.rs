//! `POST /2fa/token/spend/`: the application goes ahead with an action that its user has approved.

use serde::Serialize;
use serde_json::json;
use sidekey_core::{
    action::{Action, Approval},
    id::{ActionName, Resource, UserId},
};
use utoipa::ToSchema;

use super::open_session::read_action;
use crate::{
    caller::{Host, hash, host},
    context::Context,
    http::{Call, Code, Problem, Reply, rfc3339},
    openapi::{Operation, Tag, schemas},
    store::Subject,
    token::approval,
};

/// The token of an approval, and what it is to be for.
#[derive(Debug, ToSchema)]
pub struct SpendActionToken {
    /// What the approval gave.
    pub action_token: String,
    /// The action that the application is about to do.
    #[schema(pattern = "^[A-Za-z0-9._:-]{1,64}$")]
    pub action: String,
    /// What it is done to.
    #[schema(min_length = 1, max_length = 255)]
    pub resource: Option<String>,
}

/// An approval that was used just now.
#[derive(Serialize, ToSchema)]
struct SpentActionToken {
    #[schema(value_type = String)]
    action: ActionName,
    /// The approval's own id.
    jti: String,
    /// For people.
    message: &'static str,
    #[schema(value_type = Option<String>, required)]
    resource: Option<Resource>,
    #[schema(value_type = schemas::UserId)]
    user_id: UserId,
    /// When the second factor was given.
    #[schema(format = DateTime)]
    verified_at: String,
}

pub(crate) fn described() -> Operation {
    Operation::new("spendActionToken", Tag::Sessions, "Spend the token of an approved action")
        .telling(
            "The application names the action that it is about to do. The token counts once, within 60 s, for exactly the action \
             and resource that were approved; a refusal spends nothing. A request whose answer was lost may be repeated within 10 s with the same \
             `Idempotency-Key`.",
        )
        .takes_idempotency_key()
        .takes::<SpendActionToken>(json!({
            "action_token": "eyJhbGciOiJF…",
            "action": "transfer",
            "resource": "invoice 4711",
        }))
        .answers::<SpentActionToken>(
            "It was approved, and nobody has spent it before.",
            json!({
                "message": "Approved.",
                "user_id": "42",
                "action": "transfer",
                "resource": "invoice 4711",
                "jti": "27e9b5406ae5260fadff99dc54b95538",
                "verified_at": "2026-11-22T18:59:00Z",
            }),
        )
        .refuses(&[Code::InvalidCode])
}

/// Spends the token of an action, once: the application names the action that it is about to do, and it must be the approved one.
/// The same request again, see `Idempotency-Key` in docs/api.md, is the same spending.
///
/// # Errors
/// No valid API key, a malformed body, or a token that is not of this app, is over, was spent, or is for another action.
pub async fn run(context: &Context, mut call: Call) -> Result<Reply, Problem> {
    let host = host(context, &call).await?;
    let retry_key = call.idempotency_key()?.map(|key| hash(key.as_str()));
    let fields = call.fields().await?;
    let token = fields.text("action_token")?;
    let wanted = read_action(&fields)?.ok_or_else(|| Problem::field("action", "is required"))?;
    let approval = spend(context, &host, token, &wanted, retry_key).await?;
    let Approval { account, id, action, second_factor } = approval;
    Ok(Reply::ok(&SpentActionToken {
        message: "Approved.",
        user_id: account.user,
        action: action.name,
        resource: action.resource,
        jti: id.to_string(),
        verified_at: rfc3339(second_factor.at),
    }))
}

async fn spend(
    context: &Context,
    host: &Host,
    token: &str,
    wanted: &Action,
    retry_key: Option<[u8; 32]>,
) -> Result<Approval, Problem> {
    let now = context.clock.now();
    let approval = approval::read(context, &host.app.id, token, now);
    let approval = approval.ok_or_else(|| Problem::new(Code::InvalidCode))?;
    let subject =
        Subject::account(approval.account.clone()).with_spent_token(approval.id, approval.ends_at());
    context
        .store
        .transact(subject, &host.origin, now, |state| {
            let (account, events) = (state.account.as_ref(), &mut state.events);
            approval.spend(account, wanted, &mut state.spent, retry_key, now, events)
        })
        .await??;
    Ok(approval)
}

#[cfg(test)]
mod tests {
    use sidekey_core::{
        account::Account,
        action::HANDED_OUT,
        device::Answer,
        id::{AccountId, ActionName, LoginId, UserId},
        login::{Method, SecondFactor},
        policy::Enforcement,
        time::{Step, UnixTime},
        totp::code_at,
    };

    use super::*;
    use crate::{
        apps::{NewApp, ReturnUrls},
        audit::{Actor, Origin},
        context::testing::context,
        entropy::Entropy,
        store::{State, sweep::sweep},
    };

    const NOW: UnixTime = UnixTime::from_secs(1_790_000_000);

    /// A user of a new application, whose device has been confirmed.
    async fn with_a_device(context: &Context, origin: &Origin) -> AccountId {
        let new = NewApp {
            id: None,
            name: "Shop".to_owned(),
            enforcement: Enforcement::Optional,
            return_urls: ReturnUrls::default(),
        };
        let (app, _) = context.apps.create(new, origin, &mut Entropy).await.unwrap();
        let id = AccountId { app: app.id.clone(), user: UserId::parse("42").unwrap() };
        let mut account = Account::new(id.clone(), NOW, &mut Entropy);
        let login = LoginId::generate(&mut Entropy);
        let device = account.start_setup(login, None, false, NOW, &mut Entropy, &mut Vec::new()).unwrap();
        let code = code_at(&device.secret, device.params, Step::at(NOW, device.params.period));
        let answer = Answer::of(sidekey_core::code::Code::parse(&code).unwrap());
        account.confirm(device.id, &answer, None, NOW, &mut Vec::new()).unwrap();
        let store = |state: &mut State| state.account = Some(account.clone());
        context.store.transact(Subject::account(id.clone()), origin, NOW, store).await.unwrap();
        id
    }

    #[tokio::test]
    async fn an_approval_counts_once_also_by_a_token_that_was_made_after_the_first_was_spent() {
        let (_folder, context) = context(NOW, &[]).await;
        let origin = Origin::local(Actor::App, NOW);
        let account = with_a_device(&context, &origin).await;
        let app = context.apps.find(&account.app).await.unwrap().unwrap();
        let host = Host { app, origin };
        let action = Action { name: ActionName::parse("transfer").unwrap(), resource: None };
        let second_factor = SecondFactor { method: Method::Otp, at: NOW };
        let id = LoginId::generate(&mut Entropy);
        let approval = Approval { account, id, action: action.clone(), second_factor };
        let spend = async |token: &str| spend(&context, &host, token, &action, None).await;

        let first = approval::issue(&context, &approval, NOW).unwrap();
        spend(&first).await.unwrap();
        context.clock.advance(HANDED_OUT - 1);
        assert!(approval.is_handed_out(context.clock.now()));
        let last = approval::issue(&context, &approval, context.clock.now()).unwrap();
        for later in [2, HANDED_OUT - 3] {
            context.clock.advance(later);
            sweep(&context.store, context.clock.now()).await.unwrap();
            assert!(approval::read(&context, &host.app.id, &last, context.clock.now()).is_some());
            assert_eq!(spend(&last).await.unwrap_err().code(), Code::InvalidCode, "{later}");
        }
        assert!(sweep(&context.store, approval.ends_at()).await.unwrap() > 0, "nothing is remembered longer");
        assert!(approval::read(&context, &host.app.id, &last, approval.ends_at()).is_none());
    }
}
