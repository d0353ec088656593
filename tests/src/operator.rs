//! An operator of the admin area, in a browser without scripts.

use crate::answer::Answer;
use crate::authenticator::Authenticator;
use crate::browser::Browser;
use crate::server::Server;

/// The password of the operators that tests make.
pub const PASSWORD: &str = "correct horse battery";

/// An operator who is signed in.
pub struct Operator<'s> {
    /// Their name.
    pub name: String,
    /// Their device.
    pub phone: Option<Authenticator>,
    /// Their browser.
    pub browser: Browser<'s>,
    server: &'s Server,
}

impl<'s> Operator<'s> {
    /// Makes an operator of this role at the command line, and signs them in.
    pub async fn create(server: &'s Server, name: &str, role: &str) -> Self {
        Self::make(server, name, role).await;
        let mut operator = Self { name: name.to_owned(), phone: None, browser: Browser::new(server), server };
        operator.sign_in().await;
        operator
    }

    /// Makes an operator at the command line.
    pub async fn make(server: &Server, name: &str, role: &str) {
        let folder = tempfile::TempDir::new().expect("a temporary folder can be made");
        let file = folder.path().join("password");
        std::fs::write(&file, PASSWORD).expect("it can be written");
        let file = file.to_str().expect("UTF-8");
        server.command(["admin", "create", name, "--role", role, "--password-file", file]).await;
    }

    /// Signs in with the password and, if it is asked for, a code.
    pub async fn sign_in(&mut self) {
        self.browser.visit("/admin/sign-in/").await.ok();
        let fields = [("name", self.name.as_str()), ("password", PASSWORD)];
        self.browser.post("/admin/sign-in/", &fields).await.expect(303);
        self.browser.visit("/admin/").await.ok();
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
