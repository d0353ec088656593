//! What happens, as it happens: entries of the trail as server-sent events (WHATWG HTML §9.2).
//!
//! Each listener reads the trail for itself, page by page and only as fast as its client takes what it gets. So a listener costs one page of
//! memory however much happens, coming back with `Last-Event-ID` is nothing but another place to begin, and nothing that happens waits
//! for anybody who watches.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Map, Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::audit::told;
use crate::http::{BrokenOff, Chunks};
use crate::store::{Engine, Key, Kind, Pending, StoreError};

/// Most listeners at once.
pub const MAX_LISTENERS: usize = 16;
/// Entries that are read at once.
const PAGE: usize = 100;
/// A listener that is further behind is told how much it misses, and goes on with what is new.
pub const MAX_BEHIND: u64 = 1_000;
/// Between two looks at the trail.
const LOOK: Duration = Duration::from_secs(1);
/// Between two signs of life, which keep proxies from closing the connection (§9.2.7 advises 15 seconds), and between two looks whether
/// the listener may still listen.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// A client that takes nothing for so long is let go. It may come back and read what it has missed.
const TAKEN: Duration = Duration::from_secs(10);

/// The places of listeners.
#[derive(Debug)]
pub struct Listeners {
    places: Arc<Semaphore>,
    heartbeat: Duration,
}

impl Default for Listeners {
    fn default() -> Self {
        Self { places: Arc::new(Semaphore::new(MAX_LISTENERS)), heartbeat: HEARTBEAT }
    }
}

/// Whether whoever listens still may.
pub type MayListen = Box<dyn Fn() -> Pending<'static, bool> + Send + Sync>;

impl Listeners {
    /// The stream of what comes after the entry with the number `after`, or from now on; `None`: all places are taken.
    pub fn listen(
        &self,
        engine: Arc<dyn Engine>,
        after: Option<u64>,
        may_listen: MayListen,
    ) -> Option<Chunks> {
        let place = Arc::clone(&self.places).try_acquire_owned().ok()?;
        let end = *engine.audit_log().end();
        // A number that is not there yet is of another store.
        let at = after.filter(|after| *after <= end).unwrap_or(end);
        let (out, chunks) = mpsc::channel(1);
        let heartbeat = self.heartbeat;
        let listener = Listener { engine, at, out, may_listen, heartbeat, _place: place };
        tokio::spawn(listener.serve());
        Some(chunks)
    }
}

struct Listener {
    engine: Arc<dyn Engine>,
    /// The number of the last entry that was sent.
    at: u64,
    out: mpsc::Sender<Result<Bytes, BrokenOff>>,
    may_listen: MayListen,
    heartbeat: Duration,
    _place: OwnedSemaphorePermit,
}

/// The client is gone, or takes nothing.
struct Gone;

impl Listener {
    async fn serve(mut self) {
        // A comment first, so that the client knows at once that it is connected.
        if self.send(":\nretry: 3000\n\n".to_owned()).await.is_err() {
            return;
        }
        let (mut look, mut heartbeat) = (tokio::time::interval(LOOK), tokio::time::interval(self.heartbeat));
        heartbeat.reset();
        loop {
            let went = tokio::select! {
                () = self.out.closed() => return,
                _ = heartbeat.tick() => self.beat().await,
                _ = look.tick() => self.send_new().await,
            };
            if went.is_err() {
                return;
            }
        }
    }

    async fn beat(&self) -> Result<(), Gone> {
        if (self.may_listen)().await {
            return self.send(":\n\n".to_owned()).await;
        }
        self.send(event("over", None, &Value::Null)).await?;
        Err(Gone)
    }

    /// Sends what has happened since; never more than a page, so that the heart goes on beating.
    async fn send_new(&mut self) -> Result<(), Gone> {
        match self.unsent().await {
            Ok(text) if text.is_empty() => Ok(()),
            Ok(text) if (self.may_listen)().await => self.send(text).await,
            Ok(_) => self.beat().await,
            Err(error) => {
                tracing::warn!(%error, "what happens cannot be shown");
                Err(Gone)
            }
        }
    }

    async fn unsent(&mut self) -> Result<String, StoreError> {
        let mut text = String::new();
        let end = *self.engine.audit_log().end();
        if end.saturating_sub(self.at) > MAX_BEHIND {
            let (from, to) = (self.at + 1, end - MAX_BEHIND);
            text += &event("missed", Some(to), &json!({ "from": from, "to": to }));
            self.at = to;
        }
        let page = self.engine.scan(&Key::of(Kind::Audit), Some(&Key::audit(self.at)), PAGE).await?;
        for (key, record) in page {
            let Some(sequence) = key.audit_sequence() else { continue };
            self.at = sequence;
            if let Ok(entry) = serde_json::from_slice::<Map<String, Value>>(&record.value) {
                text += &event("entry", Some(sequence), &told(sequence, &entry).into());
            }
        }
        Ok(text)
    }

    async fn send(&self, text: String) -> Result<(), Gone> {
        match tokio::time::timeout(TAKEN, self.out.send(Ok(text.into()))).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Gone),
        }
    }
}

/// One event. JSON has no line breaks of its own, so that its data is one line.
fn event(name: &str, id: Option<u64>, data: &Value) -> String {
    let id = id.map(|id| format!("id: {id}\n")).unwrap_or_default();
    format!("event: {name}\n{id}data: {data}\n\n")
}

#[cfg(test)]
mod tests {
    use sidekey_core::event::Event;

    use super::*;
    use crate::notify::testing::entry;
    use crate::store::sled::Options;
    use crate::store::{Batch, SledEngine};

    async fn store(entries: u64) -> (tempfile::TempDir, Arc<dyn Engine>) {
        let folder = tempfile::tempdir().unwrap();
        let engine: Arc<dyn Engine> =
            Arc::new(SledEngine::open(&folder.path().join("data"), &Options::new([7; 16])).unwrap());
        happen(&engine, entries).await;
        (folder, engine)
    }

    async fn happen(engine: &Arc<dyn Engine>, entries: u64) {
        let mut left = entries;
        while left > 0 {
            let mut batch = Batch::new();
            for _ in 0..left.min(1_000) {
                batch.append(entry("ann", 1_790_000_000, &Event::AccountLocked));
            }
            left -= left.min(1_000);
            engine.commit(batch).await.unwrap();
        }
    }

    fn always(answer: bool) -> MayListen {
        Box::new(move || Box::pin(std::future::ready(answer)))
    }

    async fn next(chunks: &mut Chunks) -> Vec<u8> {
        chunks.recv().await.expect("it goes on").unwrap().to_vec()
    }

    /// The numbers of the next events, after the comment at the beginning.
    async fn next_ids(chunks: &mut Chunks, count: usize) -> Vec<u64> {
        let mut ids = Vec::new();
        while ids.len() < count {
            let text = String::from_utf8(next(chunks).await).unwrap();
            ids.extend(text.lines().filter_map(|line| line.strip_prefix("id: ")?.parse::<u64>().ok()));
        }
        ids
    }

    #[tokio::test]
    async fn a_listener_gets_what_comes_after_its_place_in_order() {
        let (_folder, engine) = store(250).await;
        let listeners = Listeners::default();
        let mut from_start = listeners.listen(Arc::clone(&engine), Some(0), always(true)).unwrap();
        assert_eq!(next_ids(&mut from_start, 250).await, (1..=250).collect::<Vec<_>>());
        let mut from_now = listeners.listen(Arc::clone(&engine), None, always(true)).unwrap();
        let mut of_another = listeners.listen(Arc::clone(&engine), Some(9_999), always(true)).unwrap();
        happen(&engine, 2).await;
        for chunks in [&mut from_start, &mut from_now, &mut of_another] {
            assert_eq!(next_ids(chunks, 2).await, [251, 252]);
        }
    }

    #[tokio::test]
    async fn who_is_far_behind_is_told_what_is_missing() {
        let (_folder, engine) = store(MAX_BEHIND + 50).await;
        let mut chunks = Listeners::default().listen(engine, Some(0), always(true)).unwrap();
        let comment = next(&mut chunks).await;
        assert!(comment.starts_with(b":\n"));
        let text = String::from_utf8(next(&mut chunks).await).unwrap();
        assert!(
            text.starts_with("event: missed\nid: 50\ndata: {\"from\":1,\"to\":50}\n\nevent: entry\nid: 51\n"),
            "{text}"
        );
    }

    #[tokio::test]
    async fn places_are_few_and_come_free_when_a_client_goes() {
        let (_folder, engine) = store(1).await;
        let listeners = Listeners::default();
        let listen = || listeners.listen(Arc::clone(&engine), None, always(true));
        let mut taken: Vec<_> = (0..MAX_LISTENERS).map(|_| listen().unwrap()).collect();
        assert!(listen().is_none());
        taken.pop();
        while listeners.places.available_permits() == 0 {
            tokio::task::yield_now().await;
        }
        assert!(listen().is_some());
    }

    #[tokio::test]
    async fn a_quiet_stream_shows_signs_of_life_until_it_may_not_go_on() {
        let (_folder, engine) = store(1).await;
        let listeners = Listeners { heartbeat: Duration::from_millis(5), ..Listeners::default() };
        let mut chunks = listeners.listen(Arc::clone(&engine), None, always(true)).unwrap();
        next(&mut chunks).await;
        assert_eq!(next(&mut chunks).await, b":\n\n");
        let mut chunks = listeners.listen(engine, None, always(false)).unwrap();
        next(&mut chunks).await;
        assert_eq!(next(&mut chunks).await, b"event: over\ndata: null\n\n");
        assert!(chunks.recv().await.is_none());
    }
}
