//! `POST /2fa/setup/`: a pending device, its secret and the QR code. Safe to repeat.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Serialize;
use sidekey_core::{
    device::PendingDevice,
    id::{AccountId, AccountName, DeviceName, UserId},
    key_uri::KeyUri,
    qr::{DEFAULT_SCALE, QrMatrix},
};

use crate::{
    caller::{Enrolling, enroller},
    context::Context,
    entropy::Entropy,
    http::{Call, Code, Problem, Reply},
};

#[derive(Serialize)]
struct Answer {
    device_id: String,
    secret: String,
    provisioning_uri: String,
    qr_code_base64: String,
    qr_code_svg: String,
    expires_in: u64,
}

/// Starts a setup, or shows the one that this login has started.
///
/// # Errors
/// No valid credential, a malformed body, no fresh second factor where a device is active, too many devices.
pub async fn run(context: &Context, mut call: Call) -> Result<Reply, Problem> {
    let enroller = enroller(context, &call).await?;
    let fields = call.optional_fields().await?;
    let name = fields.optional("device_name", DeviceName::parse)?;
    let restart = fields.optional_flag("restart")?.unwrap_or(false);
    context.count_account(enroller.account())?;
    let now = context.clock.now();
    let (account_id, login) = (enroller.account(), enroller.login());
    let (device, account_name) = enroller
        .transact(context, now, |Enrolling { account, events, .. }| {
            let device = account.start_setup(login, name.clone(), restart, now, &mut Entropy, events)?;
            Ok((device, account.name.clone()))
        })
        .await?;
    let label = label(account_name.as_ref(), &account_id.user);
    let remaining = device.expires_at().since(now);
    Ok(Reply::ok(&show(context, account_id, device, label, remaining)?))
}

/// What authenticators call the account: its name, else the user's id, and a word where both are blank.
fn label<'a>(name: Option<&'a AccountName>, user: &'a UserId) -> &'a str {
    let texts = [name.map(AccountName::as_str), Some(user.as_str())];
    texts.into_iter().flatten().map(str::trim).find(|text| !text.is_empty()).unwrap_or("account")
}

fn show(
    context: &Context,
    account: &AccountId,
    device: PendingDevice,
    label: &str,
    expires_in: u64,
) -> Result<Answer, Problem> {
    let PendingDevice { id, secret, params, .. } = device;
    let base32 = secret.to_base32().to_string();
    let uri = KeyUri::new(Some(&context.settings.issuer), label, secret, params)
        .map(|uri| uri.to_string().to_string())
        .map_err(|error| broken(account, &error))?;
    let qr = QrMatrix::encode(&uri).map_err(|error| broken(account, &error))?;
    Ok(Answer {
        device_id: id.to_string(),
        secret: base32,
        provisioning_uri: uri,
        qr_code_base64: format!("data:image/png;base64,{}", STANDARD.encode(qr.to_png(DEFAULT_SCALE))),
        qr_code_svg: qr.to_svg(None),
        expires_in,
    })
}

fn broken(account: &AccountId, error: &dyn std::fmt::Display) -> Problem {
    tracing::error!(app = %account.app, %error, "a setup cannot be shown");
    Problem::new(Code::Internal)
}
