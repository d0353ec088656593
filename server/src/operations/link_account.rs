//! `POST /2fa/account/link/`: the address that leads a user of the application to their account page.

use serde::Serialize;
use serde_json::json;
use sidekey_core::{id::LoginId, ticket::LIFETIME};
use utoipa::ToSchema;

use crate::{
    audit::Origin,
    caller::{Host, Opener, User, opener},
    context::Context,
    http::{Call, Code, Problem, Reply},
    openapi::{Operation, Tag},
    pages::address,
    store::Subject,
    token::{
        numbered::{Numbered, Purpose},
        session_link::PARAMETER,
    },
};

/// Whose account page it is to be.
#[derive(Debug, ToSchema)]
pub struct LinkAccount {
    /// The login, as its tokens name it. Required with an API key, ignored with an access token.
    pub sid: Option<String>,
}

/// An address that counts once.
#[derive(Serialize, ToSchema)]
struct AccountLink {
    /// The hosted account page with a link that counts once.
    #[schema(format = "uri")]
    account_url: String,
    /// Seconds that the link is good for.
    expires_in: u64,
}

pub(crate) fn described() -> Operation {
    Operation::new("linkAccount", Tag::Devices, "A link to the account page")
        .telling(
            "Opens the hosted account page of one login, once, within 60 s. With an access token that of the user's own login; \
             with an API key that of the login named by `sid`.",
        )
        .may_take::<LinkAccount>(json!({ "sid": "27e9b5406ae5260fadff99dc54b95538" }))
        .answers::<AccountLink>(
            "The address.",
            json!({
                "account_url": "http://127.0.0.1:8080/2fa/account/?link=J-m1QGrlJgvQ0gAAAAAAAAAB…",
                "expires_in": 60,
            }),
        )
        .refuses(&[Code::SessionNotFound, Code::RateLimited])
}

/// Gives the address. It opens the page of that one login, once, within a minute.
///
/// # Errors
/// No valid credential; with an API key, no such login of the app; a login that has ended; a user who asks too often.
pub async fn run(context: &Context, mut call: Call) -> Result<Reply, Problem> {
    let account_url = match opener(context, &call).await? {
        Opener::User(User { account, login, origin, .. }) => {
            // A user has one login here, whatever else the body names.
            call.optional_fields().await?.optional_text("sid")?;
            context.count_address(origin.ip_address)?;
            context.count_account(&account)?;
            let subject = Subject::account(account).with_login(login);
            link(context, subject, &origin, Problem::credentials_invalid).await?
        }
        Opener::Host(Host { app, origin }) => {
            let fields = call.fields().await?;
            let not_found = || Problem::new(Code::SessionNotFound);
            let login = LoginId::parse(fields.text("sid")?).ok_or_else(not_found)?;
            let family = context.store.family(&app.id, login).await?.ok_or_else(not_found)?;
            link(context, Subject::account(family.account).with_login(login), &origin, not_found).await?
        }
    };
    Ok(Reply::ok(&AccountLink { account_url, expires_in: LIFETIME }))
}

/// The address for the login that the subject names; `refused` where it has ended.
///
/// # Errors
/// The login has ended.
pub async fn link(
    context: &Context,
    subject: Subject,
    origin: &Origin,
    refused: impl Fn() -> Problem + Send + Sync,
) -> Result<String, Problem> {
    let now = context.clock.now();
    let link = context
        .store
        .transact(subject, origin, now, |state| {
            let known = state.account.as_ref().zip(state.family.as_mut());
            let known = known.filter(|(account, family)| family.opens_pages(account, now));
            let (account, family) = known.ok_or_else(&refused)?;
            let (app, login) = (account.id.app.clone(), family.login);
            Ok::<_, Problem>(Numbered { app, login, number: family.give_account_link(now) })
        })
        .await??;
    let link = link.write(&context.pepper, Purpose::AccountLink);
    Ok(format!("{}?{PARAMETER}={link}", context.url(address::ACCOUNT)))
}
