use super::{Call, Said, Sent, is_linearizable};

/// A call of the first round to a session of its own.
fn call(begun: u64, ended: u64, session: usize, sent: Sent, said: Said) -> Call {
    Call { begun, ended, round: 0, session, sent, said }
}

fn code(device: usize, step: u64) -> Sent {
    Sent::Code { device, step }
}

const FIRST_FAILURE: Said = Said::Invalid { remaining: 4 };

#[test]
fn a_code_accepted_once_and_refused_once_at_the_same_time_is_allowed() {
    let accepted = call(0, 3, 0, code(0, 7), Said::Accepted);
    let refused = call(1, 2, 1, code(0, 7), FIRST_FAILURE);
    assert!(is_linearizable(&[6], &[accepted, refused]));
    assert!(is_linearizable(&[6], &[refused, accepted]), "the order of the record does not matter");
}

#[test]
fn a_code_accepted_twice_is_refused() {
    let one = call(0, 3, 0, code(0, 7), Said::Accepted);
    let two = call(1, 2, 1, code(0, 7), Said::Accepted);
    assert!(!is_linearizable(&[6], &[one, two]));
    let other_device = call(1, 2, 1, code(1, 7), Said::Accepted);
    assert!(is_linearizable(&[6, 6], &[one, other_device]));
}

#[test]
fn an_older_step_accepted_after_a_newer_one_is_refused_but_not_beside_it() {
    let newer = call(0, 1, 0, code(0, 8), Said::Accepted);
    let after = call(2, 3, 1, code(0, 7), Said::Accepted);
    let beside = call(0, 3, 1, code(0, 7), Said::Accepted);
    assert!(!is_linearizable(&[6], &[newer, after]));
    assert!(is_linearizable(&[6], &[newer, beside]));
}

#[test]
fn a_refusal_that_no_acceptance_explains_is_refused() {
    let refused = call(0, 1, 0, code(0, 7), FIRST_FAILURE);
    let accepted_later = call(2, 3, 1, code(0, 7), Said::Accepted);
    assert!(!is_linearizable(&[6], &[refused]));
    assert!(!is_linearizable(&[6], &[refused, accepted_later]));
    assert!(is_linearizable(&[7], &[refused]), "it had been used before");
}

#[test]
fn a_session_is_spent_by_one_answer() {
    let one = call(0, 1, 0, code(0, 7), Said::Accepted);
    let two = call(2, 3, 0, code(1, 7), Said::Accepted);
    let refused = call(2, 3, 0, code(1, 7), Said::AlreadyVerified);
    assert!(!is_linearizable(&[6, 6], &[one, two]));
    assert!(is_linearizable(&[6, 6], &[one, refused]));
    assert!(!is_linearizable(&[6, 6], &[refused]));
}

#[test]
fn a_wait_needs_five_failures_in_a_row_and_ends_with_its_round() {
    let wrong = |n: u32| {
        let begun = u64::from(2 * n);
        call(begun, begun + 1, n as usize, Sent::Wrong, FIRST_FAILURE)
    };
    let throttled = call(100, 101, 9, code(0, 7), Said::Throttled);
    let five: Vec<Call> = (0..5).map(wrong).chain([throttled]).collect();
    assert!(is_linearizable(&[6], &five));
    assert!(!is_linearizable(&[6], &five[1..]), "four failures are free");
    let judged_while_waiting = [&five[..5], &[Call { said: Said::Accepted, ..throttled }]].concat();
    assert!(!is_linearizable(&[6], &judged_while_waiting));
    let in_next_round = [&five[..5], &[Call { said: Said::Accepted, round: 1, ..throttled }]].concat();
    assert!(is_linearizable(&[6], &in_next_round));
    let success_between: Vec<Call> =
        five.iter().copied().chain([call(4, 5, 10, code(0, 7), Said::Accepted)]).collect();
    assert!(!is_linearizable(&[6], &success_between), "success ends the row");
}

#[test]
fn attempts_are_counted_down_one_by_one() {
    let wrong = |begun, remaining| call(begun, 9, 0, Sent::Wrong, Said::Invalid { remaining });
    assert!(is_linearizable(&[6], &[wrong(0, 3), wrong(1, 4)]));
    assert!(!is_linearizable(&[6], &[wrong(0, 4), wrong(1, 4)]), "one failure was lost");
}

#[test]
fn a_session_with_five_wrong_answers_has_failed_and_is_told_so_before_the_wait() {
    let wrong = |n: u64, said| call(2 * n, 2 * n + 1, 0, Sent::Wrong, said);
    let mut calls: Vec<Call> = (0..4).map(|n| wrong(n.into(), Said::Invalid { remaining: 4 - n })).collect();
    calls.extend([wrong(4, Said::Failed), wrong(5, Said::Failed)]);
    assert!(is_linearizable(&[6], &calls));
    calls.push(call(12, 13, 0, code(0, 7), Said::Accepted));
    assert!(!is_linearizable(&[6], &calls), "a right code opens it no more");
}
