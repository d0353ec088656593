//! The server itself: its settings, how the destinations of events stand, and a sweep at once.

use askama::Template;
use http::StatusCode;

use super::{Frame, Section, done, reason};
use crate::audit::{Entry, ServerEvent};
use crate::caller::Operator;
use crate::config::told::Told;
use crate::context::Context;
use crate::http::{Call, Code, Problem};
use crate::operators::Role;
use crate::outbox::orders;
use crate::pages::{Form, Shown, page};
use crate::store::{Batch, StoreError, retention, sweep};

#[derive(Template)]
#[template(path = "admin/server.html")]
struct ServerPage {
    frame: Frame,
    settings: Vec<Told>,
    /// What a file says besides, as it is written there.
    rules: String,
    master_keys: Vec<String>,
    destinations: Vec<Destination>,
    may_sweep: bool,
}

/// How a destination of events stands.
struct Destination {
    name: String,
    /// Whether the settings name it.
    is_known: bool,
    behind: u64,
    waiting: u64,
    dead: u64,
}

/// The page.
///
/// # Errors
/// The store is not available.
pub(super) async fn show(context: &Context, operator: &Operator, call: &Call) -> Result<Shown, Problem> {
    let known = &context.settings.destinations;
    let standing = orders::standing(&*context.engine).await?.into_iter();
    let destination = |(name, standing): (crate::outbox::Name, orders::Standing)| Destination {
        is_known: known.iter().any(|destination| destination.name == name),
        name: name.to_string(),
        behind: standing.behind,
        waiting: standing.waiting,
        dead: standing.dead,
    };
    let live = context.live.get();
    let shown = ServerPage {
        frame: Frame::of(context, operator, call, Section::Server),
        settings: context.settings.told.with_live(&live.told),
        rules: context.settings.told.rules_with_live(&live.told),
        master_keys: context.master_keys.current().ids().map(|id| id.to_string()).collect(),
        destinations: standing.map(destination).collect(),
        may_sweep: operator.is(Role::Admin),
    };
    Ok(page(StatusCode::OK, &shown))
}

/// Sweeps at once.
///
/// # Errors
/// The operator may not, or the store is not available.
pub(super) async fn post(context: &Context, operator: &Operator, form: &Form) -> Result<Shown, Problem> {
    let admin = operator.admin(reason(form)?)?;
    if form.text("action") != "sweep" {
        return Err(Problem::new(Code::NotFound));
    }
    let now = admin.origin().at;
    let removed = sweep::sweep(&context.store, now).await? as u64;
    let trimmed = retention::trim(&context.store, context.live.get().audit_retention, now).await?;
    let mut batch = Batch::new();
    batch.decided_at(now);
    batch.append(Entry::of_server(None, admin.origin(), &ServerEvent::Swept { removed, trimmed }).to_bytes());
    context.engine.commit(batch).await.map_err(StoreError::from)?;
    let said =
        format!("Removed {removed} records that were over and {trimmed} old entries of the audit trail.");
    Ok(done(context, "server/", &said))
}
