//! Our own exports ([`crate::export`]), opened with the export's key.

use super::{ImportError, Read, Source, SourceFile, SourceOptions, Unit, WireUser};
use crate::export::{self, ReadError};
use crate::keyring::Keyring;

/// Reads exports.
///
/// # Errors
/// The key is missing or another one, or a file is not what was written.
pub(super) fn read(files: &[SourceFile], options: &SourceOptions) -> Result<Source, ImportError> {
    let mut source = Source::default();
    for file in files {
        let key = options.source_key.as_ref().ok_or_else(|| ImportError::KeyNeeded(file.whole()))?;
        let keyring = Keyring::parse(key).map_err(|_| ImportError::WrongKey(file.whole()))?;
        let mut number = 0;
        let opened = export::read(file.bytes.as_slice(), &keyring, |_, lines| {
            for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                number += 1;
                let user: WireUser = serde_json::from_slice(line).map_err(|_| String::new())?;
                source.users.push(Read { place: file.at(Unit::Entry, number), outcome: user.parse() });
            }
            Ok(())
        });
        opened.map_err(|error| match error {
            ReadError::WrongKey => ImportError::WrongKey(file.whole()),
            ReadError::NoExport => malformed(file, "it is no export of sidekey"),
            ReadError::Newer(_) => malformed(file, "a newer version of sidekey has written it"),
            ReadError::CutShort => malformed(file, "it is cut short"),
            _ => malformed(file, "it is damaged"),
        })?;
    }
    Ok(source)
}

fn malformed(file: &SourceFile, what: &'static str) -> ImportError {
    ImportError::Malformed { place: file.whole(), what }
}
