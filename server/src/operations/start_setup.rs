//! `POST /2fa/setup/`: a pending device, its secret and the QR code. Safe to repeat.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Serialize;
use serde_json::json;
use sidekey_core::{
    device::PendingDevice,
    id::{AccountId, AccountName, DeviceId, DeviceName, UserId},
    key_uri::KeyUri,
    qr::{DEFAULT_SCALE, QrMatrix},
    time::UnixTime,
    totp::TotpParams,
};
use utoipa::ToSchema;
use zeroize::Zeroizing;

use crate::{
    caller::{Enroller, Enrolling, enroller},
    context::Context,
    entropy::Entropy,
    http::{Call, Code, Problem, Reply},
    openapi::{Operation, Tag, schemas},
};

/// What the new device is to be.
#[derive(Debug, ToSchema)]
pub struct SetupStart {
    /// Left out: `Authenticator`, `Authenticator 2`, …
    pub device_name: Option<schemas::DeviceName>,
    /// Makes a new secret where the same login would be shown its pending one again.
    #[schema(default = false)]
    pub restart: Option<bool>,
}

/// A pending device, as its owner sees it.
#[derive(Serialize, ToSchema)]
#[schema(as = Setup)]
struct Answer {
    #[schema(value_type = schemas::DeviceId)]
    device_id: String,
    /// Base32 without padding, 160 bits.
    secret: String,
    /// The key URI, `otpauth://totp/…`.
    #[schema(format = "uri")]
    provisioning_uri: String,
    /// A PNG of the key URI as a data URI.
    qr_code_base64: String,
    /// The same as SVG.
    qr_code_svg: String,
    /// Seconds that the pending device lives on: 600 at first.
    #[schema(maximum = 600)]
    expires_in: u64,
}

pub(crate) fn described() -> Operation {
    let uri = "otpauth://totp/Sidekey:ann@example.com?secret=IJF2CPACWUFDH4UJA5V7FPG6NBVIXVPW&issuer=Sidekey\
               &algorithm=SHA1&digits=6&period=30";
    let svg =
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 57 57" shape-rendering="crispEdges"><…"#;
    Operation::new("startSetup", Tag::Enrolment, "Start a setup, or show it again")
        .telling(
            "Asking again with the same login within 10 minutes shows the same secret. A user with an active device needs a \
             second factor that is at most 600 s old. After 2FA was turned off, of the tokens from before only those of the \
             login that turned it off count here and at confirm; the others get `AUTH_REQUIRED`. The body may be left out. An \
             account has at most 7 active devices (`VALIDATION_ERROR` beyond).",
        )
        .may_take::<SetupStart>(json!({ "device_name": "Phone" }))
        .answers::<Answer>(
            "The pending device.",
            json!({
                "device_id": "11293aa031761f07451eb24bc8d556fe",
                "secret": "IJF2CPACWUFDH4UJA5V7FPG6NBVIXVPW",
                "provisioning_uri": uri,
                "qr_code_base64": "data:image/png;base64,iVBORw0KGgoAAAANSU…",
                "qr_code_svg": svg,
                "expires_in": 600,
            }),
        )
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
    let setup = start(context, &enroller, name, restart).await?;
    Ok(Reply::ok(&setup.show()))
}

/// A pending device, ready to be shown.
pub struct Setup {
    /// The device's id.
    pub device: DeviceId,
    /// The device's name.
    pub name: DeviceName,
    /// What its authenticator shows.
    pub params: TotpParams,
    /// The secret in base32.
    pub secret: Zeroizing<String>,
    /// The key URI.
    pub uri: Zeroizing<String>,
    /// The key URI as a QR code.
    pub qr: QrMatrix,
    /// Seconds that are left.
    pub expires_in: u64,
    /// What people see of the account.
    pub account_name: Option<AccountName>,
}

/// Starts a setup, or goes on with the one that this login has started.
///
/// # Errors
/// No fresh second factor where a device is active, too many devices, or a credential that counts no more.
pub async fn start(
    context: &Context,
    enroller: &Enroller,
    name: Option<DeviceName>,
    restart: bool,
) -> Result<Setup, Problem> {
    context.count_account(enroller.account())?;
    let now = context.clock.now();
    let (account_id, login) = (enroller.account(), enroller.login());
    let (device, account_name) = enroller
        .transact(context, now, |Enrolling { account, events, .. }| {
            let device = account.start_setup(login, name.clone(), restart, now, &mut Entropy, events)?;
            Ok((device, account.name.clone()))
        })
        .await?;
    Setup::of(account_id, account_name, device, &context.settings.issuer, now)
}

/// What authenticators call the account: its name, else the user's id, and a word where both are blank.
fn label<'a>(name: Option<&'a AccountName>, user: &'a UserId) -> &'a str {
    let texts = [name.map(AccountName::as_str), Some(user.as_str())];
    texts.into_iter().flatten().map(str::trim).find(|text| !text.is_empty()).unwrap_or("account")
}

impl Setup {
    /// A pending device with all that is shown of it.
    ///
    /// # Errors
    /// It cannot be shown: a defect of ours.
    pub(super) fn of(
        account_id: &AccountId,
        account_name: Option<AccountName>,
        device: PendingDevice,
        issuer: &str,
        now: UnixTime,
    ) -> Result<Self, Problem> {
        let label = label(account_name.as_ref(), &account_id.user);
        let expires_in = device.expires_at().since(now);
        let PendingDevice { id, name, secret, params, .. } = device;
        let base32 = secret.to_base32();
        let uri = KeyUri::new(Some(issuer), label, secret, params)
            .map(|uri| uri.to_string())
            .map_err(|error| broken(account_id, &error))?;
        let qr = QrMatrix::encode(&uri).map_err(|error| broken(account_id, &error))?;
        Ok(Self { device: id, name, params, secret: base32, uri, qr, expires_in, account_name })
    }

    fn show(&self) -> Answer {
        let png = STANDARD.encode(self.qr.to_png(DEFAULT_SCALE));
        Answer {
            device_id: self.device.to_string(),
            secret: self.secret.to_string(),
            provisioning_uri: self.uri.to_string(),
            qr_code_base64: format!("data:image/png;base64,{png}"),
            qr_code_svg: self.qr.to_svg(None),
            expires_in: self.expires_in,
        }
    }
}

fn broken(account: &AccountId, error: &dyn std::fmt::Display) -> Problem {
    tracing::error!(app = %account.app, %error, "a setup cannot be shown");
    Problem::new(Code::Internal)
}
