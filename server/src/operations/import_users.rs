//! `POST /2fa/users/import/`: the host application hands over users who have their second factor elsewhere.

use serde::Serialize;

use crate::{
    caller::host,
    context::Context,
    http::{Call, Problem, Reply},
    import::{
        WireUser,
        apply::{Counts, Importer, Line},
    },
};

#[derive(Serialize)]
struct Answer {
    results: Vec<Line>,
    #[serde(flatten)]
    counts: Counts,
    dry_run: bool,
}

/// Takes over users, each in a transaction of its own: who has a device stays as they are, and who cannot be taken over is refused and
/// stops nobody else. The body's limit is that of the list.
///
/// # Errors
/// No valid API key, a malformed body, or the store is not available; who was taken over before that stays so.
pub async fn run(context: &Context, mut call: Call) -> Result<Reply, Problem> {
    let host = host(context, &call).await?;
    let fields = call.fields().await?;
    let dry_run = fields.optional_flag("dry_run")?.unwrap_or_default();
    let users: Vec<WireUser> = fields.list("users")?;
    let importer = Importer {
        store: &context.store,
        hasher: &context.hasher,
        clock: &context.clock,
        app: &host.app.id,
        origin: &host.origin,
        dry_run,
    };
    let results = importer.take_over(&users, |_| ()).await?;
    Ok(Reply::ok(&Answer { counts: Counts::of(&results), results, dry_run }))
}
