//! Whether an export of the trail is whole and unchanged.
//!
//! What this proves: from the hash in its first line on, nothing was changed, left out, put in or moved, and what its lines tell is
//! what was stored. It does not prove where that hash comes from, because anybody can compute a chain of their own: for that, the last
//! hash of an earlier export, kept by somebody else, is compared with the hash of the same entry here.

use std::io::{self, BufRead, Read as _};

use data_encoding::HEXLOWER;
use serde::Serialize;
use serde_json::{Map, Value};

use super::export::{Beginning, Ending, FORMAT, entry_as_told, hex};
use crate::store::head::Base;

/// Longest line that is read: an entry of 6,000 bytes stands in it twice, once with every quote escaped.
const MAX_LINE: u64 = 64 * 1024;

/// An export that is whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Whole {
    /// The id of the store that it is of.
    pub store: String,
    /// How many entries it has.
    pub entries: u64,
    /// The number of the entry before the first one.
    pub after: u64,
    /// The number of the last entry, or of the one before where it has none.
    pub last: u64,
    /// The hash of that entry.
    pub hash: String,
}

/// Why an export is not what a server wrote.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// It cannot be read.
    #[error(transparent)]
    Unreadable(#[from] io::Error),
    /// It begins with something else.
    #[error("this is no export with hashes: `sidekey audit --out FILE --with-hashes` makes one")]
    NoExport,
    /// It is of a later version.
    #[error("the export has format {0}, and this program reads format {FORMAT}")]
    Newer(u16),
    /// A line is no entry, or not the next one.
    #[error("line {line}: here entry {expected} must stand, or the end")]
    OutOfPlace {
        /// Which line.
        line: u64,
        /// The number of the entry that would be next.
        expected: u64,
    },
    /// The hash of an entry is not that of the entry and its predecessors.
    #[error("line {line}: entry {sequence} was changed, or one before it was changed or is missing")]
    Broken {
        /// Which line.
        line: u64,
        /// The entry's number.
        sequence: u64,
    },
    /// The line says something else than the entry that was stored.
    #[error("line {line}: what is told of entry {sequence} is not what was stored of it")]
    ToldOtherwise {
        /// Which line.
        line: u64,
        /// The entry's number.
        sequence: u64,
    },
    /// The last line is missing, or something comes after it.
    #[error("line {line}: the export was cut short, or its last line was changed")]
    NoEnd {
        /// The line where the end is missed.
        line: u64,
    },
    /// It is no continuation of the export before.
    #[error("it is of store {found}, and the export before of store {expected}")]
    OtherStore {
        /// The store of this one.
        found: String,
        /// The store of the one before.
        expected: String,
    },
    /// Between it and the export before, entries are missing.
    #[error("entries {first} to {last} are in neither this export nor the one before")]
    Gap {
        /// The first one that is missing.
        first: u64,
        /// The last one.
        last: u64,
    },
    /// It ends before the export before does.
    #[error("it ends before the export before does: give them oldest first")]
    Older,
    /// It has another hash for the last entry of the export before.
    #[error("entry {0} has another hash than in the export before: one of the two was made up")]
    Disagrees(u64),
}

/// Checks an export, and that it goes on where the one before ended, if there is one.
///
/// # Errors
/// The first fault.
pub fn check(from: impl BufRead, before: Option<&Whole>) -> Result<Whole, Fault> {
    let mut lines = Lines { from, number: 0, text: Vec::new() };
    let Beginning { audit_export, store, after, hash } =
        lines.next()?.and_then(|line| serde_json::from_slice(line).ok()).ok_or(Fault::NoExport)?;
    if audit_export != FORMAT {
        return Err(Fault::Newer(audit_export));
    }
    let chain = HEXLOWER.decode(hash.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
    let mut at = Base::new(after, chain.ok_or(Fault::NoExport)?);
    if let Some(before) = before {
        continues(before, &store, after)?;
    }
    let mut entries = 0;
    loop {
        agrees(before, &at)?;
        let missed = Fault::NoEnd { line: lines.number + 1 };
        let line = lines.next()?.ok_or(missed)?;
        let (length, content) = (line.len(), serde_json::from_slice::<Map<String, Value>>(line));
        let out_of_place = Fault::OutOfPlace { line: lines.number, expected: at.sequence() + 1 };
        let Ok(content) = content else { return Err(out_of_place) };
        if !content.contains_key("sequence") {
            let ending: Ending = serde_json::from_value(content.into()).map_err(|_| out_of_place)?;
            let is_end = ending.entries == entries && ending.last == at.sequence() && ending.hash == hex(&at);
            if !is_end || lines.next()?.is_some() {
                return Err(Fault::NoEnd { line: lines.number });
            }
            if before.is_some_and(|before| before.last > at.sequence()) {
                return Err(Fault::Older);
            }
            return Ok(Whole { store, entries, after, last: at.sequence(), hash: ending.hash });
        }
        let (sequence, stored) = (content.get("sequence"), content.get("stored").and_then(Value::as_str));
        let Some(stored) = stored.filter(|_| sequence == Some(&(at.sequence() + 1).into())) else {
            return Err(out_of_place);
        };
        at = at.after(stored.as_bytes());
        let (line, sequence) = (lines.number, at.sequence());
        if content.get("hash").and_then(Value::as_str) != Some(&hex(&at)) {
            return Err(Fault::Broken { line, sequence });
        }
        let expected = entry_as_told(&at, stored).ok_or(Fault::ToldOtherwise { line, sequence })?;
        // Members that stand twice are read once: the length tells.
        let expected_length = serde_json::to_vec(&expected).map_or(0, |bytes| bytes.len());
        if content != expected || length != expected_length {
            return Err(Fault::ToldOtherwise { line, sequence });
        }
        entries += 1;
    }
}

fn continues(before: &Whole, store: &str, after: u64) -> Result<(), Fault> {
    if before.store != store {
        return Err(Fault::OtherStore { found: store.to_owned(), expected: before.store.clone() });
    }
    if after > before.last {
        return Err(Fault::Gap { first: before.last + 1, last: after });
    }
    Ok(())
}

fn agrees(before: Option<&Whole>, at: &Base) -> Result<(), Fault> {
    match before {
        Some(before) if before.last == at.sequence() && before.hash != hex(at) => {
            Err(Fault::Disagrees(before.last))
        }
        _ => Ok(()),
    }
}

/// Lines one by one, none longer than [`MAX_LINE`].
struct Lines<R> {
    from: R,
    number: u64,
    text: Vec<u8>,
}

impl<R: BufRead> Lines<R> {
    /// The next line without its end; `None` at the end of the file. One that has no end was cut.
    fn next(&mut self) -> Result<Option<&[u8]>, Fault> {
        self.text.clear();
        self.from.by_ref().take(MAX_LINE).read_until(b'\n', &mut self.text)?;
        if self.text.is_empty() {
            return Ok(None);
        }
        self.number += 1;
        self.text.strip_suffix(b"\n").map(Some).ok_or(Fault::NoEnd { line: self.number })
    }
}

#[cfg(test)]
mod tests {
    use sidekey_core::event::Event;

    use super::super::export::{beginning, ending, entry};
    use super::*;
    use crate::notify::testing;

    /// An export of entries about these users, after `skipped` others.
    fn export(skipped: &[&str], users: &[&str]) -> String {
        let stored = |user: &&str| testing::entry(user, 1_790_000_000, &Event::AccountLocked);
        let mut at = Base::default();
        for user in skipped {
            at = at.after(&with_request_id(&stored(user)));
        }
        let mut text = beginning(&[7; 16], &at);
        for user in users {
            let stored = with_request_id(&stored(user));
            at = at.after(&stored);
            text.extend(entry(&at, &stored).unwrap());
        }
        text.extend(ending(users.len() as u64, &at));
        String::from_utf8(text).unwrap()
    }

    /// The same entry each time it is made.
    fn with_request_id(stored: &[u8]) -> Vec<u8> {
        let mut entry: Map<String, Value> = serde_json::from_slice(stored).unwrap();
        entry.insert("request_id".to_owned(), "ab".into());
        serde_json::to_vec(&entry).unwrap()
    }

    fn fault(text: &str) -> String {
        check(text.as_bytes(), None).unwrap_err().to_string()
    }

    #[test]
    fn what_a_server_wrote_is_whole() {
        let whole = check(export(&["ann"], &["bob", "c\"ä"]).as_bytes(), None).unwrap();
        assert_eq!((whole.entries, whole.after, whole.last), (2, 1, 3));
        assert_eq!((whole.store.as_str(), whole.hash.len()), ("07".repeat(16).as_str(), 64));
        assert_eq!(check(export(&[], &[]).as_bytes(), None).unwrap().entries, 0);
    }

    #[test]
    fn whatever_is_changed_is_noticed() {
        let text = export(&[], &["ann", "bob", "cat"]);
        let lines: Vec<_> = text.lines().collect();
        let with = |lines: &[&str]| lines.iter().flat_map(|line| [line, "\n"]).collect::<String>();
        // What is told, what is stored, both.
        assert!(
            fault(&text.replace("\"user\":\"bob\"", "\"user\":\"eve\"")).contains("is not what was stored")
        );
        assert!(
            fault(&text.replace("\\\"bob\\\"", "\\\"eve\\\"")).starts_with("line 3: entry 2 was changed")
        );
        assert!(fault(&text.replace("bob", "eve")).starts_with("line 3: entry 2 was changed"));
        let twice = lines[2].replacen('{', "{\"user\":\"eve\",", 1);
        let twice = with(&[lines[0], lines[1], &twice, lines[3], lines[4]]);
        assert!(fault(&twice).contains("is not what was stored"));
        // Gone, moved, cut, prolonged.
        assert!(fault(&with(&[lines[0], lines[1], lines[3], lines[4]])).starts_with("line 3: here entry 2"));
        assert!(
            fault(&with(&[lines[0], lines[2], lines[1], lines[3], lines[4]])).starts_with("line 2: here")
        );
        assert!(fault(&with(&lines[..4])).starts_with("line 5: the export was cut short"));
        assert!(fault(text.trim_end()).starts_with("line 5: the export was cut short"));
        assert!(fault(&with(&[&lines[..], &[lines[4]]].concat())).contains("cut short, or its last"));
        assert!(fault(&with(&[lines[0], lines[1], lines[4]])).contains("cut short, or its last"));
        assert!(fault(&with(&lines[1..])).contains("no export with hashes"));
        assert!(fault(&text.replacen("0000", "0001", 1)).starts_with("line 2: entry 1 was changed"));
        assert!(fault(&text.replacen("export\":1", "export\":2", 1)).contains("format 2"));
    }

    #[test]
    fn exports_that_follow_each_other_agree() {
        let of = |text: &str, before: Option<&Whole>| check(text.as_bytes(), before);
        let first = of(&export(&[], &["ann", "bob"]), None).unwrap();
        let next = of(&export(&["ann"], &["bob", "cat"]), Some(&first)).unwrap();
        assert_eq!(next.last, 3);
        assert!(of(&export(&["ann", "bob"], &["cat"]), Some(&first)).is_ok());
        let fault = |text: &str, before| of(text, Some(before)).unwrap_err().to_string();
        assert!(fault(&export(&["ann", "eve"], &["cat"]), &first).starts_with("entry 2 has another hash"));
        assert!(
            fault(&export(&["ann", "bob", "cat"], &["dan"]), &first).starts_with("entries 3 to 3 are in")
        );
        assert!(fault(&export(&[], &["ann"]), &first).contains("oldest first"));
        let other = Whole { store: "08".repeat(16), ..first.clone() };
        assert!(fault(&export(&[], &["ann", "bob"]), &other).starts_with("it is of store 07"));
    }
}
