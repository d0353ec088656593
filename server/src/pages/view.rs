//! What all pages have in common: the frame of their templates, and the headers that they are answered with.

use askama::Template;
use http::{HeaderName, StatusCode, Uri, header};
use sidekey_core::id::AppId;

use super::{Visit, cookie::Cookie, locale::Text, theme::Theme};
use crate::{
    context::Context,
    http::{Code, Problem, Reply},
};

/// What every template knows.
pub(crate) struct Frame {
    /// The sentences.
    pub(crate) text: Text,
    /// The prefix of every path.
    pub(crate) base: String,
    /// What forms carry to prove that they are this browser's; empty on pages without any.
    pub(crate) csrf: String,
    /// When the page was made, in milliseconds since 1970, for scripts that show the server's time.
    pub(crate) now: u64,
    /// The application's look.
    pub(crate) theme: Theme,
    /// Whether this is the demo application, which everybody gets into.
    pub(crate) is_demo: bool,
}

impl Frame {
    /// The frame of a page of an application, or of none.
    ///
    /// # Errors
    /// The store is not available.
    pub(crate) async fn of(context: &Context, visit: &Visit, app: Option<&AppId>) -> Result<Self, Problem> {
        let app = match app {
            Some(id) => context.apps.find(id).await?,
            None => None,
        };
        let mut frame = Self::plain(context, visit);
        if let Some(app) = app {
            frame.text.app.clone_from(&app.name);
            frame.theme = Theme::of(&context.pepper, &app);
        }
        Ok(frame)
    }

    /// The frame of a page that belongs to no application.
    pub(crate) fn plain(context: &Context, visit: &Visit) -> Self {
        let issuer = context.settings.issuer.clone();
        Self {
            text: Text { locale: visit.locale, app: issuer.clone(), issuer },
            base: context.settings.base_path.to_string(),
            csrf: String::new(),
            now: context.clock.now().as_secs().saturating_mul(1000),
            theme: Theme::default(),
            is_demo: false,
        }
    }

    /// The same with the token that its forms carry.
    pub(crate) fn with_csrf(self, csrf: &str) -> Self {
        Self { csrf: csrf.to_owned(), ..self }
    }

    /// A sentence.
    pub(crate) fn t(&self, name: &str) -> String {
        self.text.t(name)
    }

    /// What the custom elements say, as JSON for a `<script>` of data.
    pub(crate) fn texts(&self) -> String {
        super::texts::json(&self.text)
    }

    /// A sentence with a value in it.
    pub(crate) fn with(&self, name: &str, key: &str, value: impl ToString) -> String {
        self.text.with(name, key, value)
    }
}

/// A page or a redirect on its way out.
pub(crate) struct Shown {
    reply: Reply,
    /// The origin, besides ours, that a form of the page may lead to.
    leads_to: Option<String>,
}

const HTML: &str = "text/html; charset=utf-8";

/// A page.
pub(crate) fn page(status: StatusCode, template: &impl Template) -> Shown {
    rendered(template, |html| Reply::of(status, HTML, html))
}

/// A page that tells of a refusal.
pub(crate) fn refusal(problem: &Problem, template: &impl Template) -> Shown {
    rendered(template, |html| problem.told_by(HTML, html))
}

fn rendered(template: &impl Template, answer: impl FnOnce(String) -> Reply) -> Shown {
    let reply = template.render().map_or_else(
        |error| {
            tracing::error!(%error, "a page cannot be rendered");
            Problem::new(Code::Internal).into_reply()
        },
        answer,
    );
    Shown { reply, leads_to: None }
}

/// Elsewhere, by GET (RFC 9110 §15.4.4).
pub(crate) fn redirect(to: &str) -> Shown {
    let reply = Reply::of(StatusCode::SEE_OTHER, HTML, "");
    Shown { reply: reply.with_header(header::LOCATION, to), leads_to: None }
}

/// A file to keep.
pub(crate) fn attachment(name: &'static str, text: String) -> Shown {
    let reply = Reply::of(StatusCode::OK, "text/plain; charset=utf-8", text);
    let disposition = format!("attachment; filename=\"{name}\"");
    Shown { reply: reply.with_header(header::CONTENT_DISPOSITION, &disposition), leads_to: None }
}

impl Shown {
    /// What is no page.
    pub(crate) fn of(reply: Reply) -> Self {
        Self { reply, leads_to: None }
    }

    /// With a cookie.
    pub(crate) fn with_cookie(self, cookie: &str) -> Self {
        Self { reply: self.reply.and_header(header::SET_COOKIE, cookie), ..self }
    }

    /// Its forms may end at this address: Chromium holds redirects after a form against `form-action` too.
    pub(crate) fn leading_to(self, url: Option<&str>) -> Self {
        Self { leads_to: url.and_then(origin_of), ..self }
    }

    /// As an answer, with the headers of a page.
    pub(crate) fn into_reply(self, context: &Context, visit: &Visit) -> Reply {
        let reply = self.secured();
        match visit.asked_for {
            Some(locale) => reply.and_header(header::SET_COOKIE, &Cookie::Language.set(context, &locale.tag)),
            None => reply,
        }
    }

    /// The same of a page that has one language.
    pub(crate) fn secured(self) -> Reply {
        let policy = policy(self.leads_to.as_deref());
        let headers: [(HeaderName, &str); 5] = [
            (header::CONTENT_SECURITY_POLICY, &policy),
            (header::REFERRER_POLICY, "no-referrer"),
            (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
            (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
            (
                HeaderName::from_static("permissions-policy"),
                "camera=(), microphone=(), geolocation=(), clipboard-write=(self)",
            ),
        ];
        headers.into_iter().fold(self.reply, |reply, (name, value)| reply.with_header(name, value))
    }
}

/// Nothing inline, nothing from elsewhere, nobody's frame (CSP 3; `wasm-unsafe-eval` lets the browser module compile).
fn policy(form_action: Option<&str>) -> String {
    let form_action = form_action.map(|origin| format!(" {origin}")).unwrap_or_default();
    format!(
        "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' data:; \
         connect-src 'self'; font-src 'self'; form-action 'self'{form_action}; base-uri 'none'; \
         frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )
}

/// The origin of an address, if it can stand in a policy: a host may hold characters that would end the directive.
fn origin_of(url: &str) -> Option<String> {
    let uri: Uri = url.parse().ok()?;
    let authority = uri.authority()?.as_str();
    let is_plain = authority.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:".contains(&byte));
    is_plain.then(|| format!("{}://{authority}", uri.scheme_str().unwrap_or_default()))
}

/// A page that says one thing and leads on.
#[derive(Template)]
#[template(path = "message.html")]
pub(crate) struct Message {
    pub(crate) frame: Frame,
    /// The heading.
    pub(crate) title: String,
    /// What is the matter.
    pub(crate) lead: String,
    /// Where to go, and what the link says.
    pub(crate) onward: Option<(String, String)>,
    /// A second way.
    pub(crate) other: Option<(String, String)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_origins_get_into_the_policy() {
        assert_eq!(origin_of("https://app.example/after?x=1").as_deref(), Some("https://app.example"));
        assert_eq!(origin_of("http://127.0.0.1:8080/").as_deref(), Some("http://127.0.0.1:8080"));
        for bad in [
            "/after",
            "http://[::1]:8080/",
            "https://a;script-src/x",
            "https://a,b/",
            "https://a'b/",
            "https://*/",
            "",
        ] {
            assert_eq!(origin_of(bad), None, "{bad}");
        }
        let policy = policy(Some("https://app.example"));
        assert!(policy.contains("form-action 'self' https://app.example; base-uri"));
        assert!(http::HeaderValue::from_str(&policy).is_ok());
    }
}
