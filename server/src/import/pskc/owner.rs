//! Whose a key is.

use std::collections::HashMap;

use roxmltree::Node;

use super::path;
use crate::import::table::rows;
use crate::import::{ImportError, SourceFile};

/// The columns that mean something.
const COLUMNS: &[&str] = &["user_id", "serial", "key_id"];

/// What tables say of whose the keys are.
#[derive(Default)]
pub(super) struct Owners {
    by_serial: HashMap<String, String>,
    by_key: HashMap<String, String>,
}

impl Owners {
    /// Reads the tables.
    ///
    /// # Errors
    /// One of them has not the columns.
    pub(super) fn read(tables: &[&SourceFile]) -> Result<Self, ImportError> {
        let mut owners = Self::default();
        for table in tables {
            let table = std::slice::from_ref(*table);
            for row in rows(table, COLUMNS)? {
                let Some(place) = row.place(table) else { continue };
                if !row.has("user_id") {
                    return Err(ImportError::NoColumn { place, column: "user_id" });
                }
                if !(row.has("serial") || row.has("key_id")) {
                    return Err(ImportError::NoColumn { place, column: "serial" });
                }
                // A row without a user is one of a token that lies in a drawer.
                let Some(user) = row.id(&["user_id"]) else { continue };
                if let Some(serial) = row.id(&["serial"]) {
                    owners.by_serial.insert(serial, user.clone());
                }
                if let Some(key) = row.id(&["key_id"]) {
                    owners.by_key.insert(key, user);
                }
            }
        }
        Ok(owners)
    }

    /// The user of a key: whom a table names, else whom the container names (RFC 6030 §4.3.1, §4.2.1).
    pub(super) fn owner(&self, package: Node<'_, '_>, key: Node<'_, '_>) -> Option<String> {
        let text =
            |node: Option<Node<'_, '_>>| node.and_then(|node| node.text()).map(|text| text.trim().to_owned());
        let serial = text(path(package, &["DeviceInfo", "SerialNo"]));
        let named = serial.and_then(|serial| self.by_serial.get(&serial));
        let named = named.or_else(|| self.by_key.get(key.attribute("Id")?));
        named.cloned().or_else(|| {
            let name =
                text(path(key, &["UserId"])).or_else(|| text(path(package, &["DeviceInfo", "UserId"])))?;
            Some(of_distinguished_name(&name))
        })
    }
}

/// `UID` of a distinguished name, else its `CN`, else the text as it is.
fn of_distinguished_name(name: &str) -> String {
    let parts = || name.split([',', '+']).filter_map(|part| part.split_once('='));
    let attribute = |wanted: &str| {
        parts()
            .find(|(key, _)| key.trim().eq_ignore_ascii_case(wanted))
            .map(|(_, value)| value.trim().to_owned())
    };
    // A value with escaped separators is not taken apart.
    if name.contains(['\\', '"', '#']) {
        return name.to_owned();
    }
    attribute("UID")
        .or_else(|| attribute("CN"))
        .filter(|value| !value.is_empty())
        .unwrap_or_else(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distinguished_names_name_a_user() {
        for (name, user) in [
            ("UID=jsmith,DC=example,DC=net", "jsmith"),
            ("CN=Ann Example, uid = ann , O=Example", "ann"),
            ("CN=bob, O=Example", "bob"),
            ("ann@example.com", "ann@example.com"),
            ("O=Example", "O=Example"),
            (r"CN=a\,b,O=Example", r"CN=a\,b,O=Example"),
            ("UID=", "UID="),
        ] {
            assert_eq!(of_distinguished_name(name), user);
        }
    }
}
