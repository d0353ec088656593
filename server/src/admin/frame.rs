//! What all templates of the admin area have in common.

use data_encoding::BASE64URL_NOPAD;
use http::Method;

use super::ROOT;
use crate::caller::{HalfWay, Operator};
use crate::context::Context;
use crate::http::Call;
use crate::operators::Role;
use crate::pages::{Cookie, Shown, redirect};

/// The entries of the navigation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Section {
    Overview,
    Events,
    Trail,
    Apps,
    Server,
    Users,
    Operators,
    /// None of them: a page in between.
    Nowhere,
}

impl Section {
    /// All of them, in the order of the navigation.
    const ALL: [Self; 7] =
        [Self::Overview, Self::Users, Self::Apps, Self::Trail, Self::Events, Self::Server, Self::Operators];

    /// Its name, where it is below `/admin/`, and who sees it.
    const fn parts(self) -> (&'static str, &'static str, Role) {
        match self {
            Self::Overview => ("Overview", "", Role::Viewer),
            Self::Events => ("Live", "events/", Role::Viewer),
            Self::Trail => ("Audit trail", "trail/", Role::Viewer),
            Self::Apps => ("Applications", "apps/", Role::Viewer),
            Self::Server => ("Server", "server/", Role::Viewer),
            Self::Users => ("Users", "users/", Role::Viewer),
            Self::Operators => ("Operators", "operators/", Role::Admin),
            Self::Nowhere => ("", "", Role::Admin),
        }
    }
}

/// An entry of the navigation as the layout shows it.
pub(crate) struct Entry {
    pub(crate) name: &'static str,
    pub(crate) path: &'static str,
    pub(crate) is_here: bool,
}

/// What every template of the admin area knows.
pub(crate) struct Frame {
    /// The prefix of every path.
    pub(crate) base: String,
    /// The product's name.
    pub(crate) issuer: String,
    /// What forms carry to prove that they are this browser's; empty on pages without any.
    pub(crate) csrf: String,
    /// Who is signed in, with their role.
    pub(crate) operator: Option<(String, Role)>,
    /// The navigation; empty for somebody who is not signed in.
    pub(crate) entries: Vec<Entry>,
    /// What the page is to say is done; it says so once.
    pub(crate) done: Option<String>,
}

impl Frame {
    /// The frame of a page for somebody who is signed in.
    pub(crate) fn of(context: &Context, operator: &Operator, call: &Call, section: Section) -> Self {
        let entry = |entry: Section| {
            let (name, path, _) = entry.parts();
            Entry { name, path, is_here: entry == section }
        };
        let seen = Section::ALL.into_iter().filter(|section| operator.is(section.parts().2));
        Self {
            csrf: operator.session.csrf.clone(),
            operator: Some((operator.name.to_string(), operator.role)),
            entries: seen.map(entry).collect(),
            done: said(context, call),
            ..Self::plain(context)
        }
    }

    /// The frame of a page for somebody who has given the password only.
    pub(super) fn half_way(context: &Context, half: &HalfWay) -> Self {
        Self { csrf: half.session.csrf.clone(), ..Self::plain(context) }
    }

    /// The frame of a page for anybody.
    pub(crate) fn plain(context: &Context) -> Self {
        Self {
            base: context.settings.base_path.to_string(),
            issuer: context.settings.issuer.clone(),
            csrf: String::new(),
            operator: None,
            entries: Vec::new(),
            done: None,
        }
    }
}

/// Leads to a page of the admin area that says once what was done. `path` is that below `/admin/`, with its query.
pub(crate) fn done(context: &Context, path: &str, sentence: &str) -> Shown {
    let kept = BASE64URL_NOPAD.encode(sentence.as_bytes());
    redirect(&format!("{}{path}", context.url(ROOT))).with_cookie(&Cookie::AdminDone.set(context, &kept))
}

/// A page that has said what was left to be said, which the next one does not say again.
pub(super) fn said_once(context: &Context, call: &Call, shown: Shown) -> Shown {
    // A look at the head of an answer says nothing.
    let is_said = call.method == Method::GET && Cookie::AdminDone.read(context, &call.headers).is_some();
    if is_said { shown.with_cookie(&Cookie::AdminDone.clear(context)) } else { shown }
}

/// What the page before has left to be said.
fn said(context: &Context, call: &Call) -> Option<String> {
    let kept = Cookie::AdminDone.read(context, &call.headers)?;
    String::from_utf8(BASE64URL_NOPAD.decode(kept.as_bytes()).ok()?).ok()
}
