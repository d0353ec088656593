//! Those who are told of events: whether they have got them, and whether they answer.

use std::path::Path;
use std::sync::Arc;

use super::{Finding, Level};
use crate::control::{Command, Reply, socket};
use crate::notify::Probe;
use crate::outbox::Destination;
use crate::outbox::orders::Standing;

const CHECK: &str = "notify";
/// So many entries are behind for a moment in a busy hour; more are a destination that takes nothing.
const FEW: u64 = 1_000;

/// A finding for each destination of the settings, as the running server has it, and one for each that can be asked without being told
/// anything. Nothing is sent.
pub async fn destinations(data: &Path, destinations: &[Arc<Destination>]) -> Vec<Finding> {
    if destinations.is_empty() {
        return Vec::new();
    }
    let standing = match socket::ask(data, &Command::OutboxStanding, &mut |_| Ok(())).await {
        Ok(Some(Reply::OutboxStanding(standing))) => Some(standing),
        // Another finding says that none runs, or that it does not answer.
        _ => None,
    };
    let mut findings = Vec::new();
    for destination in destinations {
        let name = destination.name.as_str();
        findings.push(match standing.as_ref().map(|all| all.get(&destination.name)) {
            None => Finding::untold(
                CHECK,
                format!("Whether `{name}` has got everything is known while the server runs."),
            ),
            Some(None) => Finding::untold(CHECK, format!("`{name}` has not been told of anything yet.")),
            Some(Some(standing)) => stands(name, standing),
        });
        if let Some(Probe { of, settings, answer }) = destination.way.probe() {
            findings.push(match answer.await {
                Ok(()) => Finding::good(CHECK, format!("The {of} of `{name}` answers as it should.")),
                Err(failure) => Finding::bad(
                    CHECK,
                    Level::Problem,
                    format!("The {of} of `{name}` does not: {}.", failure.reason()),
                    format!("Correct {settings}, or mend what answers there."),
                ),
            });
        }
    }
    findings
}

fn stands(name: &str, standing: &Standing) -> Finding {
    let Standing { behind, waiting, dead } = standing;
    let remedy = format!("`sidekey outbox list --destination {name}` says why; `retry` and `drop` end it.");
    match standing {
        Standing { dead: 1.., .. } => Finding::bad(
            CHECK,
            Level::Problem,
            format!("`{name}` has not got {dead} events, which are tried no more; {waiting} others wait."),
            remedy,
        ),
        Standing { waiting: 1.., .. } => Finding::bad(
            CHECK,
            Level::Warning,
            format!("`{name}` has refused something: {waiting} events wait to be tried again."),
            remedy,
        ),
        _ if *behind > FEW => Finding::bad(
            CHECK,
            Level::Warning,
            format!("`{name}` is {behind} entries of the audit trail behind."),
            "It takes nothing, or too slowly: the server's log says why.",
        ),
        _ => Finding::good(CHECK, format!("`{name}` has got everything but the last {behind} entries.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dead_letters_are_a_problem_and_what_waits_is_a_warning() {
        let level = |behind, waiting, dead| stands("siem", &Standing { behind, waiting, dead }).level;
        assert_eq!((level(0, 0, 0), level(9, 0, 0)), (Level::Good, Level::Good));
        assert_eq!((level(0, 1, 0), level(FEW + 1, 0, 0)), (Level::Warning, Level::Warning));
        assert_eq!(level(0, 0, 1), Level::Problem);
        let dead = stands("siem", &Standing { behind: 0, waiting: 0, dead: 1 });
        assert!(dead.remedy.unwrap().contains("outbox list --destination siem"));
    }
}
