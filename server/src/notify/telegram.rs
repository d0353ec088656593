//! Telegram: `sendMessage` of the Bot API, in plain text, so that nothing a user has typed can be taken for markup.

use std::fmt;
use std::time::Duration;

use reqwest::Url;
use serde::Deserialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{Deliver, Notice, Probe, Surroundings, Undelivered, client};
use crate::store::engine::Pending;

/// Where the Bot API is, unless a server of one's own is named.
pub const API: &str = "https://api.telegram.org";
/// Most characters of a message (`sendMessage`, "text").
const MAX_TEXT: usize = 4_096;
/// Most bytes of a refusal that are read.
const MAX_ANSWER: usize = 16 * 1024;

/// A bot's token: `123456:ABC…`. Wiped when dropped, redacted in `Debug`.
#[derive(Clone)]
pub struct Token(Zeroizing<String>);

impl Token {
    /// Reads a token.
    ///
    /// # Errors
    /// A sentence, without the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let is_token = text.split_once(':').is_some_and(|(bot, key)| {
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
            !bot.is_empty()
                && bot.bytes().all(|byte| byte.is_ascii_digit())
                && key.len() >= 20
                && key.chars().all(plain)
        });
        if is_token && text.len() <= 128 {
            Ok(Self(Zeroizing::new(text.to_owned())))
        } else {
            Err("it holds no bot token such as 123456:ABC…".to_owned())
        }
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Token(redacted)")
    }
}

/// A chat that a bot writes to.
pub struct Telegram {
    client: reqwest::Client,
    send_message: Url,
    get_chat: Url,
    chat: String,
}

/// What the Bot API answers besides a status.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Answer {
    description: String,
    parameters: Parameters,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Parameters {
    retry_after: Option<u64>,
}

impl Telegram {
    /// A chat, by its number or `@name`; `api` is where the Bot API is, and `private` whether it is in a network of one's own, where the
    /// token may go in the clear.
    ///
    /// # Errors
    /// A sentence: the chat or the API's URL is none.
    pub fn new(api: &str, token: &Token, chat: &str, private: bool) -> Result<Self, String> {
        let is_number = chat.strip_prefix('-').unwrap_or(chat).bytes().all(|byte| byte.is_ascii_digit());
        if chat.len() < 2 || chat.len() > 64 || !(is_number || chat.starts_with('@')) {
            return Err(
                "`chat_id` must be a number such as \"-1001234567890\", or \"@name\" of a channel".to_owned()
            );
        }
        // The Bot API has the token in its path: this URL is never shown, and errors are told without it.
        let method = |name: &str| {
            let url = Url::parse(&format!("{}/bot{}/{name}", api.trim_end_matches('/'), *token.0)).ok();
            url.filter(|url| matches!(url.scheme(), "https" | "http"))
                .ok_or("`api` must be the URL of a Bot API server")
        };
        let (send_message, get_chat) = (method("sendMessage")?, method("getChat")?);
        if send_message.scheme() != "https" && !private {
            return Err(
                "`api` must begin with https://, or the bot's token crosses the network in the clear; a server in a network of your own may \
                 do without: `private = true`"
                    .to_owned(),
            );
        }
        let client = client().build().map_err(|error| format!("no HTTP client can be made: {error}"))?;
        Ok(Self { client, send_message, get_chat, chat: chat.to_owned() })
    }
}

impl fmt::Debug for Telegram {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Telegram").field("chat", &self.chat).finish_non_exhaustive()
    }
}

impl Deliver for Telegram {
    fn deliver<'a>(
        &'a self,
        notice: &'a Notice,
        _: &'a Surroundings<'a>,
    ) -> Pending<'a, Result<(), Undelivered>> {
        Box::pin(async move {
            let text: String = notice.text().chars().take(MAX_TEXT).collect();
            let message = json!({
                "chat_id": self.chat, "text": text, "link_preview_options": { "is_disabled": true },
            });
            self.call(&self.send_message, &message).await
        })
    }

    /// Whether the token is one, and the bot knows the chat.
    fn probe(&self) -> Option<Probe<'_>> {
        let answer =
            Box::pin(async move { self.call(&self.get_chat, &json!({ "chat_id": self.chat })).await });
        let settings = "`token_file` or `chat_id` below `[notify.telegram]`";
        Some(Probe { of: "Bot API", settings, answer })
    }
}

impl Telegram {
    /// Calls a method of the Bot API.
    async fn call(&self, method: &Url, message: &Value) -> Result<(), Undelivered> {
        let request = self.client.post(method.clone()).header("content-type", "application/json");
        let mut answer = request.body(message.to_string()).send().await.map_err(Undelivered::by_client)?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let mut body = Vec::new();
        while let Ok(Some(piece)) = answer.chunk().await {
            let room = MAX_ANSWER.saturating_sub(body.len());
            body.extend(piece.into_iter().take(room));
            if body.len() >= MAX_ANSWER {
                break;
            }
        }
        let Answer { description, parameters } = serde_json::from_slice(&body).unwrap_or_default();
        let said: String = description.chars().filter(|c| !c.is_control()).take(200).collect();
        let reason = format!("it answers {}: {said}", status.as_u16());
        let wait = parameters.retry_after.map(Duration::from_secs);
        if status.is_server_error() || wait.is_some() || matches!(status.as_u16(), 401 | 404 | 429) {
            // 401 and 404 say that the token is none (any more): no message would fare better.
            return Err(Undelivered::Unreachable { reason, wait });
        }
        Err(Undelivered::Refused { reason })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_never_shown() {
        let token = Token::parse(" 123456:AAbbCCddEEffGGhhIIjjKKllMMnn\n").unwrap();
        let telegram = Telegram::new(API, &token, "-1001234567890", false).unwrap();
        for shown in [format!("{token:?}"), format!("{telegram:?}")] {
            assert!(!shown.contains("AAbb"), "{shown}");
        }
        for text in [
            "",
            "123456",
            "abc:AAbbCCddEEffGGhhIIjjKKllMMnn",
            "123456:short",
            "1:AAbbCCddEEffGGhhIIjjKKll/MMnn",
        ] {
            assert!(!Token::parse(text).unwrap_err().contains("AAbb"), "{text}");
        }
        for chat in ["", "-", "general", "12a4"] {
            assert!(Telegram::new(API, &token, chat, false).is_err(), "{chat}");
        }
    }
}
