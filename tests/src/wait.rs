//! Waiting for what happens in the background: as long as it takes, up to a limit.

use std::fmt::Display;
use std::time::Duration;

/// What takes longer has failed, however busy the machine is.
const LIMIT: Duration = Duration::from_mins(2);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(10);

/// What a future gives. When that takes too long, it fails, and says what was waited for.
pub async fn in_time<T, S: Display>(what: impl FnOnce() -> S, future: impl Future<Output = T>) -> T {
    within(LIMIT, what, future).await
}

/// Looks again and again until there is something, and gives it. When that takes too long, it fails, and says what was waited
/// for.
pub async fn eventually<T, S: Display>(
    what: impl FnOnce() -> S,
    mut look: impl AsyncFnMut() -> Option<T>,
) -> T {
    let found = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    in_time(what, found).await
}

async fn within<T, S: Display>(
    limit: Duration,
    what: impl FnOnce() -> S,
    future: impl Future<Output = T>,
) -> T {
    let done = tokio::time::timeout(limit, future).await;
    done.unwrap_or_else(|_| panic!("not within {limit:?}: {}", what()))
}

/// Looks again and again until this is so, and holds up its thread meanwhile.
pub(crate) fn eventually_blocking(what: &str, is_so: impl Fn() -> bool) {
    for _ in 0..LIMIT.as_millis() / PAUSE.as_millis() {
        if is_so() {
            return;
        }
        std::thread::sleep(PAUSE);
    }
    panic!("never so: {what}");
}

#[cfg(test)]
mod tests {
    use super::{Duration, eventually, within};

    #[tokio::test]
    async fn what_comes_later_is_waited_for() {
        let mut looks = 0;
        let found = eventually(
            || "a third look",
            async || {
                looks += 1;
                (looks == 3).then_some(looks)
            },
        );
        assert_eq!(found.await, 3);
    }

    #[tokio::test]
    #[should_panic(expected = "not within 1ms: the end of the world")]
    async fn what_never_comes_is_a_failure_that_says_what_it_was() {
        within(Duration::from_millis(1), || "the end of the world", std::future::pending::<()>()).await;
    }
}
