//! The audit trail as an operator asks for it: a whole stretch, or what fits a question; one JSON object a line, oldest first.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use sidekey_core::id::{AppId, UserId};
use sidekey_core::time::UnixTime;
use tokio::sync::mpsc;

use super::export::{self, Stretch};
use crate::audit::{Outline, told};
use crate::maintenance::Part;
use crate::store::engine::MAX_SCAN;
use crate::store::{Engine, Key, Kind, StoreError, head};

/// Most entries that are asked for by their number: they are kept in memory until the last is known.
pub const MAX_LAST: usize = 100_000;

/// Bytes of lines that are handed over at once, about.
const CHUNK: usize = 256 * 1024;

/// Which entries: those that fit everything that is said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Query {
    /// About this app or its users.
    pub app: Option<AppId>,
    /// About users of this id.
    pub user: Option<UserId>,
    /// Of one of these types; none: of any.
    pub events: Vec<String>,
    /// Not before.
    pub since: Option<UnixTime>,
    /// Before.
    pub until: Option<UnixTime>,
    /// The newest so many of them, at most [`MAX_LAST`]; `None`: all.
    pub last: Option<usize>,
}

impl Query {
    /// Whether an entry as it is stored fits; what is no entry fits nothing.
    pub fn takes(&self, stored: &[u8]) -> bool {
        Outline::read(stored).is_some_and(|entry| self.fits(&entry))
    }

    fn fits(&self, entry: &Outline) -> bool {
        let Outline { at, app, user, event } = entry;
        self.app.as_ref().is_none_or(|wanted| app.as_deref() == Some(wanted.as_str()))
            && self.user.as_ref().is_none_or(|wanted| user.as_deref() == Some(wanted.as_str()))
            && (self.events.is_empty() || self.events.contains(&event.name))
            && self.since.is_none_or(|since| *at >= since)
            && self.until.is_none_or(|until| *at < until)
    }
}

/// Why entries were not sent to the last one.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The store cannot be read, or an entry in it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Whoever asked has gone.
    #[error("nobody reads what was asked for")]
    NobodyReads,
    /// The oldest entries were removed while they were to be read.
    #[error("old audit entries were removed meanwhile: try again")]
    Trimmed,
}

/// Sends the lines of the entries that fit to `parts`, and tells how many there are.
///
/// # Errors
/// The store cannot be read, or nobody reads on.
pub async fn find(engine: &dyn Engine, query: &Query, parts: &mpsc::Sender<Part>) -> Result<u64, QueryError> {
    let prefix = Key::of(Kind::Audit);
    let log = engine.audit_log();
    let (first, total) = (*log.start(), log.end().saturating_sub(*log.start()).saturating_add(1));
    let mut last = VecDeque::new();
    let (mut after, mut count, mut chunk) = (None, 0_u64, Vec::new());
    loop {
        let page = engine.scan(&prefix, after.as_ref(), MAX_SCAN).await?;
        for (key, record) in &page {
            let damaged = || StoreError::Damaged { key: key.to_string(), damage: "not an audit entry" };
            let sequence = key.audit_sequence().ok_or_else(damaged)?;
            let entry = Outline::read(&record.value).ok_or_else(damaged)?;
            if !query.fits(&entry) {
                continue;
            }
            count += 1;
            let line = line(sequence, &record.value).ok_or_else(damaged)?;
            match query.last {
                None => chunk.extend_from_slice(&line),
                Some(most) => {
                    last.push_back(line);
                    if last.len() > most.min(MAX_LAST) {
                        last.pop_front();
                        count -= 1;
                    }
                }
            }
        }
        if chunk.len() >= CHUNK {
            send(parts, Part::Data(std::mem::take(&mut chunk).into())).await?;
        }
        let Some((key, _)) = page.last() else { break };
        let done = key.audit_sequence().unwrap_or(first).saturating_sub(first);
        send(parts, Part::Progress { done, total }).await?;
        after = Some(key.clone());
    }
    for line in last {
        chunk.extend_from_slice(&line);
        if chunk.len() >= CHUNK {
            send(parts, Part::Data(std::mem::take(&mut chunk).into())).await?;
        }
    }
    if !chunk.is_empty() {
        send(parts, Part::Data(chunk.into())).await?;
    }
    Ok(count)
}

/// Sends a stretch of the trail with its hashes to `parts`, and tells how many entries it has.
///
/// # Errors
/// The store cannot be read, nobody reads on, or the oldest entries are removed meanwhile.
pub async fn export(
    engine: &dyn Engine,
    stretch: Stretch,
    parts: &mpsc::Sender<Part>,
) -> Result<u64, QueryError> {
    let prefix = Key::of(Kind::Audit);
    let mut at = head::base(engine).await?;
    let (first, end) = (at.sequence(), *engine.audit_log().end());
    let newest = stretch.last.map_or(0, |last| end.saturating_sub(last));
    let (mut begun, mut is_over, mut count, mut chunk) = (false, false, 0_u64, Vec::new());
    while !is_over {
        let page = engine.scan(&prefix, Some(&Key::audit(at.sequence())), MAX_SCAN).await?;
        is_over = page.is_empty();
        for (key, record) in &page {
            let damaged = || StoreError::Damaged { key: key.to_string(), damage: "not an audit entry" };
            let before = at;
            at = at.after(&record.value);
            if key.audit_sequence() != Some(at.sequence()) {
                return Err(QueryError::Trimmed);
            }
            let entry = Outline::read(&record.value).ok_or_else(damaged)?;
            if stretch.until.is_some_and(|until| entry.at >= until) {
                (is_over, at) = (true, before);
                break;
            }
            if !begun {
                let is_wanted = at.sequence() > newest && stretch.since.is_none_or(|since| entry.at >= since);
                if !is_wanted {
                    continue;
                }
                begun = true;
                chunk.extend(export::beginning(&engine.id(), &before));
            }
            count += 1;
            chunk.extend(export::entry(&at, &record.value).ok_or_else(damaged)?);
        }
        if chunk.len() >= CHUNK {
            send(parts, Part::Data(std::mem::take(&mut chunk).into())).await?;
        }
        let (done, total) = (at.sequence().saturating_sub(first), end.saturating_sub(first));
        send(parts, Part::Progress { done, total: total.max(done) }).await?;
    }
    if !begun {
        chunk.extend(export::beginning(&engine.id(), &at));
    }
    chunk.extend(export::ending(count, &at));
    send(parts, Part::Data(chunk.into())).await?;
    Ok(count)
}

/// An entry as it is told.
fn line(sequence: u64, entry: &[u8]) -> Option<Vec<u8>> {
    let mut line = serde_json::to_vec(&told(sequence, &serde_json::from_slice(entry).ok()?)).ok()?;
    line.push(b'\n');
    Some(line)
}

/// Nobody reads on: that ends it.
async fn send(parts: &mpsc::Sender<Part>, part: Part) -> Result<(), QueryError> {
    parts.send(part).await.map_err(|_| QueryError::NobodyReads)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use sidekey_core::{event::Event, id::AccountId};

    use super::*;
    use crate::audit::{Actor, Entry, Origin, ServerEvent};
    use crate::store::{Batch, SledEngine, sled::Options};

    async fn asked(engine: &dyn Engine, of: &Query) -> (Vec<Value>, u64) {
        let (parts, mut waiting) = mpsc::channel(1_000);
        let entries = find(engine, of, &parts).await.unwrap();
        drop(parts);
        let mut text = Vec::new();
        while let Some(part) = waiting.recv().await {
            if let Part::Data(bytes) = part {
                text.extend_from_slice(&bytes);
            }
        }
        let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        (lines.map(|line| serde_json::from_slice(line).unwrap()).collect(), entries)
    }

    #[tokio::test]
    async fn what_fits_is_told_oldest_first_with_its_number() {
        let folder = tempfile::tempdir().unwrap();
        let engine = SledEngine::open(folder.path(), &Options::new([7; 16])).unwrap();
        let app = AppId::parse("shop").unwrap();
        let mut batch = Batch::new();
        for number in 0..1_200_u64 {
            let at = UnixTime::from_secs(1_790_000_000 + number);
            let origin = Origin::local(Actor::Server, at);
            let user = UserId::parse(if number % 2 == 0 { "ann" } else { "bob" }).unwrap();
            let account = AccountId { app: app.clone(), user };
            let event = if number % 3 == 0 { Event::AccountLocked } else { Event::AccountUnlocked };
            batch.append(Entry::new(&account, &origin, &event).to_bytes());
        }
        let origin = Origin::local(Actor::Operator, UnixTime::from_secs(1_790_009_999));
        batch.append(Entry::of_server(Some(&app), &origin, &ServerEvent::AppCreated).to_bytes());
        engine.commit(batch).await.unwrap();

        let (all, count) = asked(&engine, &Query::default()).await;
        assert_eq!((all.len(), count), (1_201, 1_201));
        assert_eq!((&all[0]["sequence"], &all[0]["at"]), (&1.into(), &"2026-09-21T14:13:20Z".into()));
        assert_eq!(all[1_200]["event"]["type"], "app_created");
        let of = Query {
            user: UserId::parse("ann").ok(),
            events: vec!["account_locked".to_owned()],
            since: Some(UnixTime::from_secs(1_790_000_006)),
            until: Some(UnixTime::from_secs(1_790_000_030)),
            ..Query::default()
        };
        let (some, _) = asked(&engine, &of).await;
        let numbers: Vec<_> = some.iter().map(|entry| entry["sequence"].as_u64().unwrap()).collect();
        assert_eq!(numbers, [7, 13, 19, 25], "every sixth, from the sixth second to before the thirtieth");
        let (newest, count) = asked(&engine, &Query { last: Some(2), ..of }).await;
        let numbers: Vec<_> = newest.iter().map(|entry| entry["sequence"].as_u64().unwrap()).collect();
        assert_eq!((numbers, count), (vec![19, 25], 2));
        let other = Query { app: AppId::parse("other").ok(), ..Query::default() };
        assert!(asked(&engine, &other).await.0.is_empty());
    }
}
