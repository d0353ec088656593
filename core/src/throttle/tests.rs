use proptest::prelude::*;

use super::*;

const NOW: UnixTime = UnixTime::from_secs(1_700_000_000);

#[test]
fn four_failures_are_free_and_waits_double_to_an_hour() {
    let mut throttle = Throttle::default();
    for _ in 0..4 {
        assert_eq!(throttle.failed(NOW), Consequence::None);
        assert_eq!(throttle.gate(NOW), Gate::Open);
    }
    let mut now = NOW;
    for (index, wait) in [30, 60, 120, 240, 480, 960, 1920, 3600, 3600].into_iter().enumerate() {
        assert_eq!(
            throttle.failed(now),
            Consequence::Throttled { until: now.plus(wait), first: index == 0 },
            "{index}"
        );
        assert_eq!(throttle.gate(now), Gate::Wait { seconds: wait });
        assert_eq!(throttle.gate(now.plus(wait - 1)), Gate::Wait { seconds: 1 });
        now = now.plus(wait);
        assert_eq!(throttle.gate(now), Gate::Open);
    }
}

#[test]
fn success_ends_the_row_and_keeps_the_window() {
    let mut throttle = Throttle::default();
    for hour in 0..21 {
        assert_eq!(throttle.gate(NOW.plus(hour * 3600)), Gate::Open, "{hour}");
        throttle.failed(NOW.plus(hour * 3600));
        throttle.succeeded();
    }
    let later = NOW.plus(21 * 3600);
    assert_eq!(throttle.gate(later), Gate::NeedsNextCode);
    assert_eq!(throttle.gate(NOW.plus(WINDOW)), Gate::Open, "the first failure has left the window");
    assert_eq!(throttle.recent.len(), FAILURES_PER_WINDOW + 1);
}

#[test]
fn a_hundred_in_a_row_lock_until_unlocked() {
    let mut throttle = Throttle::default();
    let mut now = NOW;
    for _ in 0..99 {
        assert_ne!(throttle.failed(now), Consequence::Locked);
        now = now.plus(LONGEST_WAIT);
    }
    assert_eq!(throttle.failed(now), Consequence::Locked);
    assert_eq!(throttle.gate(now.plus(WINDOW * 2)), Gate::Locked);
    throttle.unlock();
    assert_eq!(throttle.gate(now), Gate::Open);
}

#[test]
fn what_is_never_locked_waits_for_ever() {
    let mut throttle = Throttle::default();
    let mut now = NOW;
    for failures in 1..=300 {
        let consequence = throttle.failed_without_lock(now);
        match throttle.waits_until(now) {
            None => assert!(failures < 5 && consequence == Consequence::None, "{failures}"),
            Some(until) => {
                assert_eq!(consequence, Consequence::Throttled { until, first: failures == 5 });
                assert!(failures < 12 || until == now.plus(3_600), "{failures}");
                now = until;
            }
        }
    }
}

#[test]
fn a_backup_code_lifts_the_lock_and_keeps_the_window() {
    let mut throttle = Throttle::default();
    for hour in 0..100 {
        throttle.failed(NOW.plus(hour * 3_600));
    }
    let now = NOW.plus(100 * 3_600);
    assert_eq!(throttle.gate(now), Gate::Locked);
    throttle.release();
    assert_eq!(throttle.gate(now), Gate::NeedsNextCode);
}

#[test]
fn the_window_ends_on_the_second_and_a_future_failure_is_in_it() {
    let mut throttle = Throttle::default();
    for _ in 0..=FAILURES_PER_WINDOW {
        throttle.failed(NOW);
        throttle.succeeded();
    }
    assert_eq!(throttle.gate(NOW.plus(WINDOW - 1)), Gate::NeedsNextCode);
    assert_eq!(throttle.gate(NOW.plus(WINDOW)), Gate::Open);
    let clock_went_back = UnixTime::from_secs(NOW.as_secs() - 1);
    assert_eq!(throttle.gate(clock_went_back), Gate::NeedsNextCode);
}

#[derive(Clone, Copy, Debug)]
enum Happens {
    Wrong,
    Right,
    Unlock,
}

fn history() -> impl Strategy<Value = Vec<(u64, Happens)>> {
    let seconds = prop_oneof![
        4 => 0_u64..40,
        3 => 0_u64..4_000,
        1 => 0..2 * WINDOW,
    ];
    let happens = prop_oneof![
        40 => Just(Happens::Wrong),
        2 => Just(Happens::Right),
        1 => Just(Happens::Unlock),
    ];
    prop::collection::vec((seconds, happens), 1..200)
}

proptest! {
    /// Whoever tries whenever it is allowed, and gives up nothing: no answer is judged before its time, no wait is longer than an
    /// hour, and what is kept stays small.
    #[test]
    fn it_opens_on_the_second_and_never_before(history in history()) {
        let mut throttle = Throttle::default();
        let (mut now, mut in_a_row, mut open_at) = (NOW, 0_u32, NOW);
        let mut failures: Vec<UnixTime> = Vec::new();
        for (seconds, happens) in history {
            now = now.plus(seconds);
            let in_window = failures.iter().filter(|at| now.as_secs() - at.as_secs() < 30 * 86_400).count();
            let expected = if in_a_row >= 100 {
                Gate::Locked
            } else if now < open_at {
                Gate::Wait { seconds: open_at.as_secs() - now.as_secs() }
            } else if in_window > 20 {
                Gate::NeedsNextCode
            } else {
                Gate::Open
            };
            let gate = throttle.gate(now);
            prop_assert_eq!(gate, expected);
            prop_assert_eq!(throttle.is_locked(), gate == Gate::Locked);
            prop_assert_eq!(throttle.waits_until(now), Some(open_at).filter(|until| now < *until));
            if let Gate::Wait { seconds } = gate {
                prop_assert!((1..=3_600).contains(&seconds));
                prop_assert_eq!(throttle.gate(now.plus(seconds - 1)), Gate::Wait { seconds: 1 });
                prop_assert!([Gate::Open, Gate::NeedsNextCode].contains(&throttle.gate(now.plus(seconds))));
            }
            match happens {
                Happens::Wrong if matches!(gate, Gate::Open | Gate::NeedsNextCode) => {
                    throttle.failed(now);
                    failures.push(now);
                    in_a_row += 1;
                    let wait = if in_a_row < 5 { 0 } else { 30 * 2_u64.pow((in_a_row - 5).min(10)) };
                    open_at = if in_a_row < 100 { now.plus(wait.min(3_600)) } else { now };
                }
                Happens::Right if matches!(gate, Gate::Open | Gate::NeedsNextCode) => {
                    throttle.succeeded();
                    (in_a_row, open_at) = (0, now);
                }
                Happens::Unlock => {
                    throttle.unlock();
                    (in_a_row, open_at) = (0, now);
                    failures.clear();
                }
                Happens::Wrong | Happens::Right => {}
            }
            prop_assert!(throttle.recent.len() <= 21);
        }
    }

    /// The number that the whole budget is for: whatever right answers come between them, no 30 days see more than 21 guesses at a
    /// single code.
    #[test]
    fn a_month_never_has_more_than_twenty_one_single_guesses(
        waits in prop::collection::vec((0_u64..4 * 86_400, any::<bool>()), 1..120)
    ) {
        let mut throttle = Throttle::default();
        let mut now = NOW;
        let mut guesses: Vec<UnixTime> = Vec::new();
        for (seconds, is_owner_back) in waits {
            now = now.plus(seconds);
            if is_owner_back {
                throttle.succeeded();
            }
            for _ in 0..=FAILURES_PER_WINDOW {
                if throttle.gate(now) == Gate::Open {
                    throttle.failed(now);
                    guesses.push(now);
                }
            }
        }
        for (index, first) in guesses.iter().enumerate() {
            let month = guesses[index..].iter().take_while(|at| at.since(*first) < WINDOW);
            prop_assert!(month.count() <= FAILURES_PER_WINDOW + 1);
        }
    }
}
