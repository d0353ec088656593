//! `sidekey app`: host applications and their settings.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use sidekey_core::colour::Colour;
use sidekey_core::id::AppId;
use sidekey_core::policy::Enforcement;

use super::given::Common;
use super::{Failure, operate, parse_app_id};
use crate::apps::settings::{self, word};
use crate::apps::{App, Edit, Logo, NewApp, ReturnUrl, ReturnUrls};
use crate::control::Command;

#[derive(Debug, Subcommand)]
pub(super) enum AppVerb {
    /// Make an application and its first API key, which is shown only now
    Create(CreateApp),
    /// List all applications
    List(Common),
    /// Show the settings of an application
    Show {
        /// The application
        #[arg(long, value_parser = parse_app_id)]
        app: AppId,
        #[command(flatten)]
        common: Common,
    },
    /// Change settings of an application, at once
    Set(SetApp),
}

#[derive(Debug, Args)]
pub(super) struct CreateApp {
    /// Its name, for people
    #[arg(long)]
    name: String,
    /// Its id: 1 to 64 of a-z, 0-9, `-` and `_`; default: made from the name
    #[arg(long, value_parser = parse_app_id)]
    id: Option<AppId>,
    /// Who must have a second factor
    #[arg(long, value_enum, default_value_t = Demand::Optional)]
    enforcement: Demand,
    /// With `required`: days that a user may go on without one
    #[arg(long, default_value_t = 0, value_parser = grace_days())]
    grace_days: u16,
    /// Where users may be sent back to, exactly; repeat it for several
    #[arg(long, value_name = "URL", value_parser = parse_return_url)]
    return_url: Vec<ReturnUrl>,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
pub(super) struct SetApp {
    /// The application
    #[arg(long, value_parser = parse_app_id)]
    app: AppId,
    #[command(flatten)]
    change: Change,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
struct Change {
    /// Its name, for people
    #[arg(long)]
    name: Option<String>,
    /// Who must have a second factor
    #[arg(long, value_enum)]
    enforcement: Option<Demand>,
    /// With `--enforcement required`: days that a user may go on without one
    #[arg(long, value_parser = grace_days(), requires = "enforcement")]
    grace_days: Option<u16>,
    /// Where users may be sent back to, exactly, in place of the list before; repeat it for several
    #[arg(long, value_name = "URL", value_parser = parse_return_url)]
    return_url: Vec<ReturnUrl>,
    /// Users are sent back nowhere
    #[arg(long, conflicts_with = "return_url")]
    no_return_urls: bool,
    /// The colour of its buttons, `#rrggbb`; text on it becomes white or black
    #[arg(long, value_name = "COLOR", value_parser = parse_colour)]
    accent_color: Option<Colour>,
    /// The colour that buttons usually have
    #[arg(long, conflicts_with = "accent_color")]
    no_accent_color: bool,
    /// Its logo: an SVG, PNG or WebP of at most 2,500 bytes
    #[arg(long, value_name = "FILE")]
    logo: Option<PathBuf>,
    /// No logo
    #[arg(long, conflicts_with = "logo")]
    no_logo: bool,
}

/// [`Enforcement`] as it is typed.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Demand {
    /// Whoever wants one
    Optional,
    /// Everybody is invited at each login
    Encouraged,
    /// Everybody
    Required,
    /// Administrators
    Admins,
}

fn grace_days() -> clap::builder::RangedI64ValueParser<u16> {
    clap::value_parser!(u16).range(0..=i64::from(settings::GRACE_DAYS_MAX))
}

fn parse_return_url(text: &str) -> Result<ReturnUrl, &'static str> {
    ReturnUrl::parse(text)
}

fn parse_colour(text: &str) -> Result<Colour, String> {
    Colour::parse(text).map_err(|error| error.to_string())
}

impl AppVerb {
    pub(super) fn run(self) -> Result<(), Failure> {
        match self {
            Self::Create(new) => {
                let enforcement = new.enforcement()?;
                let return_urls = listed(new.return_url)?;
                let (id, name) = (new.id, new.name);
                let new_app = NewApp { id, name, enforcement, return_urls };
                operate::run(Command::CreateApp(new_app), new.common)
            }
            Self::List(common) => operate::run(Command::ListApps, common),
            Self::Show { app, common } => operate::run(Command::ShowApp { app }, common),
            Self::Set(SetApp { app, change, common }) => {
                let edits = change.edits()?;
                operate::run(Command::ChangeApp { app, edits }, common)
            }
        }
    }
}

impl CreateApp {
    pub(super) fn enforcement(&self) -> Result<Enforcement, Failure> {
        self.enforcement.with(Some(self.grace_days))
    }
}

impl Demand {
    fn with(self, grace_days: Option<u16>) -> Result<Enforcement, Failure> {
        let word = match self {
            Self::Optional => "optional",
            Self::Encouraged => "encouraged",
            Self::Required => "required",
            Self::Admins => "admins",
        };
        settings::enforcement(word, grace_days)
            .map_err(|_| Failure::settings("`--grace-days` goes with `--enforcement required` only"))
    }
}

impl Change {
    fn edits(self) -> Result<Vec<Edit>, Failure> {
        let mut edits = Vec::new();
        edits.extend(self.name.map(Edit::Name));
        if let Some(demand) = self.enforcement {
            edits.push(Edit::Enforcement(demand.with(self.grace_days)?));
        }
        if self.no_return_urls || !self.return_url.is_empty() {
            edits.push(Edit::ReturnUrls(listed(self.return_url)?));
        }
        if self.no_accent_color || self.accent_color.is_some() {
            edits.push(Edit::AccentColor(self.accent_color));
        }
        if self.no_logo || self.logo.is_some() {
            edits.push(Edit::Logo(self.logo.as_deref().map(read_logo).transpose()?));
        }
        Ok(edits)
    }
}

fn listed(urls: Vec<ReturnUrl>) -> Result<ReturnUrls, Failure> {
    ReturnUrls::new(urls).map_err(|error| Failure::Settings(format!("`--return-url` {error}")))
}

fn read_logo(file: &Path) -> Result<Logo, Failure> {
    let fails =
        |why: &dyn std::fmt::Display| Failure::Settings(format!("`--logo {}`: {why}", file.display()));
    let bytes = std::fs::read(file).map_err(|error| fails(&error))?;
    Logo::of_picture(&bytes).map_err(|error| fails(&error))
}

/// An app's settings, one a line.
pub(super) fn shown(app: &App) -> String {
    let mut text = format!("Application    {} ({})\n", app.id, app.name);
    let grace = match app.enforcement {
        Enforcement::Required { grace_seconds } if grace_seconds > 0 => {
            format!(", {} days of grace", grace_seconds / settings::DAY)
        }
        _ => String::new(),
    };
    let colour = app.accent_color.map_or_else(|| "none".to_owned(), |colour| colour.to_string());
    let logo = app.logo.as_ref().map_or("none", |_| "set");
    let urls: Vec<_> = app.return_urls.iter().collect();
    let urls = if urls.is_empty() { "none".to_owned() } else { urls.join("\n               ") };
    // Writing to a string cannot fail.
    let _ = write!(
        text,
        "Enforcement    {}{grace}\nReturn URLs    {urls}\nAccent colour  {colour}\nLogo           {logo}",
        word(app.enforcement),
    );
    text
}
