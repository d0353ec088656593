//! The page that connects an authenticator, for newcomers and for people who are signed in.

use askama::Template;
use sidekey_core::id::{DeviceId, DeviceName};

use super::{
    Form, Frame,
    refusal::{Asked, Failed, Failure, is_of_a_form},
    view::Shown,
};
use crate::{
    caller::Enroller,
    context::Context,
    http::{Code, Problem},
    operations::{
        Via,
        confirm_setup::{self, Confirmed, Confirming},
        start_setup::{self, Setup},
    },
};

#[derive(Template)]
#[template(path = "setup.html")]
struct SetupPage {
    frame: Frame,
    /// Where the form is posted to, below the base path.
    action: &'static str,
    account: String,
    /// The secret in groups of four.
    groups: Vec<String>,
    uri: String,
    apple_uri: String,
    svg: String,
    device: String,
    name: String,
    digits: u8,
    period: u64,
    failed: Failed,
    needs_next_code: bool,
    /// Wrong codes so far: after two, the clock may be the reason.
    wrong: u8,
    /// The device that the new one replaces, by its id; else empty.
    replaces: String,
    /// Whether there is somewhere to go back to.
    is_more: bool,
}

/// What a posted form has led to.
pub(super) enum Posted {
    /// The device is active.
    Confirmed(Confirmed),
    /// The same page again.
    Shown(Shown),
}

/// What the two ways to the page differ in.
pub(super) struct Way<'a> {
    pub(super) frame: Frame,
    pub(super) action: &'static str,
    pub(super) enroller: &'a Enroller,
    /// The device that the new one replaces.
    pub(super) replaces: Option<DeviceId>,
}

/// The page with the setup of this login: the same secret each time, until it is over.
///
/// # Errors
/// Whoever asks may not set up a device, or there are too many.
pub(super) async fn show(context: &Context, way: Way<'_>) -> Result<Shown, Problem> {
    let setup = start_setup::start(context, way.enroller, None, false).await?;
    page(context, way, &setup, Failed::default(), 0).await
}

/// Judges the code, or makes a new secret where that is asked for.
///
/// # Errors
/// Whoever asks may not set up a device, or there are too many.
pub(super) async fn post(context: &Context, way: Way<'_>, form: &Form) -> Result<Posted, Problem> {
    let restart = form.text("action") == "restart";
    let typed = Some(form.text("name")).filter(|name| !name.is_empty());
    let name = typed.map(DeviceName::parse).transpose();
    // The name is kept with the pending device, whatever becomes of the code.
    let kept = name.as_ref().ok().cloned().flatten();
    let setup = start_setup::start(context, way.enroller, kept, restart).await?;
    if restart {
        return page(context, way, &setup, Failed::default(), 0).await.map(Posted::Shown);
    }
    let wrong = form.text("wrong").parse().unwrap_or(0_u8);
    let device = DeviceId::parse(form.text("device"));
    let (asked, refused) = match (name, form.answer().answer()) {
        (Err(error), _) => (Asked::Name, Problem::field("name", &error.to_string())),
        (_, Err(problem)) => (Asked::Code, problem),
        // The one that was shown is gone: its time was over, and another secret has taken its place.
        _ if device != Some(setup.device) => (Asked::Code, Problem::new(Code::SetupExpired)),
        (_, Ok(answer)) => {
            let confirming = Confirming { device, answer, replaces: way.replaces, via: Via::Page };
            match confirm_setup::confirm(context, way.enroller, &confirming).await {
                Ok(confirmed) => return Ok(Posted::Confirmed(confirmed)),
                Err(problem) => (Asked::Code, problem),
            }
        }
    };
    if !is_of_a_form(refused.code()) && refused.code() != Code::SetupExpired {
        return Err(refused);
    }
    let wrong = wrong.saturating_add(u8::from(refused.code() == Code::InvalidCode));
    let failure = Failure::of(&way.frame.text, "", asked, &refused);
    page(context, way, &setup, Failed(Some(failure)), wrong).await.map(Posted::Shown)
}

async fn page(
    context: &Context,
    way: Way<'_>,
    setup: &Setup,
    failed: Failed,
    wrong: u8,
) -> Result<Shown, Problem> {
    let account_id = way.enroller.account();
    // Asked after the code was judged, because that may have been one wrong code too many.
    let account = context.store.account(account_id).await?;
    let chars: Vec<char> = setup.secret.chars().collect();
    // Apple's app takes the domain for the issuer, which ties the entry to our pages.
    let domain = context.public_url.host();
    let page = SetupPage {
        action: way.action,
        account: setup.account_name.as_ref().map_or_else(|| account_id.user.to_string(), ToString::to_string),
        groups: chars.chunks(4).map(|group| group.iter().collect()).collect(),
        uri: setup.uri.to_string(),
        apple_uri: apple(&setup.uri, domain),
        svg: setup.qr.to_svg(None).replacen("<svg ", "<svg aria-hidden=\"true\" focusable=\"false\" ", 1),
        device: setup.device.to_string(),
        name: setup.name.to_string(),
        digits: setup.params.digits.count(),
        period: setup.params.period.seconds(),
        needs_next_code: account.is_some_and(|account| account.needs_next_code(context.clock.now())),
        failed,
        wrong,
        replaces: way.replaces.map(|id| id.to_string()).unwrap_or_default(),
        is_more: matches!(way.enroller, Enroller::User(_)),
        frame: way.frame,
    };
    Ok(page.failed.page(&page))
}

/// The same key URI for Apple's password app, which is asked for by a scheme of its own and wants the domain as issuer.
fn apple(uri: &str, domain: &str) -> String {
    let rest = uri.strip_prefix("otpauth://").unwrap_or(uri);
    let Some((before, after)) = rest.split_once("issuer=") else { return format!("apple-otpauth://{rest}") };
    let after = after.split_once('&').map(|(_, after)| format!("&{after}")).unwrap_or_default();
    format!("apple-otpauth://{before}issuer={domain}{after}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn apple_wants_the_domain_as_issuer() {
        let uri =
            "otpauth://totp/Fish:ann@example.com?secret=ABCD&issuer=Fish&algorithm=SHA1&digits=6&period=30";
        assert_eq!(
            apple(uri, "login.example"),
            "apple-otpauth://totp/Fish:ann@example.com?secret=ABCD&issuer=login.example&algorithm=SHA1&digits=6&period=30"
        );
    }
}
