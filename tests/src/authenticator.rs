//! An independent RFC 6238 generator (HMAC-SHA-1, 6 digits, 30 s): the judge of the server's own.

use data_encoding::BASE32_NOPAD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

use crate::clock::STEP;
use crate::server::Server;

/// A phone with one secret. It remembers the last step it gave out, because a code counts only for a later one.
#[derive(Clone)]
pub struct Authenticator {
    secret: Vec<u8>,
    given: u64,
}

impl Authenticator {
    /// From the base32 text of setup's answer.
    pub fn from_base32(text: &str) -> Self {
        let secret =
            BASE32_NOPAD.decode(text.as_bytes()).expect("the secret is upper-case base32 without padding");
        Self { secret, given: 0 }
    }

    /// The raw secret.
    pub fn secret(&self) -> &[u8] {
        &self.secret
    }

    /// The code of a time step (RFC 4226 §5.3 with the step as counter).
    pub fn code_of(&self, step: u64) -> String {
        let mut mac = Hmac::<Sha1>::new_from_slice(&self.secret).expect("HMAC takes a key of any length");
        mac.update(&step.to_be_bytes());
        let digest = mac.finalize().into_bytes();
        let start = usize::from(digest[19] & 0x0f);
        let bytes: [u8; 4] = digest[start..start + 4].try_into().expect("four bytes");
        format!("{:06}", (u32::from_be_bytes(bytes) & 0x7fff_ffff) % 1_000_000)
    }

    /// The code that was given last: of its step, whatever step it is by now.
    pub fn used_code(&self) -> String {
        self.code_of(self.given)
    }

    /// A code that was never given before; the server's clock moves on where the current step's was.
    pub async fn fresh_code(&mut self, server: &Server) -> String {
        let mut step = server.step().await;
        if step <= self.given {
            step = server.advance((self.given + 1 - step) * STEP).await / STEP;
        }
        self.given = step;
        self.code_of(step)
    }

    /// The codes of the step before the current one and of the current one, both never given before.
    pub async fn two_fresh_codes(&mut self, server: &Server) -> (String, String) {
        let step = server.advance(2 * STEP).await / STEP;
        assert!(step - 1 > self.given, "the clock is behind a code that was given");
        self.given = step;
        (self.code_of(step - 1), self.code_of(step))
    }

    /// Marks the codes up to the current step as given.
    pub async fn skip(&mut self, server: &Server) {
        self.given = self.given.max(server.step().await);
    }

    /// Six digits that are no code of this secret anywhere near the current step.
    pub async fn wrong_code(&self, server: &Server) -> String {
        self.wrong_codes(server, 1).await.remove(0)
    }

    /// As many different wrong codes as asked for.
    pub async fn wrong_codes(&self, server: &Server, count: usize) -> Vec<String> {
        let step = server.step().await;
        let near: Vec<String> = (step.saturating_sub(20)..step + 20).map(|s| self.code_of(s)).collect();
        (0..1_000_000).map(|n| format!("{n:06}")).filter(|code| !near.contains(code)).take(count).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::Authenticator;

    #[test]
    fn the_codes_are_those_of_rfc_6238_appendix_b() {
        let phone = Authenticator { secret: b"12345678901234567890".to_vec(), given: 0 };
        for (time, code) in
            [(59, "287082"), (1_111_111_109, "081804"), (1_234_567_890, "005924"), (20_000_000_000, "353130")]
        {
            assert_eq!(phone.code_of(time / 30), code);
        }
    }
}
