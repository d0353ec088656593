//! The demo application, which plays a host: its API key, kept in a file, and its own login.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rand_core::CryptoRng;
use sidekey_core::id::{AccountName, AppId, UserId};
use sidekey_core::policy::Enforcement;
use sidekey_core::time::UnixTime;

use crate::apps::{ApiKey, AppError, Apps, Edit, NewApp, ReturnUrl, ReturnUrls};
use crate::audit::{Actor, Origin};
use crate::context::Context;
use crate::http::{Call, Code, Problem, Reply};
use crate::operations::open_session::Login;
use crate::operations::opened::Opened;
use crate::operations::opening;

/// The id of the demo application.
pub const DEMO_APP: &str = "demo";

/// The file in the data folder that keeps its API key between starts.
pub const KEY_FILE: &str = "development-api-key";

/// Why the demo application is not there.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// It cannot be made.
    #[error(transparent)]
    App(#[from] AppError),
    /// Its key cannot be kept.
    #[error("cannot keep the demo application's key in `{KEY_FILE}`: {0}")]
    File(#[from] io::Error),
}

/// The demo application's API key: the one in the file if it is valid, else a new one.
///
/// # Errors
/// When the store or the file fails.
pub async fn key(
    apps: &Apps,
    data: &Path,
    now: UnixTime,
    rng: &mut (impl CryptoRng + Send),
) -> Result<ApiKey, DemoError> {
    let origin = Origin::local(Actor::Server, now);
    let id = AppId::parse(DEMO_APP).map_err(|_| AppError::InvalidName)?;
    let path = data.join(KEY_FILE);
    match fs::read_to_string(&path) {
        Ok(text) => {
            let key = ApiKey::from_text(text.trim().to_owned());
            let app = apps.authenticate(key.expose()).await.map_err(AppError::from)?;
            if app.is_some_and(|app| app.id == id) {
                return Ok(key);
            }
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error.into()),
    }
    let key = if apps.find(&id).await.map_err(AppError::from)?.is_some() {
        apps.create_key(&id, &origin, rng).await?
    } else {
        let enforcement = Enforcement::Required { grace_seconds: 0 };
        let name = "Demo application".to_owned();
        apps.create(
            NewApp { id: Some(id), name, enforcement, return_urls: ReturnUrls::default() },
            &origin,
            rng,
        )
        .await?
        .1
    };
    write_private(&path, key.api_key.expose())?;
    Ok(key.api_key)
}

/// Names the demo application's own page as the one that it is led back to. It moves with the server's address.
///
/// # Errors
/// The store fails.
pub async fn lead_back(context: &Context) -> Result<(), AppError> {
    let id = AppId::parse(DEMO_APP).map_err(|_| AppError::InvalidName)?;
    let own = ReturnUrl::parse(&own_page(context)).into_iter().collect();
    let edit = Edit::ReturnUrls(ReturnUrls::new(own).unwrap_or_default());
    let origin = Origin::local(Actor::Server, context.clock.now());
    context.apps.change(&id, &[edit], &origin).await.map(drop)
}

fn own_page(context: &Context) -> String {
    context.url("/demo/")
}

/// Replaces a file in one step, so that a crash leaves the old or the new one.
pub(super) fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let part = path.with_extension("part");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part)?;
    writeln!(file, "{text}")?;
    file.sync_all()?;
    fs::rename(&part, path)
}

/// `POST /demo/sign-in/`: the demo application's own login, which lets everybody in, and then the session that it opens.
///
/// # Errors
/// A malformed body, or the store is not available.
pub async fn sign_in(context: &Context, mut call: Call) -> Result<Reply, Problem> {
    let fields = call.fields().await?;
    let user = fields.required("user_id", UserId::parse)?;
    let account_name = fields.optional("account_name", AccountName::parse)?;
    let remember_me = fields.optional_flag("remember_me")?.unwrap_or(false);
    let account_name = account_name.or_else(|| AccountName::parse(user.as_str()).ok());
    Ok(Reply::ok(&open(context, &call, user, account_name, remember_me).await?))
}

/// Opens a session for a user of the demo application.
///
/// # Errors
/// The store is not available.
pub(super) async fn open(
    context: &Context,
    call: &Call,
    user: UserId,
    account_name: Option<AccountName>,
    remember_me: bool,
) -> Result<Opened, Problem> {
    let id = AppId::parse(DEMO_APP).map_err(|_| Problem::new(Code::Internal))?;
    let app = context.apps.find(&id).await?.ok_or_else(|| Problem::new(Code::NotFound))?;
    let login = Login {
        account_name,
        user,
        ip_address: call.origin().ip_address,
        user_agent: call.origin().user_agent.clone(),
        remember_me,
        is_admin: false,
        return_url: ReturnUrl::parse(&own_page(context)).ok(),
        trusted_browser: None,
        action: None,
    };
    opening::for_host(context, &app, login, None, &call.origin_as(Actor::App)).await
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::context::testing::context;
    use crate::entropy::Entropy;

    #[tokio::test]
    async fn the_key_stays_the_same_until_its_file_is_lost() {
        let now = UnixTime::from_secs(1_790_000_000);
        let (folder, context) = context(now, &[]).await;
        let (apps, data) = (&context.apps, folder.path());
        let first = key(apps, data, now, &mut Entropy).await.unwrap();
        let mode = fs::metadata(data.join(KEY_FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let again = key(apps, data, now, &mut Entropy).await.unwrap();
        assert_eq!(first.expose(), again.expose());

        fs::write(data.join(KEY_FILE), "sidekey_nonsense").unwrap();
        let other = key(apps, data, now, &mut Entropy).await.unwrap();
        assert_ne!(first.expose(), other.expose());
        let app = apps.authenticate(other.expose()).await.unwrap().unwrap();
        assert_eq!(app.enforcement, Enforcement::Required { grace_seconds: 0 });
        assert_eq!(apps.list().await.unwrap().len(), 1);
    }
}
