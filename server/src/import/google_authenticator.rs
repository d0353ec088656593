//! Google Authenticator: what its "transfer accounts" shows as QR codes, `otpauth-migration://offline?data=…`, one a line, or as the
//! column `uri` of a CSV or JSON table whose column `user_id` says whose telephone it was.

use std::collections::{BTreeMap, BTreeSet};

use sidekey_core::id::AccountName;
use sidekey_core::import::{DeviceRefusal, ImportedDevice};
use sidekey_core::migration::{Batch, Entry, Migration};

use super::key_uris::{is_lines, user_of};
use super::table::rows;
use super::{Gathered, ImportError, Note, Place, Refusal, Source, SourceFile, SourceOptions, Unit};

/// The columns that mean something.
const COLUMNS: &[&str] = &["user_id", "uri"];

/// Reads the exports.
///
/// # Errors
/// A file is no text, or a table without the column `uri`.
pub(super) fn read(files: &[SourceFile], options: &SourceOptions) -> Result<Source, ImportError> {
    let (mut gathered, mut batches) = (Gathered::default(), Batches::default());
    for file in files {
        if is_lines(file.text()?) {
            for (index, line) in file.text()?.lines().enumerate() {
                if !line.trim().is_empty() {
                    let place = file.at(Unit::Line, index + 1);
                    export(line, None, &place, options, &mut gathered, &mut batches);
                }
            }
            continue;
        }
        let file = std::slice::from_ref(file);
        for row in rows(file, COLUMNS)? {
            let Some(place) = row.place(file) else { continue };
            if !row.has("uri") {
                return Err(ImportError::NoColumn { place, column: "uri" });
            }
            match (row.id(&["user_id"]), row.text("uri")) {
                (Some(user), Some(uri)) => {
                    export(uri, Some(&user), &place, options, &mut gathered, &mut batches);
                }
                (None, _) => gathered.refuse(place, Refusal::Missing("user_id")),
                (_, None) => gathered.refuse(place, Refusal::Missing("uri")),
            }
        }
    }
    Ok(Source { users: gathered.into_reads(), notes: batches.missing() })
}

/// The accounts of one QR code, all of `owner` if that is known.
fn export(
    uri: &str,
    owner: Option<&str>,
    place: &Place,
    options: &SourceOptions,
    gathered: &mut Gathered,
    batches: &mut Batches,
) {
    let migration = match Migration::parse(uri.trim()) {
        Ok(migration) => migration,
        Err(error) => return gathered.refuse(place.clone(), error.into()),
    };
    batches.take(migration.batch);
    for entry in migration.entries {
        let label = label(&entry);
        let (name, device) = match entry.outcome {
            Ok(uri) => {
                (user_of(&uri, options.user_from), ImportedDevice::new(uri.secret().clone(), uri.params()))
            }
            // Nothing but the name is known of an account that cannot be taken over.
            Err(refusal) => (label.clone(), Err(DeviceRefusal::from(refusal))),
        };
        let Some(user) = gathered.user(owner.unwrap_or(&name), place.clone()) else { continue };
        user.account_name = user.account_name.take().or_else(|| AccountName::parse(&label).ok());
        user.add(device);
    }
}

/// The account without the issuer in front of it.
fn label(entry: &Entry) -> String {
    let name = match entry.name.split_once(':') {
        Some((prefix, account)) if entry.issuer.is_empty() || prefix.trim() == entry.issuer.trim() => account,
        _ => &entry.name,
    };
    name.trim().to_owned()
}

/// The parts of each export that were there: an export of many accounts is spread over several QR codes.
#[derive(Default)]
struct Batches(BTreeMap<i32, (u32, BTreeSet<u32>)>);

impl Batches {
    fn take(&mut self, batch: Batch) {
        let (size, parts) = self.0.entry(batch.id).or_default();
        *size = batch.size.max(*size);
        parts.insert(batch.index);
    }

    fn missing(&self) -> Vec<Note> {
        let count =
            |(size, parts): &(u32, BTreeSet<u32>)| u64::from(*size).saturating_sub(parts.len() as u64);
        let missing = self.0.values().filter(|export| count(export) > 0);
        missing
            .map(|export| {
                Note(format!("{} of the {} QR codes of an export are missing here", count(export), export.0))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::UserFrom;
    use crate::import::testing::{file, fixture, user};

    #[test]
    fn labels_name_the_users_unless_a_table_does() {
        let lines = [fixture("google-authenticator.txt")];
        let source = read(&lines, &SourceOptions::default()).unwrap();
        let ann = user(&source, "ann");
        assert_eq!(ann.devices[0].secret.expose(), b"12345678901234567890");
        assert_eq!(user(&source, "bob").left_out, [DeviceRefusal::Hotp]);
        assert_eq!(user(&source, "cleo@example.com").devices[0].params.digits.count(), 8);
        assert_eq!(source.users[2].place.to_string(), "google-authenticator.txt, line 2");
        assert_eq!(source.notes, []);
        let options = SourceOptions { user_from: UserFrom::IssuerAndAccount, ..SourceOptions::default() };
        assert_eq!(user(&read(&lines, &options).unwrap(), "Shop:ann").devices.len(), 1);
        let source = read(&[fixture("google-authenticator.csv")], &SourceOptions::default()).unwrap();
        let owner = user(&source, "42");
        assert_eq!((owner.devices.len(), &owner.left_out[..]), (1, &[DeviceRefusal::Hotp][..]));
        assert_eq!(user(&source, "43").account_name.as_ref().unwrap().as_str(), "cleo@example.com");
    }

    #[test]
    fn what_is_missing_is_said() {
        let whole = fixture("google-authenticator.txt");
        let second = whole.text().unwrap().lines().nth(1).unwrap();
        let source =
            read(&[file("export.txt", &format!("\n{second}\n"))], &SourceOptions::default()).unwrap();
        assert_eq!(source.notes, [Note("1 of the 2 QR codes of an export are missing here".to_owned())]);
        assert_eq!(source.users[0].place.to_string(), "export.txt, line 2");
        let table = file("export.csv", "user_id,uri\n,x\n43,\n44,otpauth-migration://x\n");
        let source = read(&[table], &SourceOptions::default()).unwrap();
        assert_eq!(source.users[0].outcome, Err(Refusal::Missing("user_id")));
        assert_eq!(source.users[1].outcome, Err(Refusal::Missing("uri")));
        assert!(matches!(source.users[2].outcome, Err(Refusal::Migration(_))));
        let wrong = read(&[file("export.csv", "user_id,x\n1,2\n")], &SourceOptions::default()).unwrap_err();
        assert_eq!(wrong.to_string(), "export.csv, row 1: there is no column `uri`");
    }
}
