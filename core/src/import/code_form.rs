//! The form of the recovery codes that an account has: what is done to the text that somebody types before it is hashed here.
//!
//! Codes made here have one form, [`CodeForm::Native`]. A set that was imported keeps the form that it had, so that what its owner has
//! on paper goes on working. Where the other product kept only a fast hash of each code, that hash is what is hashed here, slowly and
//! under a pepper: nothing that lies on our disk is worth more than a code of our own. The next set is native again.
//!
//! A slow hash with a salt for each code (bcrypt, PBKDF2, Argon2) has no form: an attempt would cost one of them for each code.

use core::fmt;

use sha2::{Digest as _, Sha256, Sha512};
use zeroize::Zeroizing;

use crate::{
    backup_code::{BackupCode, NotABackupCode},
    base64,
};

/// The most codes of an imported set.
pub const MAX_CODES: usize = 16;
/// The fewest characters of an imported code whose text is known. Waits after wrong ones double to an hour: against eight digits that
/// leaves, for a set of ten, a chance of one in a thousand in a year.
pub const MIN_CHARACTERS: usize = 8;

/// What the codes of a set have in common. A set has exactly one form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum CodeForm {
    /// Codes that were made here, see [`BackupCode`].
    #[default]
    Native,
    /// Other texts.
    Text(Typing),
    /// Texts of which only the SHA-256 hash is known.
    Sha256(Typing),
    /// Texts of which only the SHA-512 hash is known.
    Sha512(Typing),
}

/// What counts of a text that somebody types. Blanks around it never do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Typing {
    /// What becomes of the case of ASCII letters.
    pub fold: Fold,
    /// Whether ASCII blanks and hyphens within it are dropped.
    pub strip: bool,
}

/// What becomes of the case of ASCII letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum Fold {
    /// It counts.
    None,
    /// All become lower case.
    Lower,
    /// All become upper case.
    Upper,
}

impl Typing {
    /// Exactly as it is typed.
    pub const EXACT: Self = Self { fold: Fold::None, strip: false };
    /// However it is grouped.
    pub const ANY_SEPARATORS: Self = Self { fold: Fold::None, strip: true };

    /// The text with what counts of it, and no copy of the rest.
    fn apply(self, typed: &str) -> Zeroizing<String> {
        // Never grows, since growing would leave a copy behind: no character becomes longer.
        let mut kept = Zeroizing::new(String::with_capacity(typed.len()));
        let counts = |c: &char| !(self.strip && (c.is_ascii_whitespace() || *c == '-'));
        kept.extend(typed.trim_ascii().chars().filter(counts).map(|c| match self.fold {
            Fold::None => c,
            Fold::Lower => c.to_ascii_lowercase(),
            Fold::Upper => c.to_ascii_uppercase(),
        }));
        kept
    }
}

/// A recovery code as it is hashed: what its form has left of it. Wiped when dropped, redacted in `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct ReducedCode(Zeroizing<String>);

impl ReducedCode {
    /// The text, for hashing. Whoever calls this keeps it out of logs and errors.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<&BackupCode> for ReducedCode {
    fn from(code: &BackupCode) -> Self {
        Self(Zeroizing::new(code.expose().to_owned()))
    }
}

impl fmt::Debug for ReducedCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ReducedCode(redacted)")
    }
}

impl CodeForm {
    /// What is hashed of a text that somebody typed.
    ///
    /// # Errors
    /// Text that no code of this form can be: more than 128 bytes, nothing that counts, or not the letters of a native one.
    pub fn reduce(self, typed: &str) -> Result<ReducedCode, NotABackupCode> {
        let typing = match self {
            Self::Native => return BackupCode::parse(typed).map(|code| ReducedCode::from(&code)),
            Self::Text(typing) | Self::Sha256(typing) | Self::Sha512(typing) => typing,
        };
        if typed.len() > crate::backup_code::MAX_TYPED {
            return Err(NotABackupCode::Imported);
        }
        let text = typing.apply(typed);
        if text.is_empty() {
            return Err(NotABackupCode::Imported);
        }
        Ok(ReducedCode(match self {
            Self::Native | Self::Text(_) => text,
            Self::Sha256(_) => hex(&Sha256::digest(text.as_bytes())),
            Self::Sha512(_) => hex(&Sha512::digest(text.as_bytes())),
        }))
    }

    /// What is hashed of a code as the other product kept it: its text, or the hex or base64 of its hash.
    fn kept(self, stored: &str) -> Result<ReducedCode, CodesRefusal> {
        let length = match self {
            Self::Native | Self::Text(_) => {
                let code = self.reduce(stored).map_err(|_| CodesRefusal::Malformed)?;
                let is_short = code.expose().chars().count() < MIN_CHARACTERS;
                return if is_short { Err(CodesRefusal::TooShort) } else { Ok(code) };
            }
            Self::Sha256(_) => 32,
            Self::Sha512(_) => 64,
        };
        let hash = if stored.len() == 2 * length {
            data_encoding::HEXLOWER_PERMISSIVE.decode(stored.as_bytes()).ok().map(Zeroizing::new)
        } else {
            base64::decode(&stored.replace('-', "+").replace('_', "/"))
        };
        let hash = hash.filter(|hash| hash.len() == length).ok_or(CodesRefusal::Malformed)?;
        Ok(ReducedCode(hex(&hash)))
    }
}

fn hex(bytes: &[u8]) -> Zeroizing<String> {
    Zeroizing::new(data_encoding::HEXLOWER.encode(bytes))
}

/// The recovery codes of a user that are left: one form, and each code as it is hashed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveryCodes {
    form: CodeForm,
    codes: Vec<ReducedCode>,
}

impl RecoveryCodes {
    /// Codes as another product kept them: texts, or the hex or base64 of their hashes, as the form says. One that stands twice counts
    /// once.
    ///
    /// # Errors
    /// There is none, there are too many, or one of them is not of the form or too easily guessed.
    pub fn new<T: AsRef<str>>(
        form: CodeForm,
        stored: impl IntoIterator<Item = T>,
    ) -> Result<Self, CodesRefusal> {
        let mut codes: Vec<ReducedCode> = Vec::with_capacity(MAX_CODES);
        for stored in stored {
            let code = form.kept(stored.as_ref())?;
            if codes.contains(&code) {
                continue;
            }
            if codes.len() == MAX_CODES {
                return Err(CodesRefusal::TooMany);
            }
            codes.push(code);
        }
        if codes.is_empty() { Err(CodesRefusal::NoneLeft) } else { Ok(Self { form, codes }) }
    }

    /// Their form.
    pub fn form(&self) -> CodeForm {
        self.form
    }

    /// The codes, as they are hashed.
    pub fn codes(&self) -> &[ReducedCode] {
        &self.codes
    }
}

/// Why the recovery codes of a user are not taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodesRefusal {
    /// There is none left.
    NoneLeft,
    /// More than [`MAX_CODES`].
    TooMany,
    /// Text with fewer than [`MIN_CHARACTERS`] characters that count.
    TooShort,
    /// One of them is not what it should be.
    Malformed,
    /// Each has a slow hash with a salt of its own, by this name.
    SaltedHash(&'static str),
    /// They are encrypted or hashed with a key that is not at hand.
    Locked,
}

impl fmt::Display for CodesRefusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoneLeft => formatter.write_str("no recovery code is left"),
            Self::TooMany => write!(formatter, "there are more than {MAX_CODES} recovery codes"),
            Self::TooShort => {
                write!(
                    formatter,
                    "recovery codes of fewer than {MIN_CHARACTERS} characters are too easily guessed"
                )
            }
            Self::Malformed => formatter.write_str("a recovery code is not what it should be"),
            Self::SaltedHash(name) => write!(
                formatter,
                "recovery codes that are hashed by {name}, each with a salt of its own, cannot be taken over"
            ),
            Self::Locked => {
                formatter.write_str("the recovery codes are protected by a key that is not at hand")
            }
        }
    }
}

impl core::error::Error for CodesRefusal {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LOWER: Typing = Typing { fold: Fold::Lower, strip: true };

    fn reduced(form: CodeForm, typed: &str) -> String {
        form.reduce(typed).unwrap().expose().to_owned()
    }

    #[test]
    fn each_form_keeps_what_counts_of_what_is_typed() {
        for (form, typed, kept) in [
            (CodeForm::Native, "abcd efgh jkmn por1", "ABCDEFGHJKMNP0R1"),
            (CodeForm::Text(Typing::EXACT), " aB-c D ", "aB-c D"),
            (CodeForm::Text(Typing::ANY_SEPARATORS), " aB-c D ", "aBcD"),
            (CodeForm::Text(LOWER), "AB-cd ÄÖ", "abcdÄÖ"),
            (CodeForm::Text(Typing { fold: Fold::Upper, strip: false }), "ab-cd", "AB-CD"),
        ] {
            assert_eq!(reduced(form, typed), kept, "{form:?}");
        }
    }

    /// FIPS 180-4's example `abc`.
    #[test]
    fn a_hashed_form_gives_the_hash_of_what_counts() {
        let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(reduced(CodeForm::Sha256(LOWER), " A-b C"), sha256);
        assert_ne!(reduced(CodeForm::Sha256(Typing::EXACT), "Abc"), sha256);
        let base64 = "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=";
        let url = "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0";
        for stored in [sha256, &sha256.to_uppercase(), base64, url] {
            let codes = RecoveryCodes::new(CodeForm::Sha256(LOWER), [stored]).unwrap();
            assert_eq!(codes.codes()[0].expose(), sha256, "{stored}");
        }
        let sha512 = "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
                      2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f";
        assert_eq!(reduced(CodeForm::Sha512(Typing::EXACT), "abc"), sha512);
        assert_eq!(
            RecoveryCodes::new(CodeForm::Sha256(LOWER), [sha512]),
            Err(CodesRefusal::Malformed),
            "another hash"
        );
    }

    #[test]
    fn a_hash_that_somebody_has_read_is_not_a_code() {
        let form = CodeForm::Sha256(Typing::EXACT);
        let codes = RecoveryCodes::new(form, [reduced(form, "the code")]).unwrap();
        assert_ne!(form.reduce(codes.codes()[0].expose()).unwrap(), codes.codes()[0]);
    }

    #[test]
    fn a_set_is_taken_whole_or_not_at_all() {
        let form = CodeForm::Text(LOWER);
        let many = |count: usize| (0..count).map(|n| format!("{n:08}")).collect::<Vec<_>>();
        assert_eq!(RecoveryCodes::new(form, many(MAX_CODES)).unwrap().codes().len(), MAX_CODES);
        assert_eq!(RecoveryCodes::new(form, ["abcd-1234", "ABCD1234"]).unwrap().codes().len(), 1);
        for (stored, refusal) in [
            (Vec::new(), CodesRefusal::NoneLeft),
            (many(MAX_CODES + 1), CodesRefusal::TooMany),
            (vec!["abcd-1234".to_owned(), "abcd-12".to_owned()], CodesRefusal::TooShort),
            (vec![" - ".to_owned()], CodesRefusal::Malformed),
            (vec!["a".repeat(129)], CodesRefusal::Malformed),
        ] {
            assert_eq!(RecoveryCodes::new(form, stored), Err(refusal));
        }
        let native = RecoveryCodes::new(CodeForm::Native, ["ABCD-EFGH-JKMN-P0RU"]);
        assert_eq!(native, Err(CodesRefusal::Malformed));
        assert_eq!(CodesRefusal::TooMany.to_string(), "there are more than 16 recovery codes");
    }

    fn typings() -> impl Strategy<Value = Typing> {
        let folds = prop_oneof![Just(Fold::None), Just(Fold::Lower), Just(Fold::Upper)];
        (folds, any::<bool>()).prop_map(|(fold, strip)| Typing { fold, strip })
    }

    proptest! {
        #[test]
        fn what_was_kept_is_what_its_owner_types(typing in typings(), code in "[0-9A-Za-z-]{10,30}") {
            let form = CodeForm::Text(typing);
            if let Ok(codes) = RecoveryCodes::new(form, [&code]) {
                prop_assert_eq!(&codes.codes()[0], &form.reduce(&code).unwrap());
                let padded = format!(" {code}\n");
                prop_assert_eq!(&codes.codes()[0], &form.reduce(&padded).unwrap());
            }
            for form in [CodeForm::Sha256(typing), CodeForm::Sha512(typing)] {
                if let Ok(reduced) = form.reduce(&code) {
                    let codes = RecoveryCodes::new(form, [reduced.expose()]).unwrap();
                    prop_assert_eq!(&codes.codes()[0], &reduced);
                }
            }
        }

        #[test]
        fn nothing_is_read_from_long_or_empty_text(typing in typings(), text in "\\PC{0,140}") {
            for form in [CodeForm::Text(typing), CodeForm::Sha256(typing), CodeForm::Sha512(typing)] {
                let is_read = form.reduce(&text).is_ok();
                prop_assert_eq!(is_read, text.len() <= 128 && !typing.apply(&text).is_empty());
            }
        }
    }
}
