//! Completions and man pages: every shell and every reader of man pages that is at hand takes them, and they say what `--help` says.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use sidekey_tests::command;
use tempfile::TempDir;

#[tokio::test]
async fn each_shell_reads_its_completions() {
    let folder = TempDir::new().unwrap();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = command::run(["completions", shell]).await.ok().stdout;
        for word in ["rotate-jwt", "master-key-file", "Write everything stored into one file"] {
            // Bash shows no descriptions.
            assert!(
                script.contains(word) || (shell == "bash" && word.contains(' ')),
                "{shell} lacks `{word}`"
            );
        }
        let file = folder.path().join(shell);
        std::fs::write(&file, script).unwrap();
        if ["bash", "zsh", "fish"].contains(&shell)
            && let Some(ended) = run(Command::new(shell).arg("-n").arg(&file))
        {
            assert!(ended.is_empty(), "{shell}: {ended}");
        }
    }
    let refused = command::run(["completions", "tcsh"]).await.failed(2);
    assert!(refused.stderr.contains("possible values: bash"), "{}", refused.stderr);
}

#[tokio::test]
async fn bash_completes_a_command_and_its_option() {
    let folder = TempDir::new().unwrap();
    // Longer than a variable of the environment may be.
    let script = folder.path().join("completions");
    std::fs::write(&script, command::run(["completions", "bash"]).await.ok().stdout).unwrap();
    for (line, expected) in [("sidekey bac", "backup"), ("sidekey backup --ou", "--out")] {
        let ask = r#". "$SCRIPT"; COMP_WORDS=($LINE); COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
            _sidekey sidekey "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"; echo "${COMPREPLY[*]}""#;
        let output =
            Command::new("bash").args(["-c", ask]).env("SCRIPT", &script).env("LINE", line).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), expected, "{line}: {output:?}");
    }
}

#[tokio::test]
async fn there_is_a_man_page_for_each_command_with_the_words_of_its_help() {
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("man");
    command::run(["man", "--out", out.to_str().unwrap()]).await.ok();
    let pages: BTreeSet<String> = std::fs::read_dir(&out)
        .unwrap()
        .map(|page| page.unwrap().file_name().into_string().unwrap())
        .collect();
    for page in ["sidekey.1", "sidekey-serve.1", "sidekey-keys-rotate.1", "sidekey-completions.1"] {
        assert!(pages.contains(page), "{page} is missing: {pages:?}");
    }
    assert!(!pages.iter().any(|page| page.contains("help")), "{pages:?}");
    for page in &pages {
        reads(&out.join(page));
    }
    let help = command::run(["backup", "--help"]).await.ok().stdout;
    let page = plain(&std::fs::read_to_string(out.join("sidekey-backup.1")).unwrap());
    for sentence in [
        "Write everything stored into one file, while the server goes on",
        "an existing one is never replaced",
    ] {
        assert!(help.contains(sentence) && page.contains(sentence), "{sentence}: {page}");
    }
}

/// Fails if a reader of man pages finds a mistake in this one.
fn reads(page: &Path) {
    if let Some(ended) = run(Command::new("mandoc").args(["-T", "lint", "-W", "error"]).arg(page)) {
        assert!(ended.is_empty(), "mandoc: {ended}");
    }
    if let Some(ended) = run(Command::new("man").args(["--warnings", "-l"]).arg(page).env("MANPAGER", "true"))
    {
        assert!(ended.is_empty(), "man: {ended}");
    }
}

/// What a program complains of, with how it ended if that was no success; `None` if it is not here.
fn run(program: &mut Command) -> Option<String> {
    let output = program.output().ok()?;
    let mut said = String::from_utf8_lossy(&output.stderr).into_owned();
    if !output.status.success() {
        said.push_str(&String::from_utf8_lossy(&output.stdout));
        said.push_str(&output.status.to_string());
    }
    Some(said)
}

/// Roff without its escapes of hyphens.
fn plain(page: &str) -> String {
    page.replace("\\-", "-")
}
