//! A browser without scripts: it keeps cookies, posts the forms of the page that it shows, and is told where it is led.

use std::collections::BTreeMap;

use crate::answer::Answer;
use crate::app::App;
use crate::server::Server;

/// One browser with its cookies.
#[derive(Clone)]
pub struct Browser<'s> {
    server: &'s Server,
    /// By name.
    pub cookies: BTreeMap<String, String>,
    /// The page that it shows.
    pub html: String,
}

impl<'s> Browser<'s> {
    /// A browser that has been nowhere yet.
    pub fn new(server: &'s Server) -> Self {
        Self { server, cookies: BTreeMap::new(), html: String::new() }
    }

    /// A browser on the account page, by the link that the application gets for the login of this access token.
    pub async fn on_account_page(app: &App<'s>, access: &str) -> Self {
        let link = app.server.post("/2fa/account/link/").bearer(access).await.ok();
        let mut browser = Self::new(app.server);
        browser.visit(&link.text("account_url")).await.ok();
        browser
    }

    /// Follows a link: a path, or an address of this server.
    pub async fn get(&mut self, url: &str) -> Answer {
        let call = self.server.get(self.path(url)).header("cookie", &self.cookie_line());
        self.took(call.header("sec-fetch-site", "none").await)
    }

    /// Follows a link and the redirects after it.
    pub async fn visit(&mut self, url: &str) -> Answer {
        let mut answer = self.get(url).await;
        for _ in 0..5 {
            if answer.status != 303 {
                return answer;
            }
            answer = self.get(answer.header("location")).await;
        }
        panic!("{answer}: led in circles")
    }

    /// Posts a form of the page that it shows: its token besides these fields.
    pub async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let csrf = self.token(path).unwrap_or_default();
        let mut fields = fields.to_vec();
        fields.push(("csrf", &csrf));
        self.post_as_it_is(path, &fields, &[("sec-fetch-site", "same-origin"), ("origin", "null")]).await
    }

    /// Posts exactly these fields with these headers.
    pub async fn post_as_it_is(
        &mut self,
        path: &str,
        fields: &[(&str, &str)],
        headers: &[(&str, &str)],
    ) -> Answer {
        let body: Vec<String> =
            fields.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        let call = self.server.post(path).body("application/x-www-form-urlencoded", body.join("&"));
        let call = call.header("cookie", &self.cookie_line());
        let call = headers.iter().fold(call, |call, (name, value)| call.header(name, value));
        self.took(call.await)
    }

    /// The token of the form of the page that is posted to this path.
    pub fn token(&self, path: &str) -> Option<String> {
        // Its query may stand in the form, too.
        let action = format!("action=\"{}", path.split('?').next().unwrap_or_default());
        let (_, form) = self.html.split_once(&action)?;
        hidden_in(form, "csrf")
    }

    /// The value of the first hidden field of this name on the page that it shows.
    pub fn hidden(&self, name: &str) -> Option<String> {
        hidden_in(&self.html, name)
    }

    /// The heading of the page that it shows.
    pub fn heading(&self) -> String {
        let inner =
            self.html.split("<h1").nth(1).and_then(|rest| rest.split("</h1>").next()).unwrap_or_default();
        inner.split_once('>').map(|(_, text)| text.to_owned()).unwrap_or_default()
    }

    fn path<'a>(&self, url: &'a str) -> &'a str {
        url.strip_prefix(&self.server.url("")).unwrap_or(url)
    }

    fn cookie_line(&self) -> String {
        let pairs: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        pairs.join("; ")
    }

    fn took(&mut self, answer: Answer) -> Answer {
        for line in answer.headers.get_all("set-cookie") {
            let line = line.to_str().expect("ASCII");
            let (pair, attributes) = line.split_once(';').expect("attributes");
            let (name, value) = pair.split_once('=').expect("a value");
            if attributes.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        if answer.status != 303 && answer.header("content-type").starts_with("text/html") {
            self.html = answer.body();
        }
        answer
    }
}

fn hidden_in(html: &str, name: &str) -> Option<String> {
    let (_, rest) = html.split_once(&format!("name=\"{name}\" value=\""))?;
    rest.split('"').next().map(str::to_owned)
}

/// Percent-encoded as a form's value.
fn encoded(value: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    value
        .bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}
