//! The SMTP server that mail is handed to: encrypted from the first byte (`smtps://`, RFC 8314 §3.3) or by STARTTLS before anything is said
//! (`smtp://`, RFC 3207), never in the clear but on this machine.

use std::net::IpAddr;

use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, Tokio1Executor};
use reqwest::Url;
use zeroize::Zeroizing;

use super::super::TIME_LIMIT;

/// Message submission with STARTTLS (RFC 6409 §3.1), over TLS (RFC 8314 §7.3), and a relay on this machine (RFC 5321 §4.5.4.2).
const PORTS: (u16, u16, u16) = (587, 465, 25);

/// A user's name and password.
pub struct Login {
    /// The name.
    pub user: String,
    /// The password; wiped when dropped.
    pub password: Zeroizing<String>,
}

/// The way to a server; `private` lets it be one of this machine that is spoken to in the clear.
///
/// # Errors
/// A sentence.
pub fn transport(
    url: &str,
    login: Option<&Login>,
    private: bool,
) -> Result<AsyncSmtpTransport<Tokio1Executor>, String> {
    let none =
        || "`smtp` must be smtps://HOST, or smtp://HOST for STARTTLS, with a port if it is not the usual one";
    let url = Url::parse(url).map_err(|_| none())?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(
            "`smtp` must not have a user name or password in it: `user` and `password_file` are for that"
                .to_owned(),
        );
    }
    let has_rest = !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some();
    let host = url.host_str().filter(|host| !host.is_empty() && !has_rest).ok_or_else(none)?;
    let host = host.trim_matches(['[', ']']);
    let (starttls, wrapped, local) = PORTS;
    let encrypted =
        || TlsParameters::new(host.to_owned()).map_err(|error| format!("TLS cannot be set up: {error}"));
    let (tls, port) = match (url.scheme(), private) {
        ("smtps", false) => (Tls::Wrapper(encrypted()?), wrapped),
        ("smtp", false) => (Tls::Required(encrypted()?), starttls),
        ("smtp", true) if is_here(host) => (Tls::None, local),
        ("smtp" | "smtps", true) => {
            return Err(
                "`private = true` is for smtp:// to this machine (127.0.0.1, ::1 or localhost)".to_owned()
            );
        }
        _ => return Err(none().to_owned()),
    };
    let builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host)
        .port(url.port().unwrap_or(port))
        .tls(tls)
        .timeout(Some(TIME_LIMIT));
    let builder = match login {
        Some(Login { user, password }) => {
            builder.credentials(Credentials::new(user.clone(), String::clone(password)))
        }
        None => builder,
    };
    Ok(builder.build())
}

fn is_here(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_encrypted_or_on_this_machine() {
        for (url, private) in [
            ("smtps://mail.example.com", false),
            ("smtp://mail.example.com:2525/", false),
            ("smtp://127.0.0.1:25", true),
            ("smtp://[::1]", true),
            ("smtp://localhost", true),
            ("smtp://127.0.0.1", false),
        ] {
            assert!(transport(url, None, private).is_ok(), "{url}");
        }
        for (url, private) in [
            ("smtp://mail.example.com", true),
            ("smtps://mail.example.com", true),
            ("smtp://10.0.0.1", true),
            ("smtp://localhost.example.com", true),
            ("http://mail.example.com", false),
            ("mail.example.com", false),
            ("smtp://", false),
            ("smtp://mail.example.com/?tls=none", false),
            ("smtp://mail.example.com/x", false),
        ] {
            assert!(transport(url, None, private).is_err(), "{url}");
        }
        let refused = transport("smtps://ann:geheim@mail.example.com", None, false).unwrap_err();
        assert!(refused.contains("password_file") && !refused.contains("geheim"), "{refused}");
    }
}
