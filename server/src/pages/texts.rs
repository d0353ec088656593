//! The sentences that scripts say: those of the package's custom elements, which a page brings along as a block of JSON.

use std::collections::BTreeMap;

use super::locale::Text;

/// Sentences of the pages that the elements know by the same name.
const SAME: [&str; 18] = [
    "backup.label",
    "code.label",
    "code.next-hint",
    "code.next-label",
    "codes.copied",
    "codes.file-account",
    "codes.file-advice",
    "codes.file-date",
    "codes.file-title",
    "copy.select",
    "enroll.key-copied",
    "preflight.clock",
    "preflight.clock-ahead",
    "preflight.clock-behind",
    "preflight.clock-right",
    "preflight.label",
    "preflight.qr",
    "preflight.qr-differs",
];

/// The sentences as JSON that can stand in a `<script>`: no `<` in it ends the element.
pub(super) fn json(text: &Text) -> String {
    // The elements fill these in, later.
    let later = [("account", "{account}"), ("date", "{date}"), ("time", "{time}")];
    let mut sentences: BTreeMap<&str, String> =
        SAME.iter().map(|name| (*name, text.fill(name, &later))).collect();
    sentences.insert("wait.label", format!("{} {{time}}", text.t("wait.label")));
    sentences.insert("wait.over", text.t("wait.over"));
    serde_json::json!(sentences).to_string().replace('<', "\\u003c")
}

#[cfg(test)]
mod tests {
    use super::{super::locale::english, *};

    #[test]
    fn nothing_ends_the_script_and_the_elements_find_their_values() {
        let app = "</script><b>".to_owned();
        let json = json(&Text { locale: english(), issuer: app.clone(), app });
        assert!(!json.contains('<'));
        let texts: BTreeMap<String, String> = serde_json::from_str(&json).unwrap();
        assert_eq!(texts["codes.file-title"], "Backup codes for </script><b>");
        assert_eq!(texts["wait.label"], "You can try again in {time}");
        assert!(texts["preflight.clock-ahead"].contains("{time}"));
        assert!(SAME.iter().all(|name| english().has(name)));
    }
}
