//! The file of settings.

use std::{fs, path::Path};

use super::ServeSettings;

/// The longest file that is read, in bytes.
const MAX_BYTES: u64 = 1024 * 1024;

/// The settings of a TOML file; a relative path in it begins where the server was started, as in a flag.
///
/// # Errors
/// A sentence: the file cannot be read, is too large, is no TOML (with line and column), or has a key that there is not.
pub(super) fn read(path: &Path) -> Result<ServeSettings, String> {
    let name = path.display();
    let size =
        fs::metadata(path).map_err(|error| format!("`--config {name}` cannot be read: {error}"))?.len();
    if size > MAX_BYTES {
        return Err(format!("`--config {name}` has more than {MAX_BYTES} bytes"));
    }
    let text =
        fs::read_to_string(path).map_err(|error| format!("`--config {name}` cannot be read: {error}"))?;
    toml::from_str(&text)
        .map_err(|error| format!("`--config {name}` is not right: {}", error.to_string().trim()))
}
