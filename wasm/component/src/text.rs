//! The interface `text`.

use sidekey_core::text;

use crate::{Component, bindings::exports::sidekey::core::text::Guest};

impl Guest for Component {
    fn normalize_code(text: String) -> String {
        text::code_from_input(&text)
    }

    fn normalize_backup_code(text: String) -> String {
        text::backup_code_from_input(&text)
    }
}
