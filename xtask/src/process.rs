//! Other programs: finding them, running them, reading what they print.

use std::env;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};

use crate::Outcome;
use crate::failure::Failure;

/// Runs a command, its output going where ours goes, until it ends.
///
/// # Errors
/// It could not be started, or did not end with success.
pub(crate) fn run(command: &mut Command) -> Outcome {
    let status = command.status().map_err(|cause| not_started(command, &cause))?;
    if status.success() { Ok(()) } else { Err(ended(command, status)) }
}

/// Runs a command and gives what it printed on its standard output.
///
/// # Errors
/// It could not be started, did not end with success, or printed something that is not UTF-8.
pub(crate) fn read(command: &mut Command) -> Outcome<String> {
    let output = command.stderr(Stdio::inherit()).output().map_err(|cause| not_started(command, &cause))?;
    if !output.status.success() {
        return Err(ended(command, output.status));
    }
    String::from_utf8(output.stdout)
        .map_err(Failure::because(format!("`{}` printed no text", shown(command))))
}

/// Whether a command ends with success; what it prints is thrown away.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|s| s.success())
}

/// The first of these programs that stands on the PATH.
pub(crate) fn find(names: &[&str]) -> Option<PathBuf> {
    let folders: Vec<PathBuf> = env::split_paths(&env::var_os("PATH")?).collect();
    names.iter().find_map(|name| {
        folders
            .iter()
            .map(|folder| folder.join(name).with_extension(env::consts::EXE_EXTENSION))
            .find(|p| p.is_file())
    })
}

fn not_started(command: &Command, cause: &std::io::Error) -> Failure {
    let program = command.get_program().display();
    match cause.kind() {
        ErrorKind::NotFound => Failure::new(format!("`{program}` is not installed")),
        _ => Failure::new(format!("`{program}` could not be started: {cause}")),
    }
}

fn ended(command: &Command, status: ExitStatus) -> Failure {
    Failure::new(format!("`{}` failed ({status})", shown(command)))
}

/// The command line as a person would type it, cut where it gets long.
fn shown(command: &Command) -> String {
    let name = PathBuf::from(command.get_program());
    let mut line = name.file_name().unwrap_or(command.get_program()).to_string_lossy().into_owned();
    for argument in command.get_args() {
        if line.len() > 100 {
            line.push_str(" …");
            break;
        }
        line.push(' ');
        line.push_str(&argument.to_string_lossy());
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_the_command_and_its_status() {
        let failure = run(Command::new("cargo").args(["no-such-task"]).stderr(Stdio::null())).unwrap_err();
        assert!(
            failure.to_string().starts_with("`cargo no-such-task` failed (exit status: 101"),
            "{failure}"
        );
    }

    #[test]
    fn a_missing_program_is_said_to_be_missing() {
        let failure = run(&mut Command::new("sidekey-no-such-program")).unwrap_err();
        assert_eq!(failure.to_string(), "`sidekey-no-such-program` is not installed");
        assert_eq!(find(&["sidekey-no-such-program"]), None);
    }

    #[test]
    fn a_long_command_line_is_cut() {
        let line = shown(Command::new("/usr/bin/node").args(["x".repeat(120).as_str(), "y"]));
        assert!(line.starts_with("node xxx") && line.ends_with("x …"), "{line}");
    }
}
