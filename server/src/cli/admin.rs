//! `sidekey admin`: the operators of the admin area.

use std::io::{self, BufRead as _, IsTerminal as _};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::given::Common;
use super::{Failure, operate};
use crate::control::Command;
use crate::http::rfc3339;
use crate::operators::{MIN_CHARS, OperatorLine, OperatorName, Password, Role};

#[derive(Debug, Subcommand)]
pub(super) enum AdminVerb {
    /// Make an operator, who signs in at `/admin/` and connects a device there within a day
    Create {
        /// Their name: 1 to 64 of a-z, 0-9, `.`, `_`, `@` and `-`
        #[arg(value_parser = OperatorName::parse)]
        name: OperatorName,
        /// What they may do
        #[arg(long, value_enum, default_value_t = Role::Admin)]
        role: Role,
        #[command(flatten)]
        password: GivenPassword,
        #[command(flatten)]
        common: Common,
    },
    /// List all operators
    List(Common),
    /// Give an operator another role, and sign them out
    SetRole {
        /// Their name
        #[arg(value_parser = OperatorName::parse)]
        name: OperatorName,
        /// What they may do
        #[arg(value_enum)]
        role: Role,
        #[command(flatten)]
        common: Common,
    },
    /// Give an operator another password, forget the wrong ones, and sign them out
    ResetPassword {
        /// Their name
        #[arg(value_parser = OperatorName::parse)]
        name: OperatorName,
        #[command(flatten)]
        password: GivenPassword,
        #[command(flatten)]
        common: Common,
    },
    /// Take away an operator's devices and backup codes, and sign them out; they have a day to connect a device anew
    ResetSecondFactor {
        /// Their name
        #[arg(value_parser = OperatorName::parse)]
        name: OperatorName,
        #[command(flatten)]
        common: Common,
    },
    /// Remove an operator with their second factor, and sign them out
    Remove {
        /// Their name
        #[arg(value_parser = OperatorName::parse)]
        name: OperatorName,
        #[command(flatten)]
        common: Common,
    },
}

#[derive(Debug, Args)]
pub(super) struct GivenPassword {
    /// File whose first line is the password; without it, the terminal is asked, or standard input read
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

impl AdminVerb {
    /// Runs it.
    ///
    /// # Errors
    /// There is no password, the command is refused, or the store cannot be reached.
    pub(super) fn run(self) -> Result<(), Failure> {
        match self {
            Self::Create { name, role, password, common } => {
                let password = password.read()?;
                operate::run(Command::CreateOperator { name, role, password }, common)
            }
            Self::List(common) => operate::run(Command::ListOperators, common),
            Self::SetRole { name, role, common } => {
                operate::run(Command::SetOperatorRole { name, role }, common)
            }
            Self::ResetPassword { name, password, common } => {
                let password = password.read()?;
                operate::run(Command::ResetOperatorPassword { name, password }, common)
            }
            Self::ResetSecondFactor { name, common } => {
                operate::run(Command::ResetOperatorSecondFactor { name }, common)
            }
            Self::Remove { name, common } => operate::run(Command::RemoveOperator { name }, common),
        }
    }
}

impl GivenPassword {
    fn read(&self) -> Result<Password, Failure> {
        let text = match &self.password_file {
            Some(file) => of_file(file)?,
            None if io::stdin().is_terminal() => of_terminal()?,
            None => first_line(io::stdin().lock()).map_err(Failure::runtime)?,
        };
        Password::parse(&text).map_err(Failure::settings)
    }
}

fn of_file(file: &Path) -> Result<Zeroizing<String>, Failure> {
    let opened = std::fs::File::open(file).and_then(|file| first_line(io::BufReader::new(file)));
    opened.map_err(|error| Failure::Settings(format!("cannot read `{}`: {error}", file.display())))
}

/// Asked twice, and shown by nobody.
fn of_terminal() -> Result<Zeroizing<String>, Failure> {
    let ask =
        |prompt: String| rpassword::prompt_password(prompt).map(Zeroizing::new).map_err(Failure::runtime);
    let first = ask(format!("Password, at least {MIN_CHARS} characters: "))?;
    let again = ask("The same again: ".to_owned())?;
    if first == again { Ok(first) } else { Err(Failure::settings("the two passwords differ")) }
}

/// The first line, without its end.
fn first_line(mut reader: impl io::BufRead) -> io::Result<Zeroizing<String>> {
    let mut line = Zeroizing::new(String::with_capacity(LINE_MAX));
    io::Read::take(&mut reader, LINE_MAX as u64).read_line(&mut line)?;
    let text = line.strip_suffix('\n').unwrap_or(&line);
    Ok(Zeroizing::new(text.strip_suffix('\r').unwrap_or(text).to_owned()))
}

/// A longer line is no password, in bytes.
const LINE_MAX: usize = 4_096;

pub(super) fn listed(operators: &[OperatorLine]) -> String {
    if operators.is_empty() {
        return "There is no operator yet; make one with `sidekey admin create NAME`.".to_owned();
    }
    let width = operators.iter().map(|operator| operator.name.as_str().len()).max().unwrap_or_default();
    let lines = operators.iter().map(|operator| {
        let (name, role) = (operator.name.as_str(), operator.role.word());
        let device = if operator.has_device {
            String::new()
        } else {
            format!("  no device yet, may connect one until {}", rfc3339(operator.enrol_until))
        };
        format!("{name:width$}  {role:7}{device}").trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

pub(super) fn listed_as_json(operators: &[OperatorLine]) -> Value {
    let line = |operator: &OperatorLine| {
        json!({
            "name": operator.name.as_str(),
            "role": operator.role.word(),
            "created_at": rfc3339(operator.created_at),
            "has_device": operator.has_device,
            "enrol_until": rfc3339(operator.enrol_until),
        })
    };
    operators.iter().map(line).collect()
}

pub(super) fn changed(name: &OperatorName, done: &str) -> String {
    match done {
        "created" => {
            format!("Operator {name} may sign in at /admin/ and has a day to connect a device there.")
        }
        "role_changed" => format!("Operator {name} has the role, and signs in anew."),
        "password_changed" => format!("Operator {name} has the password, and signs in anew."),
        "second_factor_reset" => format!("Operator {name} has a day to connect a device at /admin/."),
        _ => format!("Operator {name} is removed."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_of_a_file_is_the_password_whatever_ends_it() {
        for text in ["correct horse", "correct horse\n", "correct horse\r\nmore\n"] {
            assert_eq!(*first_line(text.as_bytes()).unwrap(), "correct horse");
        }
        assert!(Password::parse(&first_line("x".repeat(5_000).as_bytes()).unwrap()).is_err());
    }
}
