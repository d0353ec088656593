//! Backup codes: 80 random bits each, shown once, used once.
//!
//! What is kept of a code is a keyed, slow hash that the host makes ([`CodeHash`]); this module never sees how.

use core::fmt;

use rand_core::CryptoRng;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

use crate::time::UnixTime;

/// How many codes a set has.
pub const CODES: usize = 10;
/// From this many left on the owner is warned.
pub const LOW: usize = 3;
/// The most bytes of a text that is read as a code.
pub const MAX_TYPED: usize = 128;
/// Characters of a code, five bits each.
const LENGTH: usize = 16;
/// Crockford's base32: no I, L, O, U.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// A backup code in its canonical form, sixteen characters without hyphens. Wiped when dropped, redacted in `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct BackupCode(String);

/// The text is no backup code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotABackupCode {
    /// None that was made here.
    Native,
    /// None of a set that was imported.
    Imported,
}

impl BackupCode {
    /// A fresh code of 80 random bits.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut bits = Zeroizing::new([0_u8; LENGTH]);
        rng.fill_bytes(bits.as_mut_slice());
        // Each byte gives its low five bits: 256 is a multiple of 32, so every character is equally likely.
        Self(
            bits.iter()
                .filter_map(|byte| ALPHABET.get(usize::from(byte & 31)))
                .map(|c| char::from(*c))
                .collect(),
        )
    }

    /// Reads a code as people type it: case, blanks and hyphens do not count, O is 0, I and L are 1 (Crockford).
    ///
    /// # Errors
    /// What is not sixteen characters of the alphabet then.
    pub fn parse(text: &str) -> Result<Self, NotABackupCode> {
        if text.len() > MAX_TYPED {
            return Err(NotABackupCode::Native);
        }
        let folded = normalize(text);
        let fits = folded.len() == LENGTH && folded.bytes().all(|byte| ALPHABET.contains(&byte));
        if fits { Ok(Self(folded)) } else { Err(NotABackupCode::Native) }
    }

    /// The canonical characters, for hashing. Whoever calls this keeps them out of logs and errors.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The code as it is shown once: four groups of four.
    pub fn shown(&self) -> Zeroizing<String> {
        let mut out = Zeroizing::new(String::with_capacity(LENGTH + 3));
        for (index, character) in self.0.chars().enumerate() {
            if index > 0 && index % 4 == 0 {
                out.push('-');
            }
            out.push(character);
        }
        out
    }
}

/// The text in upper case without ASCII blanks and hyphens, its look-alikes folded as Crockford's base32 says.
pub fn normalize(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_ascii_whitespace() && *c != '-')
        .map(|c| match c.to_ascii_uppercase() {
            'O' => '0',
            'I' | 'L' => '1',
            other => other,
        })
        .collect()
}

impl Drop for BackupCode {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for BackupCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("BackupCode(redacted)")
    }
}

impl fmt::Display for NotABackupCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Native => write!(formatter, "a backup code has {LENGTH} letters and digits"),
            Self::Imported => write!(formatter, "a backup code has 1 to {MAX_TYPED} characters"),
        }
    }
}

impl core::error::Error for NotABackupCode {}

/// The keyed, slow hash of one backup code under its set's salt; compared in constant time.
#[derive(Clone, Copy)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct CodeHash([u8; 32]);

impl CodeHash {
    /// Wraps what the host's hash function gave.
    pub const fn new(hash: [u8; 32]) -> Self {
        Self(hash)
    }
}

impl PartialEq for CodeHash {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for CodeHash {}

impl fmt::Debug for CodeHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("CodeHash(redacted)")
    }
}

/// The salt of a set: one for all its codes, so that an attempt costs one slow hash and not ten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Salt(pub [u8; 16]);

impl Salt {
    /// A fresh salt.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut bytes = [0; 16];
        rng.fill_bytes(&mut bytes);
        Self(bytes)
    }
}

/// What a backup code that somebody typed hashes to, and under which salt.
#[derive(Clone, Copy, Debug)]
pub struct Attempt {
    /// The salt of the set that it was hashed for.
    pub salt: Salt,
    /// The hash.
    pub hash: CodeHash,
}

/// The set of codes that an account has: what is left of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct BackupCodes {
    salt: Salt,
    total: usize,
    left: Vec<CodeHash>,
    generated_at: UnixTime,
}

impl BackupCodes {
    /// A full set.
    pub fn new(salt: Salt, hashes: Vec<CodeHash>, now: UnixTime) -> Self {
        Self { salt, total: hashes.len(), left: hashes, generated_at: now }
    }

    /// The salt under which an attempt is hashed.
    pub fn salt(&self) -> Salt {
        self.salt
    }

    /// How many are left.
    pub fn remaining(&self) -> usize {
        self.left.len()
    }

    /// How many there were at first.
    pub fn total(&self) -> usize {
        self.total
    }

    /// Takes a code out of the set; whether it was there. Looks at every hash, whichever matches. An attempt that was hashed for
    /// another set, renewed meanwhile, is none of this one's codes.
    pub fn spend(&mut self, attempt: Attempt) -> bool {
        let before = self.left.len();
        if attempt.salt == self.salt {
            self.left.retain(|kept| *kept != attempt.hash);
        }
        self.left.len() < before
    }

    /// Takes every code out of the set, because nobody knows which of them were used.
    pub fn spend_all(&mut self) {
        self.left.clear();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::{SeedableRng, rngs::StdRng};

    use super::*;

    #[test]
    fn a_code_is_read_however_it_is_typed() {
        let canonical = BackupCode::parse("ABCD-EFGH-JKMN-P0R1").unwrap();
        for typed in ["abcd efgh jkmn por1", "ABCDEFGHJKMNPORI", " abcd-efgh-jkmn-p0rl "] {
            assert_eq!(BackupCode::parse(typed).unwrap(), canonical, "{typed}");
        }
        assert_eq!(canonical.shown().as_str(), "ABCD-EFGH-JKMN-P0R1");
        for bad in ["", "ABCD", "ABCD-EFGH-JKMN-P0RU", "ABCD-EFGH-JKMN-P0R12", "ÄBCD-EFGH-JKMN-P0R1"] {
            assert_eq!(BackupCode::parse(bad), Err(NotABackupCode::Native), "{bad}");
        }
    }

    #[test]
    fn long_text_is_not_read() {
        let typed = format!("{}ABCD-EFGH-JKMN-P0R1", " ".repeat(109));
        assert!(BackupCode::parse(&typed).is_ok());
        assert_eq!(BackupCode::parse(&format!(" {typed}")), Err(NotABackupCode::Native));
    }

    #[test]
    fn a_code_is_spent_once() {
        let hashes: Vec<_> = (0..10).map(|n| CodeHash::new([n; 32])).collect();
        let mut codes = BackupCodes::new(Salt([1; 16]), hashes, UnixTime::from_secs(1));
        let attempt = Attempt { salt: Salt([1; 16]), hash: CodeHash::new([4; 32]) };
        assert!(!codes.spend(Attempt { salt: Salt([2; 16]), ..attempt }), "hashed for another set");
        assert!(codes.spend(attempt));
        assert!(!codes.spend(attempt));
        assert_eq!((codes.remaining(), codes.total()), (9, 10));
    }
    #[test]
    fn a_set_has_a_salt_and_codes_that_nobody_can_tell() {
        let mut rng = StdRng::seed_from_u64(7);
        let salts = [Salt::generate(&mut rng), Salt::generate(&mut rng)];
        assert_ne!(salts[0], salts[1]);
        assert_eq!(BackupCodes::new(salts[0], Vec::new(), UnixTime::from_secs(1)).salt(), salts[0]);
        let code = BackupCode::generate(&mut rng);
        let shown = format!("{code:?} {:?}", CodeHash::new([77; 32]));
        assert_eq!(shown, "BackupCode(redacted) CodeHash(redacted)");
        assert_eq!(NotABackupCode::Native.to_string(), "a backup code has 16 letters and digits");
    }

    #[test]
    fn every_character_is_as_likely_as_any_other() {
        let mut rng = StdRng::seed_from_u64(7);
        let mut counts = [0_u32; 32];
        for _ in 0..2_000 {
            for byte in BackupCode::generate(&mut rng).expose().bytes() {
                counts[ALPHABET.iter().position(|c| *c == byte).unwrap()] += 1;
            }
        }
        // 1000 each on average, with a standard deviation of 31.
        assert!(counts.iter().all(|count| (840..1_160).contains(count)), "{counts:?}");
    }

    proptest! {
        #[test]
        fn a_code_is_read_as_it_is_shown(seed in any::<u64>()) {
            let code = BackupCode::generate(&mut StdRng::seed_from_u64(seed));
            prop_assert_eq!(code.expose().len(), LENGTH);
            prop_assert_eq!(code.shown().split('-').map(str::len).collect::<Vec<_>>(), [4; 4]);
            prop_assert_eq!(&BackupCode::parse(&code.shown()).unwrap(), &code);
            prop_assert_eq!(&BackupCode::parse(&code.shown().to_lowercase()).unwrap(), &code);
            prop_assert_eq!(&BackupCode::parse(&code.shown().replace('0', "o").replace('1', "l")).unwrap(), &code);
        }

        #[test]
        fn normalizing_twice_is_normalizing_once(text in "[0-9A-Za-z -]{0,24}|\\PC{0,140}") {
            let normal = normalize(&text);
            prop_assert_eq!(normalize(&normal), &*normal);
            let is_code = text.len() <= 128
                && normal.len() == 16
                && normal.chars().all(|c| c.is_ascii_digit() || c.is_ascii_uppercase() && !"ILOU".contains(c));
            let parsed = BackupCode::parse(&text);
            prop_assert_eq!(parsed.is_ok(), is_code);
            if let Ok(code) = parsed {
                prop_assert_eq!(code.expose(), normal);
                prop_assert_eq!(BackupCode::parse(code.expose()), Ok(code));
            }
        }
    }
}
