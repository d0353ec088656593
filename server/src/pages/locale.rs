//! The languages of the pages: one file each in `web/locales/`, named by its tag (RFC 5646), of sentences by their names.
//!
//! `{name}` in a sentence stands for a value; `{issuer}` and `{app}` are always known. English is what the others are measured by, and
//! what is shown where one lacks a sentence.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::LazyLock,
};

use http::{HeaderMap, header};
use rust_embed::RustEmbed;

/// The files of `web/locales/`.
#[derive(RustEmbed)]
#[folder = "../web/locales"]
#[include = "*.json"]
struct Files;

/// The language that every sentence exists in.
const ENGLISH: &str = "en";
/// Languages that are written from right to left.
const RIGHT_TO_LEFT: [&str; 4] = ["ar", "fa", "he", "ur"];
/// Most languages of a browser that are looked at.
const MOST_WANTED: usize = 20;

/// One language; there is one value of each.
pub struct Locale {
    /// Its tag.
    pub(crate) tag: String,
    sentences: BTreeMap<String, String>,
}

static ALL: LazyLock<Vec<Locale>> = LazyLock::new(|| {
    let locales = Files::iter().filter_map(|name| {
        let tag = name.strip_suffix(".json")?.to_owned();
        let sentences = serde_json::from_slice(&Files::get(&name)?.data).ok()?;
        Some(Locale { tag, sentences })
    });
    locales.collect()
});

/// A language without sentences, for a build without any.
static NONE: Locale = Locale { tag: String::new(), sentences: BTreeMap::new() };

impl PartialEq for Locale {
    fn eq(&self, other: &Self) -> bool {
        self.tag == other.tag
    }
}

impl Eq for Locale {}

impl fmt::Debug for Locale {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Locale").field(&self.tag).finish()
    }
}

impl Locale {
    /// The direction that it is written in, as HTML names it.
    pub(crate) fn direction(&self) -> &'static str {
        if RIGHT_TO_LEFT.contains(&primary(&self.tag)) { "rtl" } else { "ltr" }
    }

    /// A sentence, as it stands in the file.
    pub(crate) fn sentence<'a>(&'a self, name: &'a str) -> &'a str {
        let own = self.sentences.get(name).or_else(|| english().sentences.get(name));
        own.map_or(name, String::as_str)
    }

    /// Whether there is a sentence of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.sentences.contains_key(name)
    }
}

/// English.
pub(crate) fn english() -> &'static Locale {
    ALL.iter().find(|locale| locale.tag == ENGLISH).unwrap_or(&NONE)
}

/// The tags of all languages, in their order.
pub(crate) fn tags() -> impl Iterator<Item = &'static str> {
    let tags: BTreeSet<&str> = ALL.iter().map(|locale| locale.tag.as_str()).collect();
    tags.into_iter()
}

/// The language of the first tag that we speak: `de-AT` is German.
pub(crate) fn first_of<'a>(tags: impl Iterator<Item = &'a str>) -> Option<&'static Locale> {
    tags.take(MOST_WANTED).find_map(spoken)
}

fn spoken(tag: &str) -> Option<&'static Locale> {
    let exact = ALL.iter().find(|locale| locale.tag.eq_ignore_ascii_case(tag));
    exact.or_else(|| ALL.iter().find(|locale| locale.tag.eq_ignore_ascii_case(primary(tag))))
}

fn primary(tag: &str) -> &str {
    tag.split(['-', '_']).next().unwrap_or_default()
}

/// The language that a browser wants most (RFC 9110 §12.5.4), else English.
pub(crate) fn accepted(headers: &HeaderMap) -> &'static Locale {
    let value =
        headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut wanted: Vec<(&str, u16)> = value.split(',').take(MOST_WANTED).filter_map(weighed).collect();
    // Stable: of equals, the first one named comes first.
    wanted.sort_by_key(|(_, weight)| std::cmp::Reverse(*weight));
    first_of(wanted.into_iter().map(|(tag, _)| tag)).unwrap_or_else(english)
}

/// A tag and its weight in thousandths; `None` for one that is not wanted.
fn weighed(part: &str) -> Option<(&str, u16)> {
    let (tag, parameter) = part.split_once(';').unwrap_or((part, "q=1"));
    let weight: f32 = parameter.trim().strip_prefix("q=")?.parse().ok()?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "at most 1000 after the clamp"
    )]
    let weight = (weight.clamp(0.0, 1.0) * 1000.0) as u16;
    (weight > 0).then_some((tag.trim(), weight))
}

/// The sentences of one page: a language, and the names that they mention.
pub(crate) struct Text {
    /// The language.
    pub(crate) locale: &'static Locale,
    /// The product, as authenticators show it.
    pub(crate) issuer: String,
    /// The application.
    pub(crate) app: String,
}

impl Text {
    /// A sentence.
    pub(crate) fn t(&self, name: &str) -> String {
        self.fill(name, &[])
    }

    /// A sentence with a value in it.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "templates hand in what they have, numbers and texts alike"
    )]
    pub(crate) fn with(&self, name: &str, key: &str, value: impl ToString) -> String {
        self.fill(name, &[(key, &value.to_string())])
    }

    /// A sentence with values in it. Values are never looked at for further names, and are [`isolated`](Self::isolated).
    pub(crate) fn fill(&self, name: &str, values: &[(&str, &str)]) -> String {
        let mut out = String::new();
        let mut rest = self.locale.sentence(name);
        while let Some((before, after)) = rest.split_once('{') {
            let Some((key, after)) = after.split_once('}') else { break };
            out.push_str(before);
            let given = values.iter().find(|(known, _)| *known == key).map(|(_, value)| *value);
            out.push_str(&self.isolated(match key {
                "issuer" => &self.issuer,
                "app" => &self.app,
                _ => given.unwrap_or_default(),
            }));
            rest = after;
        }
        out.push_str(rest);
        out
    }

    /// A value between words: in a language that is written from right to left a name in Latin letters must not reorder them (UAX #9, FSI
    /// and PDI).
    pub(crate) fn isolated<'a>(&self, value: &'a str) -> Cow<'a, str> {
        if self.locale.direction() == "rtl" {
            format!("\u{2068}{value}\u{2069}").into()
        } else {
            value.into()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;
    use crate::http::Code;

    fn wants(value: &str) -> String {
        let headers = [(header::ACCEPT_LANGUAGE, value.parse().unwrap())].into_iter().collect();
        accepted(&headers).tag.clone()
    }

    /// The `{names}` in a sentence.
    fn names(sentence: &str) -> BTreeSet<&str> {
        sentence.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name).collect()
    }

    /// The texts of every template and every module of the pages, without their tests.
    fn sources() -> Vec<String> {
        let folders = [
            "../web/pages",
            "../web/mail",
            "../web/scripts",
            "src/pages",
            "src/pages/account",
            "src/notify/mail",
            "src/development",
        ];
        let files = folders.iter().flat_map(|folder| {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path())
        });
        let texts = files.filter(|path| path.is_file()).map(|path| fs::read_to_string(path).unwrap());
        texts.map(|text| text.split("#[cfg(test)]").next().unwrap().to_owned()).collect()
    }

    #[test]
    fn browsers_get_the_language_that_they_want_most_of_those_we_speak() {
        assert_eq!(wants("xx, en;q=0.1"), "en");
        assert_eq!(wants("en-GB"), "en");
        assert_eq!(wants(""), "en");
        assert_eq!(wants("xx;q=1, yy;q=nonsense, *"), "en");
        for locale in ALL.iter() {
            assert_eq!(wants(&format!("en;q=0.5, {}", locale.tag)), locale.tag);
            assert_eq!(wants(&format!("{};q=0, en;q=0.1", locale.tag)), "en");
        }
    }

    #[test]
    fn every_language_has_every_sentence_with_the_same_names_in_it() {
        assert!(english().sentences.len() > 100);
        for locale in ALL.iter() {
            for (name, sentence) in &english().sentences {
                let own = locale.sentences.get(name).unwrap_or_else(|| panic!("{}: no {name}", locale.tag));
                assert_eq!(names(own), names(sentence), "{}: {name}", locale.tag);
                assert!(!own.trim().is_empty(), "{}: {name}", locale.tag);
            }
            for name in locale.sentences.keys() {
                assert!(english().has(name), "{}: {name} is not in English", locale.tag);
            }
        }
    }

    #[test]
    fn every_file_is_a_language_and_none_is_left_out_for_a_mistake_in_it() {
        let tags: Vec<&str> = ALL.iter().map(|locale| locale.tag.as_str()).collect();
        assert_eq!(tags.len(), Files::iter().count(), "{tags:?}");
        for tag in [ENGLISH, "ar", "de", "es", "fr", "ja", "pt", "zh"] {
            assert!(tags.contains(&tag), "{tag}");
        }
    }

    #[test]
    fn languages_with_a_script_of_their_own_are_written_in_it() {
        let is_arabic = |c: char| matches!(c, '\u{600}'..='\u{6ff}');
        let is_han = |c: char| matches!(c, '\u{4e00}'..='\u{9fff}');
        let is_japanese = |c: char| matches!(c, '\u{3040}'..='\u{30ff}') || is_han(c);
        let scripts: [(&str, &dyn Fn(char) -> bool); 3] =
            [("ar", &is_arabic), ("ja", &is_japanese), ("zh", &is_han)];
        for (tag, is_own) in scripts {
            let locale = first_of(std::iter::once(tag)).unwrap();
            assert_eq!(locale.tag, tag);
            for (name, sentence) in &locale.sentences {
                assert!(sentence.chars().any(is_own), "{tag}: {name}");
            }
        }
        let chinese = first_of(std::iter::once("zh")).unwrap();
        let kana = |c: char| matches!(c, '\u{3040}'..='\u{30ff}');
        assert!(!chinese.sentences.values().any(|sentence| sentence.contains(kana)));
    }

    #[test]
    fn sentences_have_typographic_quotes_and_no_blank_too_many() {
        for locale in ALL.iter() {
            for (name, sentence) in &locale.sentences {
                let is_clean = sentence.trim() == sentence && !sentence.contains("  ");
                assert!(is_clean && !sentence.contains(['"', '\'', '<', '>']), "{}: {name}", locale.tag);
            }
        }
    }

    #[test]
    fn every_sentence_that_is_named_exists_and_every_other_is_gone() {
        let sources = sources();
        let mut named = BTreeSet::new();
        for source in &sources {
            // How templates and modules name one: as a text of its own, `part.word` or `part.WORD.word`.
            for text in source.split('"').skip(1) {
                if english().has(text) {
                    named.insert(text.to_owned());
                }
            }
            for marker in [".t(\"", ".with(\"", ".fill(\""] {
                for rest in source.split(marker).skip(1) {
                    let name = rest.split('"').next().unwrap();
                    assert!(english().has(name), "{name} is not in en.json");
                }
            }
        }
        let built = ["error.", "done.", "claim.", "activity."];
        for name in english().sentences.keys() {
            let is_built = built.iter().any(|start| name.starts_with(start));
            assert!(is_built || named.contains(name), "{name} is named nowhere");
        }
    }

    #[test]
    fn every_error_of_the_api_has_a_sentence() {
        for code in Code::ALL {
            assert!(english().has(&format!("error.{}", code.name())), "{}", code.name());
        }
    }

    #[test]
    fn values_are_isolated_where_words_go_from_right_to_left() {
        let arabic = first_of(std::iter::once("ar")).unwrap();
        let text = Text { locale: arabic, issuer: "A".into(), app: "Fish & Chips (UK)".into() };
        assert!(text.t("back-to-app").contains("\u{2068}Fish & Chips (UK)\u{2069}"));
        let text = Text { locale: english(), issuer: "A".into(), app: "B".into() };
        assert_eq!(text.t("back-to-app"), "Back to B");
    }

    #[test]
    fn values_land_as_they_are() {
        let text = Text { locale: &NONE, issuer: "A {app}".into(), app: "B".into() };
        assert_eq!(text.fill("{x}/{issuer}/{app}/{y}", &[("x", "{app}")]), "{app}/A {app}/B/");
        assert_eq!(text.t("a { b"), "a { b");
    }
}
