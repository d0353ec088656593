//! Secrets and codes by number. Six digits are few: now and then a code means two things at once, and an operation that would
//! say such a code is left out, so that the model always knows what is meant.

use std::{cell::RefCell, collections::HashMap, convert::Infallible};

use rand::{Rng, SeedableRng, TryCryptoRng, TryRng, rngs::StdRng};
use sidekey_core::{
    backup_code::{Attempt, BackupCodes, CODES, CodeHash, Salt},
    code::Code,
    device::Answer,
    id::DeviceId,
    secret::Secret,
    time::{Step, UnixTime},
    totp::{TotpParams, code_at},
};

/// The period of every device here, in seconds.
pub const PERIOD: u64 = 30;

/// Randomness that gives the same bytes for the same number and length, whatever is drawn first.
pub struct Numbered(pub u64);

impl TryRng for Numbered {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(StdRng::seed_from_u64(self.0).next_u32())
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(StdRng::seed_from_u64(self.0).next_u64())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        StdRng::seed_from_u64((self.0 << 8) | bytes.len() as u64).fill_bytes(bytes);
        Ok(())
    }
}

impl TryCryptoRng for Numbered {}

/// The id of the device with this number.
pub fn device_id(device: usize) -> DeviceId {
    DeviceId::generate(&mut Numbered(device as u64))
}

/// The code of a device at a step.
pub fn code(device: usize, step: u64) -> String {
    thread_local! {
        static KNOWN: RefCell<HashMap<(usize, u64), String>> = RefCell::default();
    }
    KNOWN.with_borrow_mut(|known| {
        let make = || {
            let secret = Secret::generate(&mut Numbered(device as u64));
            code_at(&secret, TotpParams::default(), Step::new(step))
        };
        known.entry((device, step)).or_insert_with(make).clone()
    })
}

/// One code that is typed, and what it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Typed {
    /// As it is typed, with blanks and hyphens.
    pub text: String,
    /// What it means.
    pub meaning: Meaning,
}

/// What a typed code means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// It is the code of this device at this step, and of no other that could count now.
    CodeOf(usize, u64),
    /// It is nothing that could count now.
    Nothing,
    /// It has another number of digits.
    Malformed,
}

/// The answer that these codes make.
pub fn answer(code: &Typed, next: Option<&Typed>) -> Answer {
    let parse = |typed: &Typed| Code::parse(&typed.text).unwrap();
    Answer { code: parse(code), next_code: next.map(parse) }
}

/// The backup codes of the set with this number.
pub fn backup_codes(set: u8, now: UnixTime) -> BackupCodes {
    let hashes = (0..u8::try_from(CODES).unwrap()).map(|n| attempt(set, set, n).hash).collect();
    BackupCodes::new(attempt(set, set, 0).salt, hashes, now)
}

/// A backup code of one set, hashed for another.
pub fn attempt(set: u8, hashed_for: u8, n: u8) -> Attempt {
    let mut hash = [0; 32];
    hash[..3].copy_from_slice(&[set, hashed_for, n]);
    Attempt { salt: Salt([hashed_for; 16]), hash: CodeHash::new(hash) }
}
