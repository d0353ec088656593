//! The whole table: what can be asked for, under which method and path, and who may ask.

use http::Method;

use crate::pages::{Page, Submission};

/// What can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    VerifyCode,
    OpenSession,
    RefreshToken,
    VerifyBackupCode,
    SessionStatus,
    ExchangeCode,
    SpendToken,
    LinkAccount,
    StartSetup,
    ConfirmSetup,
    ListDevices,
    Activity,
    ChangeDevice,
    RemoveDevice,
    Disable,
    BackupCodeStatus,
    RenewBackupCodes,
    ListTrustedBrowsers,
    ForgetBrowser,
    SignOut,
    RevokeToken,
    IntrospectToken,
    UserStatus,
    UnlockUser,
    EraseUser,
    ImportUsers,
    ShowApp,
    ChangeApp,
    Authorize,
    AuthorizeForEnvoy,
    Jwks,
    OpenApi,
    Health,
    Live,
    Ready,
    Metrics,
    Page(Page),
    Form(Submission),
    Admin,
    Asset,
    Theme,
    Demo,
    DemoForm,
    DemoSignIn,
    ReadClock,
    AdvanceClock,
    Seed,
}

impl Endpoint {
    /// Whether a browser shows the answer to somebody, so that a refusal is a page too.
    pub(super) fn is_for_people(self) -> bool {
        matches!(self, Self::Page(_) | Self::Form(_) | Self::Admin | Self::Demo | Self::DemoForm)
    }
}

/// Who is listened to. The operation itself demands the caller that it needs; what this decides is where an address's bucket
/// counts and what exists in development mode only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Whoever asks, as often as they like: it costs little, changes nothing, and shows nobody more than they have seen.
    Everybody,
    /// The same for a page that somebody may come to by a link: who comes by one is counted by address.
    Visitor,
    /// Whoever asks, and what counts stands in the body or in a cookie: each address has a bucket.
    Anonymous,
    /// A host application with its API key.
    App,
    /// A user with an access token: each address has a bucket for what changes something.
    User,
    /// A host application, or a user, for whom the operation counts.
    AppOrUser,
    /// A user, or a newcomer with an enrolment token: as for users.
    Enroller,
    /// A proxy about the request of somebody else: it costs little, and comes as often as requests do.
    Proxy,
    /// Whoever asks, in development mode; elsewhere there is nothing here.
    Development,
}

impl Access {
    /// Whether a request takes a token from its address's bucket. A link uses something up, or tries to.
    pub(crate) fn is_counted(self, method: &Method, has_link: bool) -> bool {
        match self {
            Self::Anonymous => true,
            Self::Visitor => has_link,
            Self::User | Self::Enroller => !method.is_safe(),
            Self::Everybody | Self::App | Self::AppOrUser | Self::Proxy | Self::Development => false,
        }
    }
}

/// One line of the table: method, path below the base path without its final slash, who may ask, and what is asked for.
pub(super) type Row = (Method, &'static str, Access, Endpoint);

/// In a path, `{}` is one segment, `**` is the rest. The busiest come first.
pub(super) const TABLE: &[Row] = &[
    (Method::GET, "/2fa/authz", Access::Proxy, Endpoint::Authorize),
    (Method::POST, "/2fa/verify", Access::Anonymous, Endpoint::VerifyCode),
    (Method::POST, "/2fa/sessions", Access::AppOrUser, Endpoint::OpenSession),
    (Method::POST, "/2fa/token/refresh", Access::Anonymous, Endpoint::RefreshToken),
    (Method::POST, "/2fa/verify/backup", Access::Anonymous, Endpoint::VerifyBackupCode),
    (Method::GET, "/2fa/sessions/{}", Access::App, Endpoint::SessionStatus),
    (Method::POST, "/2fa/token", Access::App, Endpoint::ExchangeCode),
    (Method::POST, "/2fa/token/spend", Access::App, Endpoint::SpendToken),
    (Method::POST, "/2fa/account/link", Access::AppOrUser, Endpoint::LinkAccount),
    (Method::POST, "/2fa/setup", Access::Enroller, Endpoint::StartSetup),
    (Method::POST, "/2fa/setup/confirm", Access::Enroller, Endpoint::ConfirmSetup),
    (Method::GET, "/2fa/devices", Access::User, Endpoint::ListDevices),
    (Method::GET, "/2fa/activity", Access::User, Endpoint::Activity),
    (Method::PATCH, "/2fa/devices/{}", Access::User, Endpoint::ChangeDevice),
    (Method::DELETE, "/2fa/devices/{}", Access::User, Endpoint::RemoveDevice),
    (Method::POST, "/2fa/disable", Access::User, Endpoint::Disable),
    (Method::GET, "/2fa/backup-codes", Access::User, Endpoint::BackupCodeStatus),
    (Method::POST, "/2fa/backup-codes/regenerate", Access::User, Endpoint::RenewBackupCodes),
    (Method::GET, "/2fa/trusted-browsers", Access::User, Endpoint::ListTrustedBrowsers),
    (Method::DELETE, "/2fa/trusted-browsers/{}", Access::User, Endpoint::ForgetBrowser),
    (Method::POST, "/2fa/sign-out", Access::User, Endpoint::SignOut),
    (Method::POST, "/2fa/token/revoke", Access::Anonymous, Endpoint::RevokeToken),
    (Method::POST, "/2fa/token/introspect", Access::App, Endpoint::IntrospectToken),
    (Method::GET, "/2fa/users/{}", Access::App, Endpoint::UserStatus),
    (Method::POST, "/2fa/users/{}/unlock", Access::App, Endpoint::UnlockUser),
    (Method::DELETE, "/2fa/users/{}", Access::App, Endpoint::EraseUser),
    (Method::POST, "/2fa/users/import", Access::App, Endpoint::ImportUsers),
    (Method::GET, "/2fa/app", Access::App, Endpoint::ShowApp),
    (Method::PATCH, "/2fa/app", Access::App, Endpoint::ChangeApp),
    (Method::GET, "/.well-known/jwks.json", Access::Everybody, Endpoint::Jwks),
    (Method::GET, "/openapi.json", Access::Everybody, Endpoint::OpenApi),
    (Method::GET, "/healthz", Access::Everybody, Endpoint::Health),
    (Method::GET, "/livez", Access::Everybody, Endpoint::Live),
    (Method::GET, "/readyz", Access::Everybody, Endpoint::Ready),
    (Method::GET, "/metrics", Access::Everybody, Endpoint::Metrics),
    (Method::GET, "/2fa/authz/envoy", Access::Proxy, Endpoint::AuthorizeForEnvoy),
    (Method::GET, "/2fa/authz/envoy/**", Access::Proxy, Endpoint::AuthorizeForEnvoy),
    (Method::POST, "/2fa/authz/envoy", Access::Proxy, Endpoint::AuthorizeForEnvoy),
    (Method::POST, "/2fa/authz/envoy/**", Access::Proxy, Endpoint::AuthorizeForEnvoy),
    (Method::PUT, "/2fa/authz/envoy", Access::Proxy, Endpoint::AuthorizeForEnvoy),
    (Method::PUT, "/2fa/authz/envoy/**", Access::Proxy, Endpoint::AuthorizeForEnvoy),
    (Method::PATCH, "/2fa/authz/envoy", Access::Proxy, Endpoint::AuthorizeForEnvoy),
    (Method::PATCH, "/2fa/authz/envoy/**", Access::Proxy, Endpoint::AuthorizeForEnvoy),
    (Method::DELETE, "/2fa/authz/envoy", Access::Proxy, Endpoint::AuthorizeForEnvoy),
    (Method::DELETE, "/2fa/authz/envoy/**", Access::Proxy, Endpoint::AuthorizeForEnvoy),
    (Method::OPTIONS, "/2fa/authz/envoy", Access::Proxy, Endpoint::AuthorizeForEnvoy),
    (Method::OPTIONS, "/2fa/authz/envoy/**", Access::Proxy, Endpoint::AuthorizeForEnvoy),
    (Method::GET, "/2fa/challenge", Access::Visitor, Endpoint::Page(Page::Challenge)),
    (Method::POST, "/2fa/challenge", Access::Anonymous, Endpoint::Form(Submission::Challenge)),
    (Method::GET, "/2fa/enroll", Access::Anonymous, Endpoint::Page(Page::Enroll)),
    (Method::POST, "/2fa/enroll", Access::Anonymous, Endpoint::Form(Submission::Enroll)),
    (Method::GET, "/2fa/account", Access::Visitor, Endpoint::Page(Page::Account)),
    (Method::POST, "/2fa/account", Access::Anonymous, Endpoint::Form(Submission::Account)),
    (Method::GET, "/2fa/account/device", Access::Anonymous, Endpoint::Page(Page::AddDevice)),
    (Method::POST, "/2fa/account/device", Access::Anonymous, Endpoint::Form(Submission::AddDevice)),
    (Method::GET, "/2fa/step-up", Access::Everybody, Endpoint::Page(Page::StepUp)),
    (Method::POST, "/2fa/step-up", Access::Anonymous, Endpoint::Form(Submission::StepUp)),
    (Method::GET, "/2fa/dispute", Access::Visitor, Endpoint::Page(Page::Dispute)),
    (Method::POST, "/2fa/dispute", Access::Anonymous, Endpoint::Form(Submission::Dispute)),
    (
        Method::POST,
        "/2fa/account/backup-codes",
        Access::Anonymous,
        Endpoint::Form(Submission::BackupCodesFile),
    ),
    (Method::GET, "/admin", Access::Everybody, Endpoint::Admin),
    (Method::GET, "/admin/**", Access::Everybody, Endpoint::Admin),
    (Method::POST, "/admin", Access::Anonymous, Endpoint::Admin),
    (Method::POST, "/admin/**", Access::Anonymous, Endpoint::Admin),
    (Method::GET, "/2fa/assets/**", Access::Everybody, Endpoint::Asset),
    (Method::GET, "/2fa/theme/{}", Access::Everybody, Endpoint::Theme),
    (Method::GET, "/demo", Access::Development, Endpoint::Demo),
    (Method::POST, "/demo", Access::Development, Endpoint::DemoForm),
    (Method::POST, "/demo/sign-in", Access::Development, Endpoint::DemoSignIn),
    (Method::GET, "/development/clock", Access::Development, Endpoint::ReadClock),
    (Method::POST, "/development/clock", Access::Development, Endpoint::AdvanceClock),
    (Method::POST, "/development/seed", Access::Development, Endpoint::Seed),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::Value;

    use super::*;

    /// Whether a route is for programs, and so described by the `OpenAPI` document. That of Envoy is the one of `/2fa/authz`
    /// under every method.
    fn is_described(access: Access, endpoint: Endpoint) -> bool {
        let is_a_page = matches!(
            endpoint,
            Endpoint::Page(_)
                | Endpoint::Form(_)
                | Endpoint::Admin
                | Endpoint::Asset
                | Endpoint::Theme
                | Endpoint::AuthorizeForEnvoy
        );
        access != Access::Development && !is_a_page
    }

    /// Who may ask, in the words of the document.
    fn schemes(access: Access) -> Vec<&'static str> {
        match access {
            Access::Everybody | Access::Visitor | Access::Anonymous | Access::Development => vec![],
            Access::App => vec!["api_key"],
            Access::User => vec!["access_token"],
            Access::AppOrUser => vec!["access_token", "api_key"],
            Access::Enroller => vec!["access_token", "enrollment_token"],
            Access::Proxy => vec!["access_token", "page_login"],
        }
    }

    /// Method and pattern of every operation of the document, with who may ask.
    fn described(document: &Value) -> BTreeMap<(String, String), Vec<String>> {
        let mut found = BTreeMap::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            let segments = path.trim_end_matches('/').split('/');
            let segments = segments.map(|part| if part.starts_with('{') { "{}" } else { part });
            let pattern = segments.collect::<Vec<_>>().join("/");
            for (method, operation) in
                item.as_object().unwrap().iter().filter(|(name, _)| *name != "parameters")
            {
                let ways = operation["security"].as_array().unwrap().iter();
                let mut schemes: Vec<String> =
                    ways.flat_map(|way| way.as_object().unwrap().keys().cloned()).collect();
                schemes.sort();
                found.insert((method.to_ascii_uppercase(), pattern.clone()), schemes);
            }
        }
        found
    }

    #[test]
    fn the_openapi_document_describes_these_routes_and_no_others() {
        let document: Value = serde_json::from_str(include_str!("../../../docs/openapi.json")).unwrap();
        let table: BTreeMap<_, _> = TABLE
            .iter()
            .filter(|(_, _, access, endpoint)| is_described(*access, *endpoint))
            .map(|(method, pattern, access, _)| {
                let schemes = schemes(*access).into_iter().map(str::to_owned).collect::<Vec<_>>();
                ((method.to_string(), (*pattern).to_owned()), schemes)
            })
            .collect();
        assert_eq!(described(&document), table);
    }

    #[test]
    fn no_route_stands_twice() {
        for (index, (method, pattern, ..)) in TABLE.iter().enumerate() {
            let twin = TABLE.iter().skip(index + 1).find(|(m, p, ..)| m == method && p == pattern);
            assert!(twin.is_none(), "{method} {pattern}");
        }
    }

    #[test]
    fn whatever_changes_something_is_for_somebody_or_counted_by_address() {
        for (method, pattern, access, _) in TABLE {
            let reads = *method == Method::GET;
            assert!(reads || *access != Access::Everybody, "{method} {pattern}");
        }
    }
}
