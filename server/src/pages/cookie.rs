//! The cookies of the pages.
//!
//! `__Host-` (RFC 6265bis §4.1.3.2) ties them to this host and to TLS. A public URL without TLS, which only development has, takes them
//! without the prefix and without `Secure`, because browsers would drop them.

use std::borrow::Cow;

use data_encoding::HEXLOWER;
use http::{HeaderMap, header};
use sidekey_core::{id::AccountId, trusted_browser};

use crate::context::Context;

/// How a name begins that ties a cookie to this host and to TLS.
const HOST: &str = "__Host-";
/// How the names begin under which browsers keep the trust of an account.
const BROWSER: &str = "sidekey-browser-";
/// Accounts whose trust one browser keeps: the cookies of many would fill the headers of every request.
pub(super) const MAX_BROWSERS: usize = 8;

/// What a cookie is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cookie {
    /// The session that this browser was handed: a challenge or an enrolment.
    Session,
    /// The login of the account page.
    Login,
    /// The browser's trust: the token that spares it the next challenge of one account, which the mark in the name tells from others.
    Browser([u8; 8]),
    /// The link of a mail by which an owner says that something was not their doing.
    Dispute,
    /// The language that the application asked for.
    Language,
    /// What the account page says is done, once.
    Done,
    /// The demo application's own sign-in.
    Demo,
    /// An operator's session in the admin area.
    Admin,
    /// What the admin area says is done, once.
    AdminDone,
}

impl Cookie {
    /// That of the trust of an account. The mark is a MAC, so that no name tells who has been here.
    pub(super) fn browser_of(context: &Context, account: &AccountId) -> Self {
        let mac = context
            .pepper
            .mac("browser-cookie", &[account.app.as_str().as_bytes(), account.user.as_str().as_bytes()]);
        // 64 bits: the accounts of one browser are few.
        let mut mark = [0; 8];
        mark.iter_mut().zip(mac).for_each(|(to, from)| *to = from);
        Self::Browser(mark)
    }

    /// Those of the trust of any account that stand in a request, in its order: browsers send the oldest first (RFC 6265 §5.4).
    pub(super) fn browsers(context: &Context, headers: &HeaderMap) -> Vec<Self> {
        let host = if context.public_url.is_https() { HOST } else { "" };
        let prefix = format!("{host}{BROWSER}");
        let mut found = Vec::new();
        for (name, _) in pairs(headers) {
            let mark = name.strip_prefix(&prefix).and_then(|mark| HEXLOWER.decode(mark.as_bytes()).ok());
            let cookie = mark.and_then(|mark| mark.try_into().ok()).map(Self::Browser);
            if let Some(cookie) = cookie.filter(|cookie| !found.contains(cookie)) {
                found.push(cookie);
            }
        }
        found
    }

    fn name(self) -> Cow<'static, str> {
        match self {
            Self::Session => "sidekey-session".into(),
            Self::Login => "sidekey-login".into(),
            Self::Browser(mark) => format!("{BROWSER}{}", HEXLOWER.encode(&mark)).into(),
            Self::Dispute => "sidekey-dispute".into(),
            Self::Language => "sidekey-language".into(),
            Self::Done => "sidekey-done".into(),
            Self::Demo => "sidekey-demo".into(),
            Self::Admin => "sidekey-admin".into(),
            Self::AdminDone => "sidekey-admin-done".into(),
        }
    }

    fn full_name(self, context: &Context) -> String {
        format!("{}{}", self.prefix(context), self.name())
    }

    /// Its value in a request. Of several cookies of one name none counts: somebody has added one.
    pub(crate) fn read(self, context: &Context, headers: &HeaderMap) -> Option<String> {
        let name = self.full_name(context);
        let mut values = pairs(headers).filter(|(key, _)| *key == name).map(|(_, value)| value);
        values.next().filter(|value| !value.is_empty() && values.next().is_none()).map(str::to_owned)
    }

    /// How long a browser keeps it, in seconds; without a number, until it closes.
    const fn max_age(self) -> Option<u64> {
        match self {
            Self::Browser(_) => Some(trusted_browser::LIFETIME),
            Self::Done | Self::AdminDone => Some(60),
            Self::Session | Self::Login | Self::Dispute | Self::Language | Self::Demo | Self::Admin => None,
        }
    }

    /// Whether no other site's link brings it along: nobody comes to the admin area from elsewhere.
    const fn same_site(self) -> &'static str {
        match self {
            Self::Admin | Self::AdminDone => "Strict",
            _ => "Lax",
        }
    }

    /// The header that sets it. No value of ours needs quoting: they are base64url or a language tag.
    pub(crate) fn set(self, context: &Context, value: &str) -> String {
        self.header(context, value, self.max_age())
    }

    /// The header that takes it away.
    pub(crate) fn clear(self, context: &Context) -> String {
        self.header(context, "", Some(0))
    }

    fn header(self, context: &Context, value: &str, max_age: Option<u64>) -> String {
        let secure = if context.public_url.is_https() { "; Secure" } else { "" };
        let max_age = max_age.map(|seconds| format!("; Max-Age={seconds}")).unwrap_or_default();
        let (name, path, same_site) = (self.full_name(context), self.path(context), self.same_site());
        format!("{name}={value}; Path={path}; HttpOnly; SameSite={same_site}{secure}{max_age}")
    }

    /// An application that has its pages on this host must not be handed the cookie of an operator.
    fn path(self, context: &Context) -> String {
        match self {
            Self::Admin | Self::AdminDone => format!("{}/admin", context.settings.base_path),
            _ => "/".to_owned(),
        }
    }

    fn prefix(self, context: &Context) -> &'static str {
        match self {
            _ if !context.public_url.is_https() => "",
            // `__Host-` demands the path `/`.
            Self::Admin | Self::AdminDone => "__Secure-",
            _ => HOST,
        }
    }
}

/// The names and values of all cookies of a request.
fn pairs(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='))
}

#[cfg(test)]
mod tests {
    use sidekey_core::{
        id::{AppId, UserId},
        time::UnixTime,
    };

    use super::*;
    use crate::context::testing::context;

    const NOW: UnixTime = UnixTime::from_secs(1_790_000_000);

    #[tokio::test]
    async fn cookies_are_tied_to_the_host_and_to_tls() {
        let (_folder, context) = context(NOW, &["--public-url", "https://login.example"]).await;
        assert_eq!(
            Cookie::Session.set(&context, "abc"),
            "__Host-sidekey-session=abc; Path=/; HttpOnly; SameSite=Lax; Secure"
        );
        assert_eq!(
            Cookie::Admin.set(&context, "abc"),
            "__Secure-sidekey-admin=abc; Path=/admin; HttpOnly; SameSite=Strict; Secure"
        );
        assert_eq!(
            Cookie::Login.clear(&context),
            "__Host-sidekey-login=; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=0"
        );
        assert_eq!(
            Cookie::Browser([7; 8]).set(&context, "abc"),
            "__Host-sidekey-browser-0707070707070707=abc; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=2592000"
        );
    }

    #[tokio::test]
    async fn the_trust_of_each_account_has_a_cookie_of_its_own() {
        let (_folder, context) = context(NOW, &[]).await;
        let account = |app: &str, user: &str| AccountId {
            app: AppId::parse(app).unwrap(),
            user: UserId::parse(user).unwrap(),
        };
        let of = |app, user| Cookie::browser_of(&context, &account(app, user));
        let (ann, bob, other) = (of("shop", "ann"), of("shop", "bob"), of("bank", "ann"));
        assert!(ann != bob && ann != other && ann == of("shop", "ann"));
        let line = format!("{}=1; a=b; sidekey-browser-xy=2; {}=3; {}=4", bob.name(), ann.name(), bob.name());
        let headers = [(header::COOKIE, line.parse().unwrap())].into_iter().collect();
        assert_eq!(Cookie::browsers(&context, &headers), [bob, ann]);
    }

    #[tokio::test]
    async fn a_cookie_that_stands_twice_does_not_count() {
        let (_folder, context) = context(NOW, &[]).await;
        let read = |lines: &[&str]| {
            let headers = lines.iter().map(|line| (header::COOKIE, line.parse().unwrap())).collect();
            Cookie::Session.read(&context, &headers)
        };
        assert_eq!(read(&["a=b; sidekey-session=x"]).as_deref(), Some("x"));
        assert_eq!(read(&["a=b", "sidekey-session=x"]).as_deref(), Some("x"));
        assert_eq!(read(&["sidekey-session=x; sidekey-session=y"]), None);
        assert_eq!(read(&["sidekey-session=; xsidekey-session=y"]), None);
    }
}
