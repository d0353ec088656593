//! The survey that a start has put off: all records are compared with the head while commits go on, by a thread that lets others
//! go first.
//!
//! It is the first part of a [`walk`]: changes to records are noted by the committer, so that number and digest are exact for one
//! moment, whatever is written meanwhile.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle, Thread};
use std::time::Duration;

use super::engine::StoreError;
use super::head::Base;
use super::integrity::{Finding, Survey};
use super::record::Header;
use super::walk::{self, Ask, Drift, Visitor};

#[cfg(test)]
mod tests;

/// How much the thread lets others go first, as `nice` counts: a tenth of a processor that is wanted by others.
const NICE: i32 = 10;
/// Records between two lines of the log.
const STRETCH: u64 = 1_000_000;
/// Findings that are logged one by one.
const TOLD: usize = 20;
/// Before a survey begins again during which too much has changed.
const PAUSE: Duration = Duration::from_mins(1);

/// The thread, if there is one.
#[derive(Default)]
pub(super) struct LateSurvey {
    thread: Arc<Mutex<Option<JoinHandle<()>>>>,
    stopping: Option<(Arc<AtomicBool>, Thread)>,
}

impl LateSurvey {
    /// Starts the thread, which is told to stop by the flag. Errors: the system has none to give.
    pub(super) fn start(work: impl FnOnce(&AtomicBool) + Send + 'static) -> io::Result<Self> {
        let stop = Arc::<AtomicBool>::default();
        let flag = Arc::clone(&stop);
        let run = move || {
            // On Linux it is a thread's own (setpriority(2)). Without it, the survey takes a full share.
            let _ = rustix::process::setpriority_process(None, NICE);
            work(&flag);
        };
        let thread = thread::Builder::new().name("survey".to_owned()).spawn(run)?;
        let stopping = Some((stop, thread.thread().clone()));
        Ok(Self { thread: Arc::new(Mutex::new(Some(thread))), stopping })
    }

    /// Has it end soon, without a result.
    pub(super) fn stop(&self) {
        if let Some((stop, thread)) = &self.stopping {
            stop.store(true, Ordering::Relaxed);
            thread.unpark();
        }
    }

    pub(super) fn thread(&self) -> &Arc<Mutex<Option<JoinHandle<()>>>> {
        &self.thread
    }
}

/// Looks at all records; `None` if it was stopped. Errors: what is wrong first, without any stored value.
pub(super) fn look_through(
    db: &::sled::Db,
    stop: &AtomicBool,
    begin: Ask<'_>,
    end: Ask<'_>,
) -> Option<Result<(), String>> {
    tracing::info!("all records are looked at while requests are answered");
    loop {
        let drift = Arc::new(Drift::of_survey());
        let mut looking = Looking { survey: Survey::default(), findings: Vec::new(), stop };
        // sled panics on some kinds of damage.
        let walk = || walk::walk_records(db, &mut looking, &drift, begin, end);
        let walked = catch_unwind(AssertUnwindSafe(walk));
        let head = match walked {
            _ if stop.load(Ordering::Relaxed) => return None,
            Ok(Ok(head)) => head,
            Ok(Err(_)) if drift.is_too_much() => {
                tracing::warn!(
                    "too much changed while all records were looked at: it begins again in a minute"
                );
                thread::park_timeout(PAUSE);
                continue;
            }
            Ok(Err(StoreError::Unavailable(reason))) => return Some(Err(reason)),
            Ok(Err(error)) => return Some(Err(error.to_string())),
            Err(_) => return Some(Err("the database could not be read through".to_owned())),
        };
        let Looking { survey, mut findings, .. } = looking;
        findings.extend(survey.compare(&head));
        for finding in findings.iter().take(TOLD) {
            tracing::error!(%finding, "the store is damaged");
        }
        let Some(first) = findings.first() else {
            tracing::info!(
                records = survey.records,
                "all records have been looked at: nothing is damaged or missing"
            );
            return Some(Ok(()));
        };
        return Some(Err(first.to_string()));
    }
}

/// What has been seen so far.
struct Looking<'a> {
    survey: Survey,
    findings: Vec<Finding>,
    stop: &'a AtomicBool,
}

impl Visitor for Looking<'_> {
    fn total(&mut self, _: u64) {}

    fn record(&mut self, key: &[u8], bytes: &[u8]) -> Result<(), String> {
        if self.stop.load(Ordering::Relaxed) {
            return Err("it was stopped".to_owned());
        }
        self.findings.extend(self.survey.look(key, bytes));
        if self.survey.records.is_multiple_of(STRETCH) {
            tracing::info!(looked_at = self.survey.records, "records are being looked at");
        }
        Ok(())
    }

    fn correction(
        &mut self,
        key: &[u8],
        before: Option<&Header>,
        after: Option<&[u8]>,
    ) -> Result<(), String> {
        self.survey.correct(key, before, after);
        Ok(())
    }

    /// The audit log is not looked at.
    fn log(&mut self, _: Base) -> Result<(), String> {
        Ok(())
    }
}
