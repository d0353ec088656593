//! PSKC, the container that makers of tokens deliver their keys in (RFC 6030), as XML. Plain values, and values encrypted with a key
//! agreed on beforehand (§6.1) or derived from a passphrase (§6.2); those encrypted to a certificate (§6.3) are refused, and a
//! signature (§7.3) is not checked.
//!
//! A key belongs to the user that its `UserId` names, or that of its device: a distinguished name (RFC 4514), of which `UID` or else
//! `CN` is taken, or any other text as it is. Where nobody is named, a CSV or JSON table beside the containers says whose it is, by
//! the columns `serial` or `key_id`, and `user_id`.
//!
//! The namespaces of a container are not compared, only the names of its elements: makers write drafts' ones.

mod encryption;
mod owner;

use data_encoding::BASE64;
use roxmltree::{Document, Node, ParsingOptions};
use sidekey_core::import::{DeviceRefusal, ImportedDevice};
use sidekey_core::secret::Secret;
use sidekey_core::totp::TotpParams;
use zeroize::Zeroizing;

use self::encryption::Encryption;
use self::owner::Owners;
use super::parts::{algorithm, params};
use super::{Gathered, ImportError, Note, Refusal, Source, SourceFile, SourceOptions, Unit};

/// The most nodes of a container: more than a hundred thousand keys.
const MAX_NODES: u32 = 8_000_000;
/// How deep elements may be nested; a container needs nine.
const MAX_DEPTH: usize = 64;

/// Reads containers, and tables that say whose the keys are.
///
/// # Errors
/// A file is no container and no such table, or its key is missing or wrong.
pub(super) fn read(files: &[SourceFile], options: &SourceOptions) -> Result<Source, ImportError> {
    let is_container = |file: &&SourceFile| file.text().is_ok_and(|text| text.trim_start().starts_with('<'));
    let (containers, tables): (Vec<_>, Vec<_>) = files.iter().partition(is_container);
    let owners = Owners::read(&tables)?;
    let mut reader = Reader { gathered: Gathered::default(), owners, notes: Vec::new(), drifted: 0 };
    for file in containers {
        reader.container(file, options)?;
    }
    Ok(reader.finish())
}

struct Reader {
    gathered: Gathered,
    owners: Owners,
    notes: Vec<Note>,
    drifted: usize,
}

impl Reader {
    fn container(&mut self, file: &SourceFile, options: &SourceOptions) -> Result<(), ImportError> {
        let malformed = |what| ImportError::Malformed { place: file.whole(), what };
        let text = file.text()?;
        if !is_flat(text) {
            return Err(malformed("its elements are nested too deeply"));
        }
        // No document type definition, so no entities that grow.
        let limits = ParsingOptions { nodes_limit: MAX_NODES, ..ParsingOptions::default() };
        let document = Document::parse_with_options(text, limits).map_err(|error| {
            let line = usize::try_from(error.pos().row).unwrap_or(usize::MAX);
            file.wrong(Unit::Line, line, "it is no XML")
        })?;
        let root = document.root_element();
        if root.tag_name().name() != "KeyContainer" {
            return Err(malformed("it is no PSKC container"));
        }
        if child(root, "Signature").is_some() {
            self.notes.push(Note(format!("{}: its signature is not checked", file.name)));
        }
        let encryption = Encryption::of(root, file, options.source_key.as_ref())?;
        let packages = root.children().filter(|node| node.tag_name().name() == "KeyPackage");
        let (mut opened, mut closed) = (0_usize, None);
        for (index, package) in packages.enumerate() {
            let place = file.at(Unit::Entry, index + 1);
            let keys: Vec<_> = package.children().filter(|node| node.tag_name().name() == "Key").collect();
            for key in keys {
                let Some(user) = self.owners.owner(package, key) else {
                    self.gathered.refuse(place.clone(), Refusal::Missing("UserId"));
                    continue;
                };
                let device = device(key, package, &encryption);
                match device {
                    Ok(_) => opened += 1,
                    Err(DeviceRefusal::SecretUnreadable) => {
                        closed.get_or_insert(place.clone());
                    }
                    Err(_) => {}
                }
                let drift = value(key, "TimeDrift", &encryption).and_then(|drift| drift.parse::<i64>().ok());
                self.drifted += usize::from(drift.is_some_and(|drift| drift.unsigned_abs() > 1));
                if let Some(user) = self.gathered.user(&user, place.clone()) {
                    user.add(device);
                }
            }
        }
        match closed {
            Some(place) if opened == 0 && encryption.is_in_use() => Err(ImportError::WrongKey(place)),
            _ => Ok(()),
        }
    }

    fn finish(mut self) -> Source {
        if self.drifted > 0 {
            self.notes.push(Note(format!(
                "the clocks of {} tokens are said to be more than one step off: nobody makes up for that here",
                self.drifted
            )));
        }
        Source { users: self.gathered.into_reads(), notes: self.notes }
    }
}

/// Whether the text nests its elements no deeper than [`MAX_DEPTH`]: counted before the parser sees it, which keeps no such limit.
fn is_flat(text: &str) -> bool {
    let mut depth = 0_usize;
    for part in text.split('<').skip(1) {
        match part.bytes().next() {
            Some(b'/') => depth = depth.saturating_sub(1),
            Some(b'?' | b'!') => {}
            _ if part.split('>').next().is_some_and(|tag| tag.ends_with('/')) => {}
            _ => depth += 1,
        }
        if depth > MAX_DEPTH {
            return false;
        }
    }
    true
}

fn device(
    key: Node<'_, '_>,
    package: Node<'_, '_>,
    encryption: &Encryption,
) -> Result<ImportedDevice, DeviceRefusal> {
    // §5: the algorithm is a URI, of which the last part is the name.
    let name = key.attribute("Algorithm").unwrap_or_default().to_ascii_lowercase();
    match name.rsplit([':', '#']).next() {
        Some("totp") => {}
        Some("hotp") => return Err(DeviceRefusal::Hotp),
        _ => return Err(DeviceRefusal::OtherKind),
    }
    // §4.4: a PIN that becomes part of what is typed is nothing that can be judged here.
    let pin = path(key, &["Policy", "PINPolicy"]).and_then(|policy| policy.attribute("PINUsageMode"));
    if pin.is_some_and(|mode| mode != "Local") {
        return Err(DeviceRefusal::OtherKind);
    }
    let format = path(key, &["AlgorithmParameters", "ResponseFormat"]).ok_or(DeviceRefusal::Digits)?;
    // §4.3.4: a check digit, or one-time passwords in other characters.
    if format.attribute("Encoding") != Some("DECIMAL")
        || matches!(format.attribute("CheckDigits"), Some("true" | "1"))
    {
        return Err(DeviceRefusal::Digits);
    }
    let digits: i64 =
        format.attribute("Length").and_then(|length| length.parse().ok()).ok_or(DeviceRefusal::Digits)?;
    let has_interval = path(key, &["Data", "TimeInterval"]).is_some();
    let interval = value(key, "TimeInterval", encryption).and_then(|interval| interval.parse().ok());
    if has_interval && interval.is_none() {
        return Err(DeviceRefusal::Period);
    }
    let mut params = params(Some(digits), interval, TotpParams::default())?;
    if let Some(suite) = path(key, &["AlgorithmParameters", "Suite"]) {
        params.algorithm = algorithm(suite.text().unwrap_or_default().trim())?;
    }
    let secret = path(key, &["Data", "Secret"]).ok_or(DeviceRefusal::SecretUnreadable)?;
    let bytes = match child(secret, "PlainValue") {
        Some(plain) => base64(plain),
        None => child(secret, "EncryptedValue")
            .and_then(|value| encryption.open(value, child(secret, "ValueMAC"))),
    };
    let mut device =
        ImportedDevice::new(Secret::from_bytes(bytes.ok_or(DeviceRefusal::SecretUnreadable)?)?, params)?;
    let serial = path(package, &["DeviceInfo", "SerialNo"]).and_then(|serial| serial.text());
    device.name = serial.and_then(|serial| sidekey_core::id::DeviceName::parse(serial.trim()).ok());
    Ok(device)
}

/// The text of a value of a key, opened if it is encrypted (§4.2).
fn value(key: Node<'_, '_>, name: &str, encryption: &Encryption) -> Option<Zeroizing<String>> {
    let value = path(key, &["Data", name])?;
    if let Some(plain) = child(value, "PlainValue") {
        return plain.text().map(|text| Zeroizing::new(text.trim().to_owned()));
    }
    let bytes = encryption.open(child(value, "EncryptedValue")?, child(value, "ValueMAC"))?;
    // §4.2: what is encrypted is an integer of four bytes or a long of eight; some write digits.
    let int = || bytes.as_slice().try_into().ok().map(i32::from_be_bytes).map(i64::from);
    let long = || bytes.as_slice().try_into().ok().map(i64::from_be_bytes);
    if let Some(number) = int().or_else(long) {
        return Some(Zeroizing::new(number.to_string()));
    }
    std::str::from_utf8(&bytes).ok().map(|text| Zeroizing::new(text.trim().to_owned()))
}

/// The first child element of this name.
fn child<'a, 'input>(node: Node<'a, 'input>, name: &str) -> Option<Node<'a, 'input>> {
    node.children().find(|child| child.is_element() && child.tag_name().name() == name)
}

/// The element that these names lead to.
fn path<'a, 'input>(node: Node<'a, 'input>, names: &[&str]) -> Option<Node<'a, 'input>> {
    names.iter().try_fold(node, |node, name| child(node, name))
}

/// The bytes that an element has in base64, however its lines are broken.
fn base64(node: Node<'_, '_>) -> Option<Zeroizing<Vec<u8>>> {
    let text = node.text()?;
    let mut kept = Zeroizing::new(Vec::with_capacity(text.len()));
    kept.extend(text.bytes().filter(|byte| !byte.is_ascii_whitespace()));
    BASE64.decode(&kept).ok().map(Zeroizing::new)
}

#[cfg(test)]
mod tests;
