//! What was measured, as it stands in the JSON file.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::load::Load;
use crate::machine::Machine;

/// What is measured, in the order of the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Small writes that are synced one by one.
    Syncs,
    /// A fixed JSON of warp.
    Fixed,
    /// The JSON of a request, by warp.
    Echo,
    /// Sessions opened and answered.
    Logins,
    /// Sessions answered.
    Verifies,
    /// Forward-auth decisions.
    Decisions,
    /// Refresh tokens exchanged.
    Refreshes,
    /// Users who enrolled.
    Enrolments,
}

/// What a number belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Stage {
    /// Accounts of the store; 0 where there is no store.
    pub accounts: u64,
    /// What was done.
    pub kind: Kind,
    /// Over how many connections.
    pub connections: usize,
}

/// A number that was measured.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Measured {
    /// Of what.
    #[serde(flatten)]
    pub stage: Stage,
    /// Rate and latencies.
    #[serde(flatten)]
    pub load: Load,
    /// Processor time of the server for each, in microseconds.
    pub processor_us: Option<f64>,
    /// The rate as a part of that of warp's echo in the same round.
    pub of_echo: Option<f64>,
    /// The rate as a part of that of the disk's syncs in the same round.
    pub of_syncs: Option<f64>,
}

/// A store, and a server on it.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct StoreFacts {
    /// How many accounts.
    pub accounts: u64,
    /// Accounts that were imported a second.
    pub imported_per_second: Option<f64>,
    /// Bytes on the disk.
    pub disk: u64,
    /// From the start of the process to its first answer, in milliseconds; the median.
    pub start_ms: f64,
    /// Bytes of memory after the start.
    pub memory_idle: u64,
    /// Bytes of memory at most, under load.
    pub memory_most: Option<u64>,
}

/// A target, and whether it was met.
#[derive(Clone, Debug, Serialize)]
pub struct Target {
    /// What should be.
    pub what: &'static str,
    /// How much.
    pub wanted: &'static str,
    /// How much it was.
    pub was: String,
    /// Whether that is enough.
    pub met: bool,
}

/// A run.
#[derive(Debug, Serialize)]
pub struct Results {
    /// Which plan.
    pub plan: &'static str,
    /// Rounds of which the median counts.
    pub rounds: usize,
    /// The commit that was measured.
    pub commit: String,
    /// On what.
    pub machine: Machine,
    /// The medians.
    pub measured: Vec<Measured>,
    /// The stores.
    pub stores: Vec<StoreFacts>,
    /// The targets.
    pub targets: Vec<Target>,
}

/// One round, before its ratios are known.
#[derive(Default)]
pub struct Round(pub Vec<Measured>);

impl Round {
    /// Notes a number.
    pub fn note(&mut self, stage: Stage, load: Load, processor_us: Option<f64>) {
        self.0.push(Measured { stage, load, processor_us, of_echo: None, of_syncs: None });
    }

    /// Each number as a part of what the stack and the disk gave at the same time.
    fn with_ratios(self) -> Vec<Measured> {
        let mean = |kind: Kind| {
            let rates = self.0.iter().filter(|measured| measured.stage.kind == kind);
            let (sum, count) =
                rates.fold((0.0, 0.0), |(sum, count), m| (sum + m.load.per_second, count + 1.0));
            (count > 0.0).then(|| sum / count)
        };
        let (echo, syncs) = (mean(Kind::Echo), mean(Kind::Syncs));
        let of =
            |measured: &Measured, whole: Option<f64>| whole.map(|whole| measured.load.per_second / whole);
        self.0
            .iter()
            .map(|measured| Measured {
                of_echo: of(measured, echo),
                of_syncs: of(measured, syncs),
                ..*measured
            })
            .collect()
    }
}

/// Of each number the median over the rounds, by its rate; of its ratios the medians.
pub fn medians(rounds: Vec<Round>) -> Vec<Measured> {
    let mut by_stage: BTreeMap<Stage, Vec<Measured>> = BTreeMap::new();
    for measured in rounds.into_iter().flat_map(Round::with_ratios) {
        by_stage.entry(measured.stage).or_default().push(measured);
    }
    by_stage.into_values().filter_map(|all| median(&all)).collect()
}

fn median(all: &[Measured]) -> Option<Measured> {
    let middle = |value: &dyn Fn(&Measured) -> Option<f64>| middle(all.iter().filter_map(value).collect());
    let rate = middle(&|measured| Some(measured.load.per_second))?;
    let measured = all.iter().find(|measured| measured.load.per_second.total_cmp(&rate).is_eq())?;
    Some(Measured {
        processor_us: middle(&|measured| measured.processor_us),
        of_echo: middle(&|measured| measured.of_echo),
        of_syncs: middle(&|measured| measured.of_syncs),
        ..*measured
    })
}

/// The middle one, of an even number the lower of the two.
pub fn middle(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len().saturating_sub(1) / 2).copied()
}

impl Results {
    /// The number of this.
    pub fn of(&self, accounts: u64, kind: Kind, connections: usize) -> Option<&Measured> {
        let stage = Stage { accounts, kind, connections };
        self.measured.iter().find(|measured| measured.stage == stage)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_ratio_is_of_its_own_round_and_the_median_of_all() {
        let load = |rate: u64| {
            let took = (0..rate).map(|_| Duration::from_millis(1)).collect();
            Load::of(took, Duration::from_secs(1))
        };
        let stage = |kind| Stage { accounts: 0, kind, connections: 1 };
        let round = |echo, logins| {
            let mut round = Round::default();
            round.note(stage(Kind::Echo), load(echo), None);
            round.note(stage(Kind::Logins), load(logins), Some(1.0));
            round
        };
        let told = medians(vec![round(100, 50), round(200, 20), round(400, 100)]);
        let logins = told.iter().find(|measured| measured.stage.kind == Kind::Logins).unwrap();
        assert_eq!((logins.load.per_second, logins.of_echo, logins.of_syncs), (50.0, Some(0.25), None));
        assert_eq!(middle(vec![3.0, 1.0]), Some(1.0));
        assert_eq!(middle(Vec::new()), None);
    }
}
