//! Copies of folders.

use std::path::Path;

/// Copies regular files and folders, with their modes; a socket does not outlive its process.
pub fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder can be made");
    let mode = std::fs::metadata(from).expect("the folder is there").permissions();
    std::fs::set_permissions(to, mode).expect("modes can be set");
    for entry in std::fs::read_dir(from).expect("the folder can be read") {
        let entry = entry.expect("the folder can be read");
        let (kind, to) = (entry.file_type().expect("it has a type"), to.join(entry.file_name()));
        if kind.is_dir() {
            copy_folder(&entry.path(), &to);
        } else if kind.is_file() {
            std::fs::copy(entry.path(), to).expect("the file can be copied");
        }
    }
}
