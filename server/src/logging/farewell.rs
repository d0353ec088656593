//! What a thread logs while it ends.
//!
//! Libraries log in the destructors of a thread's own values: sled does at `trace`, when an ending thread is the last to hold a page. By
//! then the buffer in which `tracing-subscriber` puts lines together may be gone, which would be a panic in a destructor, and that ends
//! the process. Such a line is left out instead.

use std::cell::Cell;
use std::io;

use tracing::{Event, Metadata};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Context, Filter};

thread_local! {
    /// Whether this thread's buffer may be gone. It has no destructor, so that it can be asked to the end.
    static IS_ENDING: Cell<bool> = const { Cell::new(false) };
    /// Its destructor says so. A thread's values are dropped in the reverse order of their first use, and this one is first used where
    /// a line is written, when the buffer already is: it goes before the buffer.
    static WITNESS: Witness = const { Witness };
}

struct Witness;

impl Drop for Witness {
    fn drop(&mut self) {
        IS_ENDING.set(true);
    }
}

/// Lets no event through of a thread that is ending.
pub(super) struct WhileAlive;

impl<S> Filter<S> for WhileAlive {
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        true
    }

    fn callsite_enabled(&self, _: &'static Metadata<'static>) -> tracing::subscriber::Interest {
        tracing::subscriber::Interest::always()
    }

    fn event_enabled(&self, _: &Event<'_>, _: &Context<'_, S>) -> bool {
        !IS_ENDING.get()
    }

    /// Leaves the level to the filter that it is combined with.
    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::TRACE)
    }
}

/// Makes writers, and notes that this thread writes.
#[derive(Debug)]
pub(super) struct Witnessed<W>(pub(super) W);

impl<'writer, W> MakeWriter<'writer> for Witnessed<W>
where
    W: MakeWriter<'writer>,
    W::Writer: io::Write,
{
    type Writer = W::Writer;

    fn make_writer(&'writer self) -> Self::Writer {
        // A thread that is ending has no witness any more; it writes nothing either.
        let _ = WITNESS.try_with(|_| ());
        self.0.make_writer()
    }
}

#[cfg(test)]
mod tests {
    use tracing::Dispatch;
    use tracing_subscriber::prelude::*;

    use super::super::{json_layer, testing::Lines};
    use super::*;

    /// Logs when its thread ends.
    struct Talkative(Dispatch);

    impl Drop for Talkative {
        fn drop(&mut self) {
            tracing::dispatcher::with_default(&self.0, || tracing::info!("last words"));
        }
    }

    thread_local! {
        static TALKATIVE: Cell<Option<Talkative>> = const { Cell::new(None) };
    }

    /// What a thread writes that logs in its end, and before it if it has anything to say.
    fn lines_of_a_thread(says_something_first: bool) -> String {
        let lines = Lines::default();
        let layer = json_layer(Witnessed(lines.clone())).with_filter(WhileAlive);
        let dispatch = Dispatch::new(tracing_subscriber::registry().with(layer));
        let thread = std::thread::spawn(move || {
            TALKATIVE.set(Some(Talkative(dispatch.clone())));
            if says_something_first {
                tracing::dispatcher::with_default(&dispatch, || tracing::info!("a line"));
            }
        });
        thread.join().unwrap();
        lines.text()
    }

    #[test]
    fn a_thread_whose_buffer_is_gone_writes_no_more() {
        let text = lines_of_a_thread(true);
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.contains("a line"), "{text}");
    }

    #[test]
    fn a_thread_that_never_wrote_writes_its_last_words() {
        let text = lines_of_a_thread(false);
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.contains("last words"), "{text}");
    }
}
