use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::prelude::*;
use sidekey_core::event::Event;
use sidekey_core::time::UnixTime;
use tempfile::TempDir;

use super::orders::{Chosen, forget, give_up, letters, revive, standing};
use super::worker::{Round, Worker};
use super::{Destination, Name, schedule};
use crate::clock::Clock;
use crate::notify::rule::Rule;
use crate::notify::testing::{Nobody, entry};
use crate::notify::{Deliver, Notice, Surroundings, Undelivered};
use crate::store::engine::Pending;
use crate::store::sled::Options;
use crate::store::{Batch, Engine, SledEngine};

const NOW: u64 = 1_790_000_000;

/// What a destination says to an event, by its number and user; and what it has taken.
#[derive(Default)]
struct Receiver {
    says: Mutex<Option<Box<Says>>>,
    taken: Mutex<Vec<(u64, String)>>,
    failures: Mutex<BTreeMap<u64, usize>>,
    attempts_at: Mutex<Vec<UnixTime>>,
}

type Says = dyn FnMut(u64, &str) -> Answer + Send;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Answer {
    Takes,
    Refuses,
    IsDown,
}

impl std::fmt::Debug for Receiver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Receiver")
    }
}

#[derive(Debug)]
struct Way(Arc<Receiver>);

impl Deliver for Way {
    fn deliver<'a>(
        &'a self,
        notice: &'a Notice,
        with: &'a Surroundings<'a>,
    ) -> Pending<'a, Result<(), Undelivered>> {
        Box::pin(async move {
            let user = notice.user.clone().unwrap_or_default();
            self.0.attempts_at.lock().unwrap().push(with.now);
            let answer = match &mut *self.0.says.lock().unwrap() {
                Some(says) => says(notice.sequence, &user),
                None => Answer::Takes,
            };
            if answer != Answer::Takes {
                *self.0.failures.lock().unwrap().entry(notice.sequence).or_default() += 1;
            }
            match answer {
                Answer::Takes => {
                    self.0.taken.lock().unwrap().push((notice.sequence, user));
                    Ok(())
                }
                Answer::Refuses => Err(Undelivered::Refused { reason: "it answers 404".to_owned() }),
                Answer::IsDown => {
                    Err(Undelivered::Unreachable { reason: "connection refused".to_owned(), wait: None })
                }
            }
        })
    }
}

struct Bench {
    _folder: TempDir,
    engine: Arc<dyn Engine>,
    clock: Clock,
    receiver: Arc<Receiver>,
    name: Name,
}

impl Bench {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let engine = SledEngine::open(&folder.path().join("data"), &Options::new([7; 16])).unwrap();
        let bench = Self {
            engine: Arc::new(engine),
            clock: Clock::standing(UnixTime::from_secs(NOW)),
            receiver: Arc::default(),
            name: Name::parse("siem").unwrap(),
            _folder: folder,
        };
        // What has happened before the destination was there is not told.
        bench.happen(&["before"]).await;
        assert_eq!(bench.worker().round().await.unwrap(), Round::Moved);
        bench
    }

    fn worker(&self) -> Worker {
        let way = Box::new(Way(Arc::clone(&self.receiver)));
        let destination = Destination { name: self.name.clone(), rule: Rule::default(), way };
        Worker::new(Arc::clone(&self.engine), self.clock.clone(), Arc::new(Nobody), Arc::new(destination))
    }

    /// Something happens to each of these users, in this order.
    async fn happen(&self, users: &[&str]) {
        let mut batch = Batch::new();
        for user in users {
            batch.append(entry(user, self.clock.now().as_secs(), &Event::AccountLocked));
        }
        self.engine.commit(batch).await.unwrap();
    }

    fn says(&self, says: impl FnMut(u64, &str) -> Answer + Send + 'static) {
        *self.receiver.says.lock().unwrap() = Some(Box::new(says));
    }

    fn taken(&self) -> Vec<(u64, String)> {
        self.receiver.taken.lock().unwrap().clone()
    }

    fn taken_numbers(&self) -> Vec<u64> {
        self.taken().into_iter().map(|(number, _)| number).collect()
    }

    /// Rounds until there is nothing to do, or the destination takes nothing.
    async fn settle(&self, worker: &mut Worker) -> Round {
        loop {
            match worker.round().await.unwrap() {
                Round::Moved => {}
                other => return other,
            }
        }
    }

    fn chosen(&self, sequence: Option<u64>) -> Chosen {
        Chosen { destination: self.name.clone(), sequence }
    }
}

#[tokio::test]
async fn what_happens_is_told_once_in_its_order_and_a_new_process_goes_on() {
    let bench = Bench::new().await;
    bench.happen(&["ann", "bob", "ann"]).await;
    assert_eq!(bench.settle(&mut bench.worker()).await, Round::Idle);
    bench.happen(&["ann"]).await;
    bench.settle(&mut bench.worker()).await;
    assert_eq!(bench.taken_numbers().into_iter().collect::<BTreeSet<_>>(), (2..=5).collect());
    let of_ann = bench.taken().into_iter().filter(|(_, user)| user == "ann");
    assert_eq!(of_ann.map(|(number, _)| number).collect::<Vec<_>>(), [2, 4, 5]);
    assert_eq!(bench.taken().len(), 4, "each once");
    assert_eq!(standing(&*bench.engine).await.unwrap()[&bench.name].behind, 0);
}

#[tokio::test]
async fn what_is_refused_holds_up_its_own_user_and_nobody_else() {
    let bench = Bench::new().await;
    bench.says(|number, _| if number == 2 { Answer::Refuses } else { Answer::Takes });
    bench.happen(&["ann", "bob", "ann", "bob"]).await;
    let mut worker = bench.worker();
    bench.settle(&mut worker).await;
    bench.happen(&["ann", "bob"]).await;
    bench.settle(&mut worker).await;
    assert_eq!(bench.taken_numbers(), [3, 5, 7]);
    let waiting = letters(&*bench.engine, None).await.unwrap();
    let attempts: Vec<_> = waiting.iter().map(|letter| (letter.sequence, letter.attempts)).collect();
    assert_eq!(attempts, [(2, 1), (4, 0), (6, 0)]);
    assert_eq!((waiting[0].user.as_deref(), waiting[0].reason.as_str()), (Some("ann"), "it answers 404"));

    bench.says(|_, _| Answer::Takes);
    bench.settle(&mut worker).await;
    assert_eq!(bench.taken_numbers().len(), 3, "not due yet");
    bench.clock.advance(schedule::retry(1).unwrap());
    bench.settle(&mut worker).await;
    assert_eq!(bench.taken_numbers(), [3, 5, 7, 2, 4, 6], "in order");
    assert!(letters(&*bench.engine, None).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_destination_that_takes_nothing_is_left_alone_ever_longer_and_loses_nothing() {
    let bench = Bench::new().await;
    bench.says(|_, _| Answer::IsDown);
    bench.happen(&["ann", "bob", "cat", "dan", "eve"]).await;
    let mut worker = bench.worker();
    let pauses = [1, 2, 4].map(|seconds| Round::Down(Duration::from_secs(seconds)));
    for pause in pauses {
        assert_eq!(bench.settle(&mut worker).await, pause);
    }
    let stands = &standing(&*bench.engine).await.unwrap()[&bench.name];
    assert_eq!((stands.behind, stands.waiting, stands.dead), (5, 0, 0));
    bench.says(|_, _| Answer::Takes);
    bench.settle(&mut worker).await;
    assert_eq!(bench.taken_numbers().into_iter().collect::<BTreeSet<_>>(), (2..=6).collect());
}

#[tokio::test]
async fn one_message_that_is_never_answered_is_put_aside_once_another_is_taken() {
    let bench = Bench::new().await;
    bench.says(|_, user| if user == "ann" { Answer::IsDown } else { Answer::Takes });
    bench.happen(&["ann"]).await;
    let mut worker = bench.worker();
    assert!(matches!(bench.settle(&mut worker).await, Round::Down(_)), "nobody can tell the two apart yet");
    bench.happen(&["bob"]).await;
    assert_eq!(bench.settle(&mut worker).await, Round::Idle);
    assert_eq!(bench.taken_numbers(), [3]);
    assert_eq!(standing(&*bench.engine).await.unwrap()[&bench.name].waiting, 1);
}

#[tokio::test]
async fn a_dead_letter_waits_for_an_operator_and_what_came_after_it_does_not() {
    let bench = Bench::new().await;
    bench.says(|number, _| if number == 2 { Answer::Refuses } else { Answer::Takes });
    bench.happen(&["ann", "ann"]).await;
    let mut worker = bench.worker();
    bench.settle(&mut worker).await;
    while standing(&*bench.engine).await.unwrap()[&bench.name].dead == 0 {
        bench.clock.advance(24 * 3_600);
        bench.settle(&mut worker).await;
    }
    assert_eq!(bench.taken_numbers(), [3]);
    let dead = letters(&*bench.engine, Some(&bench.name)).await.unwrap();
    assert_eq!((dead.len(), dead[0].sequence, dead[0].next_at), (1, 2, None));

    assert_eq!(revive(&*bench.engine, &bench.chosen(None), bench.clock.now()).await.unwrap(), 1);
    bench.says(|_, _| Answer::Takes);
    bench.settle(&mut worker).await;
    assert_eq!(bench.taken_numbers(), [3, 2]);
}

#[tokio::test]
async fn what_waits_longer_than_three_days_becomes_dead_letters_that_can_be_given_up() {
    let bench = Bench::new().await;
    bench.says(|_, _| Answer::IsDown);
    bench.happen(&["ann", "bob"]).await;
    let mut worker = bench.worker();
    assert!(matches!(bench.settle(&mut worker).await, Round::Down(_)));
    bench.clock.advance(schedule::GIVE_UP);
    bench.settle(&mut worker).await;
    assert_eq!(standing(&*bench.engine).await.unwrap()[&bench.name].dead, 2);
    assert_eq!(give_up(&*bench.engine, &bench.chosen(Some(2))).await.unwrap(), 1);
    assert_eq!(give_up(&*bench.engine, &bench.chosen(None)).await.unwrap(), 1);
    assert_eq!(forget(&*bench.engine, &bench.name).await.unwrap(), 1, "the cursor");
    assert!(standing(&*bench.engine).await.unwrap().is_empty());
}

#[tokio::test]
async fn an_outage_costs_what_waits_no_attempt() {
    let bench = Bench::new().await;
    bench.says(|_, _| Answer::Refuses);
    bench.happen(&["ann"]).await;
    let mut worker = bench.worker();
    bench.settle(&mut worker).await;
    bench.says(|_, _| Answer::IsDown);
    for _ in 0..20 {
        bench.clock.advance(schedule::retry(9).unwrap() / 10);
        assert!(matches!(bench.settle(&mut worker).await, Round::Down(_)));
    }
    assert_eq!(letters(&*bench.engine, None).await.unwrap()[0].attempts, 1);
    bench.says(|_, _| Answer::Takes);
    bench.settle(&mut worker).await;
    assert_eq!(bench.taken_numbers(), [2]);
}

#[tokio::test]
async fn after_three_days_without_an_answer_what_is_new_still_waits() {
    let bench = Bench::new().await;
    bench.says(|_, _| Answer::IsDown);
    bench.happen(&["ann", "bob"]).await;
    let mut worker = bench.worker();
    bench.settle(&mut worker).await;
    bench.clock.advance(schedule::GIVE_UP);
    bench.happen(&["ann", "cat"]).await;
    bench.settle(&mut worker).await;
    let dead = letters(&*bench.engine, None).await.unwrap().into_iter().map(|letter| letter.sequence);
    assert_eq!(dead.collect::<BTreeSet<_>>(), [2, 3].into());
    bench.says(|_, _| Answer::Takes);
    bench.settle(&mut worker).await;
    assert_eq!(bench.taken_numbers().into_iter().collect::<BTreeSet<_>>(), [4, 5].into());
}

#[tokio::test]
async fn what_was_refused_three_times_holds_up_nothing_any_more() {
    let bench = Bench::new().await;
    bench.says(|number, _| if number == 2 { Answer::Refuses } else { Answer::Takes });
    bench.happen(&["ann", "ann"]).await;
    let mut worker = bench.worker();
    for attempts in 1..=3 {
        bench.settle(&mut worker).await;
        let waiting: Vec<_> = letters(&*bench.engine, None).await.unwrap();
        assert_eq!(waiting[0].attempts, attempts);
        assert_eq!(waiting.len(), if attempts < 3 { 2 } else { 1 });
        bench.clock.advance(schedule::retry(attempts).unwrap());
    }
    bench.happen(&["ann"]).await;
    bench.settle(&mut worker).await;
    assert_eq!(bench.taken_numbers(), [3, 4]);
    bench.says(|_, _| Answer::Takes);
    bench.clock.advance(schedule::retry(4).unwrap());
    bench.settle(&mut worker).await;
    assert_eq!(bench.taken_numbers(), [3, 4, 2], "it is tried on, for its three days");
}

#[tokio::test]
async fn of_one_user_only_so_much_waits() {
    let bench = Bench::new().await;
    bench.says(|_, user| if user == "ann" { Answer::Refuses } else { Answer::Takes });
    for _ in 0..6 {
        bench.happen(&["ann"; 256]).await;
    }
    bench.happen(&["bob"]).await;
    bench.settle(&mut bench.worker()).await;
    assert_eq!(bench.taken().len(), 1, "bob's");
    let stands = &standing(&*bench.engine).await.unwrap()[&bench.name];
    assert!((1_000..1_300).contains(&stands.waiting), "{}", stands.waiting);
    assert_eq!(stands.waiting + stands.dead, 6 * 256);
}

#[tokio::test]
async fn each_attempt_has_the_time_at_which_it_is_made() {
    let bench = Bench::new().await;
    let clock = bench.clock.clone();
    bench.says(move |_, _| {
        clock.advance(60);
        Answer::Takes
    });
    bench.happen(&["ann"; 20]).await;
    bench.settle(&mut bench.worker()).await;
    let expected: Vec<_> = (0..20).map(|minute| UnixTime::from_secs(NOW + 60 * minute)).collect();
    assert_eq!(*bench.receiver.attempts_at.lock().unwrap(), expected);
}

#[derive(Clone, Debug)]
enum Act {
    Happens(u8),
    Works([Answer; 3]),
    Waits(u32),
    Restarts,
}

fn act() -> impl Strategy<Value = Act> {
    let answer = prop_oneof![4 => Just(Answer::Takes), 1 => Just(Answer::Refuses), 1 => Just(Answer::IsDown)];
    prop_oneof![
        4 => (0..4_u8).prop_map(Act::Happens),
        4 => [answer.clone(), answer.clone(), answer].prop_map(Act::Works),
        2 => (0..6_000_u32).prop_map(Act::Waits),
        1 => Just(Act::Restarts),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever a destination says and whenever the server starts anew: each event is taken at least once, and those about one user
    /// are first taken in their order, but for what has failed three times. No wait is long enough here for a dead letter.
    #[test]
    fn each_event_is_taken_at_least_once_and_in_order_for_each_user(acts in prop::collection::vec(act(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let bench = Bench::new().await;
            let (mut worker, mut happened) = (bench.worker(), 0);
            for act in acts {
                match act {
                    Act::Happens(user) => {
                        bench.happen(&[["ann", "bob", "cat", "dan"][usize::from(user)]]).await;
                        happened += 1;
                    }
                    Act::Works(answers) => {
                        let mut turn = answers.into_iter().cycle();
                        bench.says(move |_, _| turn.next().unwrap_or(Answer::Takes));
                        for _ in 0..3 {
                            worker.round().await.unwrap();
                        }
                    }
                    Act::Waits(seconds) => drop(bench.clock.advance(u64::from(seconds))),
                    Act::Restarts => worker = bench.worker(),
                }
            }
            bench.says(|_, _| Answer::Takes);
            revive(&*bench.engine, &bench.chosen(None), bench.clock.now()).await.unwrap();
            for _ in 0..3 {
                bench.clock.advance(24 * 3_600);
                bench.settle(&mut worker).await;
            }
            let taken = bench.taken();
            let numbers: BTreeSet<u64> = taken.iter().map(|(number, _)| *number).collect();
            assert_eq!(numbers, (2..2 + happened).collect());
            let mut last: BTreeMap<&str, u64> = BTreeMap::new();
            let mut seen = BTreeSet::new();
            let failures = bench.receiver.failures.lock().unwrap();
            let holds_up = |number: &u64| failures.get(number).is_none_or(|failures| *failures < 3);
            for (number, user) in taken.iter().filter(|(number, _)| seen.insert(*number) && holds_up(number)) {
                let before = last.insert(user, *number);
                assert!(before.is_none_or(|before| before < *number), "{user}: {taken:?}");
            }
        });
    }
}
