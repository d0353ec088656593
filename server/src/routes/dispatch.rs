//! Which operation stands behind which endpoint.

use std::{future::ready, pin::Pin};

use super::table::Endpoint;
use crate::{
    admin,
    context::Context,
    development::{clock, demo, demo_page, seed},
    http::{Call, Problem, Reply},
    operations, pages, service,
};

/// What an operation answers, or why it refuses. On the heap, and no larger than its own operation: one future of all of them would be as
/// large as the largest, and each request would move and free that.
pub(super) type Answer<'a> = Pin<Box<dyn Future<Output = Result<Reply, Problem>> + Send + 'a>>;

/// Runs the operation.
pub(super) fn dispatch(context: &Context, endpoint: Endpoint, call: Call) -> Answer<'_> {
    match endpoint {
        Endpoint::VerifyCode => Box::pin(operations::verify_code::run(context, call)),
        Endpoint::OpenSession => Box::pin(operations::open_session::run(context, call)),
        Endpoint::RefreshToken => Box::pin(operations::refresh_token::run(context, call)),
        Endpoint::VerifyBackupCode => Box::pin(operations::verify_backup_code::run(context, call)),
        Endpoint::SessionStatus => Box::pin(operations::session_status::run(context, call)),
        Endpoint::ExchangeCode => Box::pin(operations::exchange_code::run(context, call)),
        Endpoint::SpendToken => Box::pin(operations::spend_token::run(context, call)),
        Endpoint::LinkAccount => Box::pin(operations::link_account::run(context, call)),
        Endpoint::StartSetup => Box::pin(operations::start_setup::run(context, call)),
        Endpoint::ConfirmSetup => Box::pin(operations::confirm_setup::run(context, call)),
        Endpoint::ListDevices => Box::pin(operations::list_devices::run(context, call)),
        Endpoint::Activity => Box::pin(operations::activity::run(context, call)),
        Endpoint::ChangeDevice => Box::pin(operations::change_device::run(context, call)),
        Endpoint::RemoveDevice => Box::pin(operations::remove_device::run(context, call)),
        Endpoint::Disable => Box::pin(operations::disable::run(context, call)),
        Endpoint::BackupCodeStatus => Box::pin(operations::backup_code_status::run(context, call)),
        Endpoint::RenewBackupCodes => Box::pin(operations::renew_backup_codes::run(context, call)),
        Endpoint::ListTrustedBrowsers => Box::pin(operations::list_trusted_browsers::run(context, call)),
        Endpoint::ForgetBrowser => Box::pin(operations::forget_browser::run(context, call)),
        Endpoint::SignOut => Box::pin(operations::sign_out::run(context, call)),
        Endpoint::RevokeToken => Box::pin(operations::revoke_token::run(context, call)),
        Endpoint::IntrospectToken => Box::pin(operations::introspect_token::run(context, call)),
        Endpoint::UserStatus => Box::pin(operations::user_status::run(context, call)),
        Endpoint::UnlockUser => Box::pin(operations::unlock_user::run(context, call)),
        Endpoint::EraseUser => Box::pin(operations::erase_user::run(context, call)),
        Endpoint::ImportUsers => Box::pin(operations::import_users::run(context, call)),
        Endpoint::ShowApp => Box::pin(operations::show_app::run(context, call)),
        Endpoint::ChangeApp => Box::pin(operations::change_app::run(context, call)),
        Endpoint::Authorize => Box::pin(async move { operations::authorize::run(context, &call).await }),
        Endpoint::AuthorizeForEnvoy => {
            Box::pin(async move { operations::authorize::for_envoy(context, &call).await })
        }
        Endpoint::Jwks => Box::pin(ready(Ok(service::jwks(context)))),
        Endpoint::OpenApi => Box::pin(ready(service::openapi(context))),
        Endpoint::Health | Endpoint::Live => Box::pin(ready(Ok(service::health()))),
        Endpoint::Ready => Box::pin(ready(service::ready(context))),
        Endpoint::Metrics => Box::pin(ready(Ok(service::metrics(context)))),
        Endpoint::Page(page) => Box::pin(async move { Ok(pages::show(context, page, call).await) }),
        Endpoint::Form(form) => Box::pin(async move { Ok(pages::submit(context, form, call).await) }),
        Endpoint::Admin => Box::pin(async move { Ok(admin::answer(context, call).await) }),
        Endpoint::Asset => {
            Box::pin(ready(pages::asset(call.name.as_deref().unwrap_or_default(), &call.headers)))
        }
        Endpoint::Theme => Box::pin(async move { pages::themed(context, &call).await }),
        Endpoint::Demo | Endpoint::DemoForm => {
            Box::pin(async move { Ok(demo_page::answer(context, call).await) })
        }
        Endpoint::DemoSignIn => Box::pin(demo::sign_in(context, call)),
        Endpoint::ReadClock => Box::pin(ready(Ok(clock::read(context)))),
        Endpoint::AdvanceClock => Box::pin(clock::advance(context, call)),
        Endpoint::Seed => Box::pin(seed::run(context, call)),
    }
}
