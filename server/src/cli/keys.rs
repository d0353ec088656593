//! `sidekey keys generate`: a master key in a new file.

use std::io::{self, Write as _};
use std::path::Path;

use super::Failure;
use crate::entropy::Entropy;
use crate::keyring::{MasterKey, sources};

/// Writes a new master key to a file that must not exist, and says what to do with it.
///
/// # Errors
/// When the file exists or cannot be written.
pub(super) fn generate(out: &Path) -> Result<(), Failure> {
    let key = MasterKey::generate(&mut Entropy);
    sources::write_new(out, &key).map_err(Failure::runtime)?;
    let file = out.display();
    let text = format!(
        "Made the master key {} in {file}. Keep a copy in a safe place, apart from backups of the data:\n\
         without it the data cannot be read. Start with: sidekey serve --master-key-file {file}\n",
        key.id()
    );
    io::stdout().write_all(text.as_bytes()).map_err(Failure::runtime)
}
