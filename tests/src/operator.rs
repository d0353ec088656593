//! An operator of the admin area, in a browser without scripts.

use crate::answer::Answer;
use crate::authenticator::Authenticator;
use crate::browser::Browser;
use crate::server::Server;

/// The password of the operators that tests make.
pub const PASSWORD: &str = "correct horse battery";

const ENROL: &str = "/admin/enrol/";

/// An operator with a device.
pub struct Operator<'s> {
    /// Their name.
    pub name: String,
    /// Their device.
    pub phone: Authenticator,
    /// The backup codes of enrolment.
    pub backup_codes: Vec<String>,
    /// Their browser.
    pub browser: Browser<'s>,
    server: &'s Server,
}

impl<'s> Operator<'s> {
    /// Makes an operator of this role at the command line, connects a device and signs them in.
    pub async fn create(server: &'s Server, name: &str, role: &str) -> Self {
        Self::make(server, name, role).await;
        Self::enrol(server, name).await
    }

    /// Makes an operator at the command line.
    pub async fn make(server: &Server, name: &str, role: &str) {
        Self::with_password(server, &["admin", "create", name, "--role", role], PASSWORD).await;
    }

    /// Runs a command that takes a password.
    pub async fn with_password(server: &Server, arguments: &[&str], password: &str) {
        let folder = tempfile::TempDir::new().expect("a temporary folder can be made");
        let file = folder.path().join("password");
        std::fs::write(&file, password).expect("it can be written");
        let (file, data) = (file.to_str().expect("UTF-8"), server.data().to_str().expect("UTF-8"));
        let all = arguments.iter().copied().chain(["--password-file", file, "--data", data]);
        crate::command::run(all).await.ok();
    }

    /// Connects the first device of an operator who was made, or whose second factor was reset.
    pub async fn enrol(server: &'s Server, name: &str) -> Self {
        let mut browser = Browser::new(server);
        give_password(&mut browser, name, PASSWORD).await.expect(303);
        browser.visit("/admin/").await.ok();
        let (_, key) = browser.html.split_once("secret=").expect("a key");
        let mut phone = Authenticator::from_base32(key.split('&').next().expect("its end"));
        let device = browser.hidden("device").expect("the pending device");
        let code = phone.fresh_code(server).await;
        let fields = [("action", "confirm"), ("device", device.as_str()), ("code", code.as_str())];
        browser.post(ENROL, &fields).await.ok();
        let codes = browser.html.split("<li><code>").skip(1);
        let codes = codes.filter_map(|rest| rest.split('<').next()).map(str::to_owned).collect();
        browser.visit("/admin/").await.ok();
        Self { name: name.to_owned(), phone, backup_codes: codes, browser, server }
    }

    /// Signs in anew, in a new browser, with the password and a fresh code.
    pub async fn sign_in(&mut self) {
        self.browser = Browser::new(self.server);
        give_password(&mut self.browser, &self.name, PASSWORD).await.expect(303);
        let code = self.phone.fresh_code(self.server).await;
        self.give_code(&code).await.expect(303);
        self.browser.visit("/admin/").await.ok();
    }

    /// Gives a code after the password.
    pub async fn give_code(&mut self, code: &str) -> Answer {
        self.browser.visit("/admin/second-factor/").await.ok();
        self.browser.post("/admin/second-factor/", &[("code", code)]).await
    }

    /// Looks at a page.
    pub async fn get(&mut self, path: &str) -> Answer {
        self.browser.visit(path).await
    }

    /// Posts a form of the page that they see.
    pub async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        self.browser.post(path, fields).await
    }

    /// The server.
    pub fn server(&self) -> &'s Server {
        self.server
    }
}

/// Posts name and password.
pub async fn give_password(browser: &mut Browser<'_>, name: &str, password: &str) -> Answer {
    browser.visit("/admin/sign-in/").await.ok();
    browser.post("/admin/sign-in/", &[("name", name), ("password", password)]).await
}
