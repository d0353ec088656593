//! `POST /2fa/users/import/`: the host application hands over users who have their second factor elsewhere.

use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::{
    caller::host,
    context::Context,
    http::{Call, Problem, Reply},
    import::{
        WireUser,
        apply::{Counts, Importer, Line},
    },
    openapi::{Operation, Tag},
};

/// Users who are to be taken over.
#[derive(Debug, ToSchema)]
pub struct ImportUsers {
    /// The users.
    pub users: Vec<WireUser>,
    /// Only tell what would be done.
    #[schema(default = false)]
    pub dry_run: Option<bool>,
}

/// What became of them.
#[derive(Serialize, ToSchema)]
#[schema(as = ImportedUsers)]
struct Answer {
    /// In the order of the list.
    results: Vec<Line>,
    #[serde(flatten)]
    counts: Counts,
    /// Whether nothing was changed.
    dry_run: bool,
}

pub(crate) fn described() -> Operation {
    Operation::new("importUsers", Tag::Users, "Take over users who have their second factor elsewhere")
        .telling(
            "Each user is one transaction: who has a device stays as they are, and who cannot be taken over is refused and stops \
             nobody else. The list can be sent again.",
        )
        .takes::<ImportUsers>(json!({
            "users": [{
                "user_id": "42",
                "account_name": "ann@example.com",
                "devices": [{ "secret": "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP", "name": "Phone" }],
                "backup_codes": { "form": "text", "case": "lower", "codes": ["abcde-fghij"] },
            }],
            "dry_run": false,
        }))
        .answers::<Answer>(
            "What became of each user, in the order of the list.",
            json!({
                "results": [{ "user_id": "42", "outcome": "imported", "devices": 1, "backup_codes": 1 }],
                "imported": 1,
                "skipped": 0,
                "refused": 0,
                "dry_run": false,
            }),
        )
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
