//! The trail as a file of JSON lines: with its hash chain where it is a whole stretch, without where filters leave holes.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header;
use tokio::sync::mpsc;

use super::reason;
use super::trail::Asked;
use crate::audit::{Entry, ServerEvent};
use crate::caller::Operator;
use crate::context::Context;
use crate::http::{BrokenOff, Chunks, Code, Problem, Reply, rfc3339};
use crate::maintenance::Part;
use crate::pages::{Form, Shown};
use crate::store::{Batch, Engine};
use crate::trail::export::Stretch;
use crate::trail::query::{self, Query, QueryError};

/// A client that takes nothing for so long is let go.
const TAKEN: Duration = Duration::from_secs(30);

/// What is asked for.
enum Wanted {
    WithHashes(Stretch),
    Some(Query),
}

/// Sends the file. That it leaves is in the trail before its first byte does.
///
/// # Errors
/// The operator may not, a filter is none, too many files leave already, or the store is not available.
pub(super) async fn post(context: &Context, operator: &Operator, form: &Form) -> Result<Shown, Problem> {
    let support = operator.support(reason(form)?)?;
    let asked = Asked::read(|name| form.text(name).to_owned());
    let query = asked.query()?;
    let busy = || Problem::new(Code::Unavailable).retry_after(30);
    let place = Arc::clone(&context.downloads).try_acquire_owned().map_err(|_| busy())?;
    let mut batch = Batch::new();
    batch.decided_at(support.origin.at);
    batch.append(
        Entry::of_server(query.app.as_ref(), &support.origin, &ServerEvent::AuditExported).to_bytes(),
    );
    context.engine.commit(batch).await.map_err(crate::store::StoreError::from)?;
    let wanted = if asked.have_holes() {
        Wanted::Some(query)
    } else {
        Wanted::WithHashes(Stretch { since: query.since, until: query.until, last: None })
    };
    let (out, chunks) = mpsc::channel(1);
    let engine = Arc::clone(&context.engine);
    tokio::spawn(async move {
        send(&*engine, wanted, &out).await;
        drop(place);
    });
    Ok(Shown::of(file(chunks, &rfc3339(support.origin.at))))
}

fn file(chunks: Chunks, now: &str) -> Reply {
    let day = now.split('T').next().unwrap_or_default();
    let disposition = format!("attachment; filename=\"sidekey-audit-{day}.jsonl\"");
    Reply::streaming("application/x-ndjson", chunks).with_header(header::CONTENT_DISPOSITION, &disposition)
}

async fn send(engine: &dyn Engine, wanted: Wanted, out: &mpsc::Sender<Result<Bytes, BrokenOff>>) {
    let (parts, mut waiting) = mpsc::channel(1);
    let read = async move {
        match wanted {
            Wanted::WithHashes(stretch) => query::export(engine, stretch, &parts).await,
            Wanted::Some(query) => query::find(engine, &query, &parts).await,
        }
    };
    // When it ends early, `waiting` goes with it, and that ends the reading.
    let passed_on = async move {
        while let Some(part) = waiting.recv().await {
            let Part::Data(bytes) = part else { continue };
            if !matches!(
                tokio::time::timeout(TAKEN, out.send(Ok(Bytes::copy_from_slice(&bytes)))).await,
                Ok(Ok(()))
            ) {
                return;
            }
        }
    };
    let (read, ()) = tokio::join!(read, passed_on);
    match read {
        Ok(_) | Err(QueryError::NobodyReads) => {}
        // The file must not look whole.
        Err(error) => {
            tracing::error!(%error, "the audit trail cannot be handed over");
            let _ = out.send(Err(BrokenOff)).await;
        }
    }
}
