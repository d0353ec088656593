//! The cookies of the pages.
//!
//! `__Host-` (RFC 6265bis §4.1.3.2) ties them to this host and to TLS. A public URL without TLS, which only development has, takes them
//! without the prefix and without `Secure`, because browsers would drop them.

use http::{HeaderMap, header};
use sidekey_core::trusted_browser;

use crate::context::Context;

/// What a cookie is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cookie {
    /// The session that this browser was handed: a challenge or an enrolment.
    Session,
    /// The login of the account page.
    Login,
    /// The browser's trust: the token that spares it the next challenge.
    Browser,
    /// The language that the application asked for.
    Language,
    /// What the account page says is done, once.
    Done,
    /// The demo application's own sign-in.
    Demo,
}

impl Cookie {
    const fn name(self) -> &'static str {
        match self {
            Self::Session => "sidekey-session",
            Self::Login => "sidekey-login",
            Self::Browser => "sidekey-browser",
            Self::Language => "sidekey-language",
            Self::Done => "sidekey-done",
            Self::Demo => "sidekey-demo",
        }
    }

    fn full_name(self, context: &Context) -> String {
        let prefix = if context.public_url.is_https() { "__Host-" } else { "" };
        format!("{prefix}{}", self.name())
    }

    /// Its value in a request. Of several cookies of one name none counts: somebody has added one.
    pub(crate) fn read(self, context: &Context, headers: &HeaderMap) -> Option<String> {
        let name = self.full_name(context);
        let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
        let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
        let mut values = pairs.filter(|(key, _)| *key == name).map(|(_, value)| value);
        values.next().filter(|value| !value.is_empty() && values.next().is_none()).map(str::to_owned)
    }

    /// How long a browser keeps it, in seconds; without a number, until it closes.
    const fn max_age(self) -> Option<u64> {
        match self {
            Self::Browser => Some(trusted_browser::LIFETIME),
            Self::Done => Some(60),
            Self::Session | Self::Login | Self::Language | Self::Demo => None,
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
        format!("{}={value}; Path=/; HttpOnly; SameSite=Lax{secure}{max_age}", self.full_name(context))
    }
}

#[cfg(test)]
mod tests {
    use sidekey_core::time::UnixTime;

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
            Cookie::Login.clear(&context),
            "__Host-sidekey-login=; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=0"
        );
        assert_eq!(
            Cookie::Browser.set(&context, "abc"),
            "__Host-sidekey-browser=abc; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=2592000"
        );
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
