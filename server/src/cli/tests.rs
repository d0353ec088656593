use clap::{CommandFactory, Parser};
use sidekey_core::policy::Enforcement;

use super::{Failure, Sidekey, Subject, app::AppVerb, keys, listed};

fn enforcement(flags: &[&str]) -> Result<Enforcement, Failure> {
    let arguments = ["sidekey", "app", "create", "--name", "Shop"].into_iter().chain(flags.iter().copied());
    match Sidekey::try_parse_from(arguments).unwrap().command {
        Subject::App(AppVerb::Create(new)) => new.enforcement(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_commands_are_consistent() {
    Sidekey::command().debug_assert();
}

#[test]
fn enforcement_is_read_from_its_flags() {
    for (flags, expected) in [
        (&[][..], Enforcement::Optional),
        (&["--enforcement", "encouraged", "--grace-days", "0"], Enforcement::Encouraged),
        (&["--enforcement", "required"], Enforcement::Required { grace_seconds: 0 }),
        (
            &["--enforcement", "required", "--grace-days", "7"],
            Enforcement::Required { grace_seconds: 604_800 },
        ),
        (&["--enforcement", "admins"], Enforcement::AdminsOnly),
    ] {
        assert_eq!(enforcement(flags).unwrap(), expected);
    }
    assert!(matches!(enforcement(&["--grace-days", "7"]), Err(Failure::Settings(_))));
}

#[test]
fn a_bad_id_is_a_mistake_of_the_arguments() {
    for id in ["", "Shop", "a/b"] {
        let error = Sidekey::try_parse_from(["sidekey", "key", "create", "--app", id]).unwrap_err();
        assert_eq!(error.exit_code(), 2);
    }
}

#[test]
fn all_mistakes_are_listed() {
    let Failure::Settings(text) = listed(&["one".to_owned(), "two".to_owned()]) else {
        panic!("not settings")
    };
    assert!(text.ends_with("\n  - one\n  - two"));
    assert_eq!(listed(&["one".to_owned()]), Failure::Settings("one".to_owned()));
}

#[test]
fn a_master_key_is_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("master.key");
    keys::generate(&file).unwrap();
    let before = std::fs::read(&file).unwrap();
    assert!(matches!(keys::generate(&file), Err(Failure::Runtime(_))));
    assert_eq!(std::fs::read(&file).unwrap(), before);
}
