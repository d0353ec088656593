//! `import`: users of another product, from its files.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde::Serialize;
use sidekey_core::id::AppId;
use sidekey_core::totp::{Algorithm, Digits, Period, TotpParams};
use zeroize::Zeroizing;

use super::given::Common;
use super::operate::Series;
use super::output::{counted, print};
use super::progress::Progress;
use super::{Failure, block_on, parse_app_id};
use crate::control::{Command, Reply, socket::MAX_COMMAND};
use crate::import::apply::{Counts, Line, Outcome, notes};
use crate::import::{
    Format, MAX_BYTES, Note, Place, RecoverySettings, Source, SourceFile, SourceOptions, UserFrom, WireUser,
    read,
};

/// Users of a batch: with recovery codes, some seconds of hashing.
const BATCH: usize = 32;
/// Bytes of a batch's users; the rest of a command is short.
const BATCH_BYTES: usize = 48 * 1024;

/// What is imported, and where to.
#[derive(Debug, Args)]
pub(super) struct ImportArgs {
    /// The application whose users they become
    #[arg(long, value_parser = parse_app_id)]
    app: AppId,
    /// What the files are
    #[arg(long, value_enum)]
    format: Format,
    /// Only tell what would be done
    #[arg(long)]
    dry_run: bool,
    /// File with the key that decrypts them (`APP_KEY`, `BETTER_AUTH_SECRET`, a pre-shared key); or put it into the variable `SIDEKEY_SOURCE_KEY`
    #[arg(long, value_name = "FILE")]
    source_key_file: Option<PathBuf>,
    /// What of a label names the user, where nothing else does
    #[arg(long, value_enum, default_value_t = UserFrom::Account)]
    user_from: UserFrom,
    /// The hash function of the other product's codes, where its files do not tell
    #[arg(long, value_enum, default_value_t = Hash::Sha1)]
    algorithm: Hash,
    /// The digits of the other product's codes, where its files do not tell
    #[arg(long, value_name = "6..8", default_value_t = 6, value_parser = clap::value_parser!(u8).range(6..=8))]
    digits: u8,
    /// The period of the other product's codes in seconds, where its files do not tell
    #[arg(long, value_name = "15..120", default_value_t = 30, value_parser = clap::value_parser!(u8).range(15..=120))]
    period: u8,
    /// django-allauth: its setting `MFA_RECOVERY_CODE_COUNT`
    #[arg(long, value_name = "NUMBER", default_value_t = RecoverySettings::default().count)]
    recovery_code_count: u8,
    /// django-allauth: its setting `MFA_RECOVERY_CODE_DIGITS`
    #[arg(long, value_name = "NUMBER", default_value_t = RecoverySettings::default().digits, value_parser = recovery_digits())]
    recovery_code_digits: u8,
    /// The files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    common: Common,
}

/// [`Algorithm`] as it is typed.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Hash {
    /// HMAC-SHA-1
    Sha1,
    /// HMAC-SHA-256
    Sha256,
    /// HMAC-SHA-512
    Sha512,
}

fn recovery_digits() -> clap::builder::RangedI64ValueParser<u8> {
    clap::value_parser!(u8).range(1..=i64::from(RecoverySettings::MAX_DIGITS))
}

/// What has become of everybody.
#[derive(Debug, Serialize)]
struct Report {
    dry_run: bool,
    #[serde(flatten)]
    counts: Counts,
    users: Vec<Told>,
    notes: Vec<String>,
}

/// What has become of a user, and where they stand.
#[derive(Debug, Serialize)]
struct Told {
    place: String,
    #[serde(flatten)]
    line: Line,
}

impl ImportArgs {
    /// Runs it.
    ///
    /// # Errors
    /// The files cannot be read, the store cannot be reached, or a user was refused.
    pub(super) fn run(self) -> Result<(), Failure> {
        let options = self.options()?;
        let files = files(&self.files)?;
        let source = read(self.format, &files, &options).map_err(Failure::settings)?;
        drop((files, options));
        let Self { app, dry_run, common, .. } = self;
        let given = common.read()?;
        let mut progress = Progress::new(if dry_run { "Looking" } else { "Importing" });
        let mut series = Series::new(&given);
        let report = block_on(async {
            let report = carry_out(&app, dry_run, source, &mut series, &mut progress).await;
            series.end().await.and(report)
        })?;
        drop(progress);
        print(&if given.json {
            serde_json::to_string(&report).map_err(Failure::runtime)?
        } else {
            for_people(&report)
        })?;
        match report.counts.refused {
            0 => Ok(()),
            refused => {
                Err(Failure::Runtime(format!("{} cannot be taken over", counted(refused as u64, "user"))))
            }
        }
    }

    fn options(&self) -> Result<SourceOptions, Failure> {
        let source_key = match &self.source_key_file {
            Some(path) => {
                Some(Zeroizing::new(std::fs::read_to_string(path).map_err(|error| unreadable(path, &error))?))
            }
            None => std::env::var("SIDEKEY_SOURCE_KEY").ok().map(Zeroizing::new),
        };
        let algorithm = match self.algorithm {
            Hash::Sha1 => Algorithm::Sha1,
            Hash::Sha256 => Algorithm::Sha256,
            Hash::Sha512 => Algorithm::Sha512,
        };
        let digits = Digits::new(self.digits).map_err(Failure::settings)?;
        let period = Period::new(self.period).map_err(Failure::settings)?;
        Ok(SourceOptions {
            source_key,
            user_from: self.user_from,
            params: TotpParams { algorithm, digits, period },
            recovery: RecoverySettings { count: self.recovery_code_count, digits: self.recovery_code_digits },
        })
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::Settings(format!("`{}` cannot be read: {error}", path.display()))
}

fn files(paths: &[PathBuf]) -> Result<Vec<SourceFile>, Failure> {
    let mut left = MAX_BYTES as u64;
    let read = |path: &PathBuf| {
        let size = std::fs::metadata(path).map_err(|error| unreadable(path, &error))?.len();
        left = left.checked_sub(size).ok_or_else(|| {
            Failure::Settings(format!(
                "the files have more than {} MiB: import a part at a time",
                MAX_BYTES >> 20
            ))
        })?;
        let bytes = std::fs::read(path).map_err(|error| unreadable(path, &error))?;
        Ok(SourceFile { name: path.display().to_string(), bytes: bytes.into() })
    };
    paths.iter().map(read).collect()
}

/// A user on the way: where they stand, as written, and what the reader has left out of them.
struct Waiting {
    place: Place,
    user: WireUser,
    notes: Vec<String>,
}

async fn carry_out(
    app: &AppId,
    dry_run: bool,
    source: Source,
    series: &mut Series<'_>,
    progress: &mut Progress,
) -> Result<Report, Failure> {
    let Source { users, notes: of_source } = source;
    let total = users.len() as u64;
    let (mut told, mut batch, mut bytes) = (Vec::with_capacity(users.len()), Vec::new(), 0);
    for found in users {
        let place = found.place;
        let user = match found.outcome {
            Ok(user) => user,
            Err(refusal) => {
                told.push(Told { place: place.to_string(), line: Line::refused("", &refusal) });
                continue;
            }
        };
        let waiting = Waiting { place, user: WireUser::of(&user), notes: notes(&user, &user.left_out) };
        let size = serde_json::to_vec(&waiting.user).map(Zeroizing::new).map_err(Failure::runtime)?.len();
        if size > BATCH_BYTES {
            let line = Line::refused(&waiting.user.user_id, "the user has too many devices");
            told.push(Told { place: waiting.place.to_string(), line });
            continue;
        }
        if batch.len() == BATCH || bytes + size > BATCH_BYTES {
            told.extend(send(app, dry_run, std::mem::take(&mut batch), series).await?);
            progress.show(told.len() as u64, total);
            bytes = 0;
        }
        bytes += size;
        batch.push(waiting);
    }
    told.extend(send(app, dry_run, batch, series).await?);
    let counts = Counts::of(told.iter().map(|told| &told.line));
    Ok(Report { dry_run, counts, users: told, notes: of_source.into_iter().map(|Note(note)| note).collect() })
}

/// Has a batch taken over.
async fn send(
    app: &AppId,
    dry_run: bool,
    batch: Vec<Waiting>,
    series: &mut Series<'_>,
) -> Result<Vec<Told>, Failure> {
    const { assert!(BATCH_BYTES as u64 + 1_024 < MAX_COMMAND) };
    if batch.is_empty() {
        return Ok(Vec::new());
    }
    let (mut stands, mut users) = (Vec::with_capacity(batch.len()), Vec::with_capacity(batch.len()));
    for Waiting { place, user, notes } in batch {
        stands.push((place, notes));
        users.push(user);
    }
    let command = Command::ImportUsers { app: app.clone(), users, dry_run };
    let reply = series.carry_out(command, &mut |_| Ok(())).await?;
    let Reply::UsersImported { lines } = reply else { return Err(Failure::another_version()) };
    if lines.len() != stands.len() {
        return Err(Failure::another_version());
    }
    let told = stands.into_iter().zip(lines).map(|((place, notes), mut line)| {
        if line.outcome != Outcome::Skipped {
            line.notes.extend(notes);
            line.notes.sort();
            line.notes.dedup();
        }
        Told { place: place.to_string(), line }
    });
    Ok(told.collect())
}

/// A report for people: who was not taken over and why, what was left out, and the counts.
fn for_people(report: &Report) -> String {
    let (mut text, mut left_out) = (String::new(), BTreeMap::<&str, usize>::new());
    let (mut devices, mut codes) = (0, 0);
    for Told { place, line } in &report.users {
        (devices, codes) = (devices + line.devices, codes + line.backup_codes);
        let outcome = match line.outcome {
            Outcome::Imported => {
                line.notes.iter().for_each(|note| *left_out.entry(note).or_default() += 1);
                continue;
            }
            Outcome::Skipped => "skipped",
            Outcome::Refused => "refused",
        };
        let name = if line.user_id.is_empty() { String::new() } else { format!(" `{}`", line.user_id) };
        let reasons: Vec<_> = line.reason.iter().chain(&line.notes).map(String::as_str).collect();
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{outcome}{name} ({place}): {}", reasons.join("; "));
    }
    for (note, users) in left_out {
        let _ = writeln!(text, "note: of {}: {note}", counted(users as u64, "user"));
    }
    for note in &report.notes {
        let _ = writeln!(text, "note: {note}");
    }
    let Counts { imported, skipped, refused } = report.counts;
    let (did, end) =
        if report.dry_run { ("Would import", " Nothing was changed.") } else { ("Imported", "") };
    let _ = write!(
        text,
        "{did} {} with {} and {}; {skipped} skipped, {refused} refused.{end}",
        counted(imported as u64, "user"),
        counted(devices as u64, "device"),
        counted(codes as u64, "recovery code"),
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_names_who_was_not_taken_over_and_counts_what_was_left_out() {
        let line = |user: &str, outcome, notes: &[&str]| Told {
            place: "users.csv, row 7".to_owned(),
            line: Line {
                outcome,
                devices: usize::from(outcome == Outcome::Imported),
                notes: notes.iter().map(|note| (*note).to_owned()).collect(),
                ..Line::refused(user, "because")
            },
        };
        let codes = "recovery codes left out: bcrypt";
        let users = vec![
            line("ann", Outcome::Imported, &[codes]),
            line("bob", Outcome::Imported, &[codes]),
            line("eve", Outcome::Skipped, &[]),
            line("joe", Outcome::Refused, &["device left out: HOTP"]),
        ];
        let counts = Counts::of(users.iter().map(|told| &told.line));
        let report = Report { dry_run: false, counts, users, notes: vec!["a word".to_owned()] };
        assert_eq!(
            for_people(&report),
            "skipped `eve` (users.csv, row 7): because\n\
             refused `joe` (users.csv, row 7): because; device left out: HOTP\n\
             note: of 2 users: recovery codes left out: bcrypt\n\
             note: a word\n\
             Imported 2 users with 2 devices and 0 recovery codes; 1 skipped, 1 refused."
        );
        let dry = Report { dry_run: true, ..report };
        assert!(for_people(&dry).ends_with("1 refused. Nothing was changed."));
    }
}
