//! Mail: operators are told of every event of the rule, owners of what concerns the security of their account.
//!
//! - this file: [`Mail`], a message from its text to the SMTP server;
//! - [`server`]: where that is, and that nothing goes there unencrypted;
//! - `words`: what owners read.
//!
//! Every header is built by `lettre`, which encodes what is not plain text (RFC 2047), so that nothing that a user has typed becomes a
//! header, a recipient or a command. A message has the same `Message-ID` at each attempt.

pub mod server;
mod words;

use std::fmt;
use std::time::{Duration, SystemTime};

use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, Mailboxes, MultiPart, SinglePart};
use lettre::transport::smtp::Error;
use lettre::{Address, AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
use sidekey_core::time::UnixTime;

use super::{Deliver, Notice, Probe, Surroundings, TIME_LIMIT, Undelivered, one_line};
use crate::pages::locale::Locale;
use crate::store::engine::Pending;
use words::Words;

pub(crate) use words::Happened;

/// Longest address (RFC 5321 §4.5.3.1.3, without the angle brackets).
const MAX_ADDRESS: usize = 254;
/// Most operators of one destination.
const MAX_OPERATORS: usize = 20;

/// Whom mail is for.
#[derive(Clone, Debug)]
pub enum To {
    /// People who run the server.
    Operators(Vec<Mailbox>),
    /// The owner of the account that an event is about; in this language, if they have seen no page in any.
    Owner(&'static Locale),
}

impl To {
    /// Reads operators.
    ///
    /// # Errors
    /// A sentence.
    pub fn operators(texts: &[String]) -> Result<Self, String> {
        if texts.len() > MAX_OPERATORS {
            return Err(format!("`to` names more than {MAX_OPERATORS} addresses"));
        }
        texts.iter().map(|text| mailbox("to", text)).collect::<Result<_, _>>().map(Self::Operators)
    }
}

/// Reads `ann@example.com` or `Ann <ann@example.com>`.
///
/// # Errors
/// A sentence that names the setting.
pub fn mailbox(setting: &str, text: &str) -> Result<Mailbox, String> {
    let mailbox = text.parse::<Mailbox>().ok().filter(|mailbox| is_plain(&mailbox.email));
    mailbox.ok_or_else(|| format!("`{setting}`: `{}` is no e-mail address", text.escape_debug()))
}

/// Somebody who is told by mail.
pub struct Mail {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    to: To,
}

impl Mail {
    /// Mail by this server, from `from`.
    pub fn new(transport: AsyncSmtpTransport<Tokio1Executor>, from: Mailbox, to: To) -> Self {
        Self { transport, from, to }
    }

    /// The message about a notice; `None`: there is nothing to say, or nobody to say it to.
    async fn message(
        &self,
        notice: &Notice,
        with: &Surroundings<'_>,
    ) -> Result<Option<Message>, Undelivered> {
        let unusable = |error: lettre::error::Error| Undelivered::Refused { reason: error.to_string() };
        let builder = self.headers(notice, with.now);
        match &self.to {
            To::Operators(all) => {
                let text = notice.text();
                let subject = one_line(text.lines().next().unwrap_or_default());
                let to: Mailboxes = all.iter().cloned().collect();
                let builder = builder.mailbox(lettre::message::header::To::from(to)).subject(subject);
                builder.singlepart(SinglePart::plain(text)).map(Some).map_err(unusable)
            }
            To::Owner(language) => {
                let found = with.owners.find(notice).await;
                let unreadable =
                    |error| Undelivered::Unreachable { reason: format!("the store: {error}"), wait: None };
                let Some(owner) = found.map_err(unreadable)? else { return Ok(None) };
                let Some(words) = Words::of(notice, &owner, owner.language.unwrap_or(language)) else {
                    return Ok(None);
                };
                let Some(address) = owner.account_name.and_then(|name| address(name.as_str())) else {
                    tracing::debug!(
                        app = notice.app,
                        event = notice.event,
                        "an owner has no e-mail address: they are not told"
                    );
                    return Ok(None);
                };
                let parts = words.plain().zip(words.html());
                let Some((plain, html)) = parts else { return Ok(None) };
                let builder = builder.to(Mailbox::new(None, address)).subject(words.subject);
                builder.multipart(MultiPart::alternative_plain_html(plain, html)).map(Some).map_err(unusable)
            }
        }
    }

    fn headers(&self, notice: &Notice, now: UnixTime) -> lettre::message::MessageBuilder {
        let date = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(now.as_secs()));
        // No "out of office" comes back (RFC 3834 §5).
        let automatic =
            HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".to_owned());
        Message::builder()
            .from(self.from.clone())
            .date(date.unwrap_or(SystemTime::UNIX_EPOCH))
            .message_id(Some(format!("<{}@{}>", notice.id, self.from.email.domain())))
            .raw_header(automatic)
    }
}

impl fmt::Debug for Mail {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The transport holds the password.
        formatter.debug_struct("Mail").field("from", &self.from).field("to", &self.to).finish_non_exhaustive()
    }
}

impl Deliver for Mail {
    fn deliver<'a>(
        &'a self,
        notice: &'a Notice,
        with: &'a Surroundings<'a>,
    ) -> Pending<'a, Result<(), Undelivered>> {
        Box::pin(async move {
            let Some(message) = self.message(notice, with).await? else { return Ok(()) };
            let is_wide = message.envelope().to().iter().any(|to| !AsRef::<str>::as_ref(to).is_ascii());
            let sent = tokio::time::timeout(TIME_LIMIT, self.transport.send(message)).await;
            let sent = sent.map_err(|_| too_slow())?;
            sent.map(drop).map_err(|error| judged(&error, is_wide))
        })
    }

    fn probe(&self) -> Option<Probe<'_>> {
        let answer = Box::pin(async move {
            let tried = tokio::time::timeout(TIME_LIMIT, self.transport.test_connection()).await;
            match tried.map_err(|_| too_slow())? {
                Ok(true) => Ok(()),
                Ok(false) => Err(Undelivered::Unreachable { reason: "it hangs up".to_owned(), wait: None }),
                Err(error) => Err(judged(&error, false)),
            }
        });
        let settings = "`smtp`, `user` or `password_file` below `[notify.mail]`";
        Some(Probe { of: "mail server", settings, answer })
    }
}

fn too_slow() -> Undelivered {
    Undelivered::Unreachable { reason: format!("no answer in {} s", TIME_LIMIT.as_secs()), wait: None }
}

/// 5xx refuses the message (RFC 5321 §4.2.1), but where it refuses us (RFC 4954 §6: 530, 534, 535, 538), no message would fare better. All else
/// may pass. `is_wide`: the address is not plain ASCII, and there are servers that take no such address (RFC 6531 §3.1).
fn judged(error: &Error, is_wide: bool) -> Undelivered {
    let reason = error.to_string();
    let refuses_us = error.status().is_some_and(|code| matches!(u16::from(code), 530 | 534 | 535 | 538));
    if error.is_permanent() && !refuses_us || error.is_client() && is_wide {
        Undelivered::Refused { reason }
    } else {
        Undelivered::Unreachable { reason, wait: None }
    }
}

/// The address that an account is named by; `None`: it is named otherwise.
fn address(name: &str) -> Option<Address> {
    name.parse().ok().filter(is_plain)
}

/// Whether an address is one that people have: no quoted local part, no comment, no address literal.
fn is_plain(address: &Address) -> bool {
    let text: &str = address.as_ref();
    let strange = |c: char| c.is_whitespace() || c.is_control() || r#""(),:;<>[\]"#.contains(c);
    text.len() <= MAX_ADDRESS && address.domain().contains('.') && !text.contains(strange)
}

#[cfg(test)]
mod tests;
