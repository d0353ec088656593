//! Key URIs, one a line: what most products export in one way or another. The label names the user.

use sidekey_core::{id::AccountName, import::ImportedDevice, key_uri::KeyUri};

use super::{Gathered, ImportError, Refusal, Source, SourceFile, SourceOptions, Unit, UserFrom};

/// Reads key URIs. Empty lines count for nothing.
///
/// # Errors
/// A file is no text.
pub(super) fn read(files: &[SourceFile], options: &SourceOptions) -> Result<Source, ImportError> {
    let mut gathered = Gathered::default();
    for file in files {
        let lines = file.text()?.lines().enumerate();
        for (index, line) in lines.filter(|(_, line)| !line.trim().is_empty()) {
            let place = file.at(Unit::Line, index + 1);
            match KeyUri::parse(line.trim()) {
                Ok(uri) => {
                    let account_name = AccountName::parse(uri.account()).ok();
                    if let Some(user) = gathered.user(&user_of(&uri, options.user_from), place) {
                        user.account_name = user.account_name.take().or(account_name);
                        user.add(ImportedDevice::new(uri.secret().clone(), uri.params()));
                    }
                }
                Err(error) => gathered.refuse(place, Refusal::KeyUri(error)),
            }
        }
    }
    Ok(Source { users: gathered.into_reads(), notes: Vec::new() })
}

/// The user that a label names.
pub(super) fn user_of(uri: &KeyUri, from: UserFrom) -> String {
    match (from, uri.issuer()) {
        (UserFrom::IssuerAndAccount, Some(issuer)) => format!("{issuer}:{}", uri.account()),
        (UserFrom::Account | UserFrom::IssuerAndAccount, _) => uri.account().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use sidekey_core::key_uri::KeyUriError;

    use super::*;
    use crate::import::testing::file;

    const LINES: &str = "\
otpauth://totp/Shop:ann?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Shop

otpauth://hotp/Shop:bob?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&counter=1
otpauth://totp/Shop:ann?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJR&issuer=Shop&digits=8
";

    fn read_with(user_from: UserFrom) -> Source {
        let options = SourceOptions { user_from, ..SourceOptions::default() };
        read(&[file("keys.txt", LINES)], &options).unwrap()
    }

    #[test]
    fn the_label_names_the_user_and_each_line_is_a_device() {
        let source = read_with(UserFrom::Account);
        let ann = source.users[0].outcome.as_ref().unwrap();
        assert_eq!((ann.user.as_str(), ann.devices.len()), ("ann", 2));
        assert_eq!(ann.account_name.as_ref().map(AccountName::as_str), Some("ann"));
        assert_eq!(ann.devices[1].params.digits.count(), 8);
        assert_eq!(source.users[1].outcome, Err(Refusal::KeyUri(KeyUriError::Hotp)));
        assert_eq!(source.users[1].place.to_string(), "keys.txt, line 3");
    }

    #[test]
    fn the_issuer_may_be_part_of_the_name() {
        let source = read_with(UserFrom::IssuerAndAccount);
        assert_eq!(source.users[0].outcome.as_ref().unwrap().user.as_str(), "Shop:ann");
    }
}
