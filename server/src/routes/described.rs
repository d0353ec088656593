//! How each endpoint for programs describes itself.

use super::table::{Endpoint, TABLE};
use crate::{
    openapi::{Operation, Route},
    operations, service,
};

/// Every operation of the document with its route.
pub(crate) fn described() -> Vec<(Route, Operation)> {
    let operations = TABLE.iter().filter_map(|(method, pattern, access, endpoint)| {
        Some((Route { method: method.clone(), pattern, access: *access }, describe(*endpoint)?))
    });
    operations.collect()
}

/// What the document says of it. Nothing of pages, nor of what exists in development mode only; Envoy's endpoint is that of the other
/// proxies under every method.
fn describe(endpoint: Endpoint) -> Option<Operation> {
    Some(match endpoint {
        Endpoint::VerifyCode => operations::verify_code::described(),
        Endpoint::OpenSession => operations::open_session::described(),
        Endpoint::RefreshToken => operations::refresh_token::described(),
        Endpoint::VerifyBackupCode => operations::verify_backup_code::described(),
        Endpoint::SessionStatus => operations::session_status::described(),
        Endpoint::ExchangeCode => operations::exchange_code::described(),
        Endpoint::SpendToken => operations::spend_token::described(),
        Endpoint::LinkAccount => operations::link_account::described(),
        Endpoint::StartSetup => operations::start_setup::described(),
        Endpoint::ConfirmSetup => operations::confirm_setup::described(),
        Endpoint::ListDevices => operations::list_devices::described(),
        Endpoint::Activity => operations::activity::described(),
        Endpoint::ChangeDevice => operations::change_device::described(),
        Endpoint::RemoveDevice => operations::remove_device::described(),
        Endpoint::Disable => operations::disable::described(),
        Endpoint::BackupCodeStatus => operations::backup_code_status::described(),
        Endpoint::RenewBackupCodes => operations::renew_backup_codes::described(),
        Endpoint::ListTrustedBrowsers => operations::list_trusted_browsers::described(),
        Endpoint::ForgetBrowser => operations::forget_browser::described(),
        Endpoint::SignOut => operations::sign_out::described(),
        Endpoint::RevokeToken => operations::revoke_token::described(),
        Endpoint::IntrospectToken => operations::introspect_token::described(),
        Endpoint::UserStatus => operations::user_status::described(),
        Endpoint::UnlockUser => operations::unlock_user::described(),
        Endpoint::EraseUser => operations::erase_user::described(),
        Endpoint::ImportUsers => operations::import_users::described(),
        Endpoint::ShowApp => operations::show_app::described(),
        Endpoint::ChangeApp => operations::change_app::described(),
        Endpoint::Authorize => operations::authorize::described(),
        Endpoint::Jwks => service::jwks_described(),
        Endpoint::OpenApi => service::openapi_described(),
        Endpoint::Health => service::health_described("health"),
        Endpoint::Live => service::health_described("live"),
        Endpoint::Ready => service::ready_described(),
        Endpoint::Metrics => service::metrics_described(),
        Endpoint::AuthorizeForEnvoy
        | Endpoint::Page(_)
        | Endpoint::Form(_)
        | Endpoint::Admin
        | Endpoint::Asset
        | Endpoint::Theme
        | Endpoint::Demo
        | Endpoint::DemoForm
        | Endpoint::DemoSignIn
        | Endpoint::ReadClock
        | Endpoint::AdvanceClock
        | Endpoint::Seed => return None,
    })
}
