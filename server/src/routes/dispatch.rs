//! Which operation stands behind which endpoint.

use super::table::Endpoint;
use crate::{
    admin,
    context::Context,
    development::{clock, demo, demo_page, seed},
    http::{Call, Problem, Reply},
    operations, pages, service,
};

/// Runs the operation.
///
/// # Errors
/// Whatever it refuses.
pub(super) async fn dispatch(context: &Context, endpoint: Endpoint, call: Call) -> Result<Reply, Problem> {
    match endpoint {
        Endpoint::VerifyCode => operations::verify_code::run(context, call).await,
        Endpoint::OpenSession => operations::open_session::run(context, call).await,
        Endpoint::RefreshToken => operations::refresh_token::run(context, call).await,
        Endpoint::VerifyBackupCode => operations::verify_backup_code::run(context, call).await,
        Endpoint::SessionStatus => operations::session_status::run(context, call).await,
        Endpoint::ExchangeCode => operations::exchange_code::run(context, call).await,
        Endpoint::SpendToken => operations::spend_token::run(context, call).await,
        Endpoint::LinkAccount => operations::link_account::run(context, call).await,
        Endpoint::StartSetup => operations::start_setup::run(context, call).await,
        Endpoint::ConfirmSetup => operations::confirm_setup::run(context, call).await,
        Endpoint::ListDevices => operations::list_devices::run(context, call).await,
        Endpoint::Activity => operations::activity::run(context, call).await,
        Endpoint::ChangeDevice => operations::change_device::run(context, call).await,
        Endpoint::RemoveDevice => operations::remove_device::run(context, call).await,
        Endpoint::Disable => operations::disable::run(context, call).await,
        Endpoint::BackupCodeStatus => operations::backup_code_status::run(context, call).await,
        Endpoint::RenewBackupCodes => operations::renew_backup_codes::run(context, call).await,
        Endpoint::ListTrustedBrowsers => operations::list_trusted_browsers::run(context, call).await,
        Endpoint::ForgetBrowser => operations::forget_browser::run(context, call).await,
        Endpoint::SignOut => operations::sign_out::run(context, call).await,
        Endpoint::RevokeToken => operations::revoke_token::run(context, call).await,
        Endpoint::IntrospectToken => operations::introspect_token::run(context, call).await,
        Endpoint::UserStatus => operations::user_status::run(context, call).await,
        Endpoint::UnlockUser => operations::unlock_user::run(context, call).await,
        Endpoint::EraseUser => operations::erase_user::run(context, call).await,
        Endpoint::ImportUsers => operations::import_users::run(context, call).await,
        Endpoint::ShowApp => operations::show_app::run(context, call).await,
        Endpoint::ChangeApp => operations::change_app::run(context, call).await,
        Endpoint::Authorize => operations::authorize::run(context, &call).await,
        Endpoint::AuthorizeForEnvoy => operations::authorize::for_envoy(context, &call).await,
        Endpoint::Jwks => Ok(service::jwks(context)),
        Endpoint::OpenApi => service::openapi(context),
        Endpoint::Health | Endpoint::Live => Ok(service::health()),
        Endpoint::Ready => service::ready(context),
        Endpoint::Metrics => Ok(service::metrics(context)),
        Endpoint::Page(page) => Ok(pages::show(context, page, call).await),
        Endpoint::Form(form) => Ok(pages::submit(context, form, call).await),
        Endpoint::Admin => Ok(admin::answer(context, call).await),
        Endpoint::Asset => pages::asset(call.name.as_deref().unwrap_or_default(), &call.headers),
        Endpoint::Theme => pages::themed(context, &call).await,
        Endpoint::Demo | Endpoint::DemoForm => Ok(demo_page::answer(context, call).await),
        Endpoint::DemoSignIn => demo::sign_in(context, call).await,
        Endpoint::ReadClock => Ok(clock::read(context)),
        Endpoint::AdvanceClock => clock::advance(context, call).await,
        Endpoint::Seed => seed::run(context, call).await,
    }
}
