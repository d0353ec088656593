//! A state-machine property test of accounts and their sessions: random operations are judged by a plain model and by the crate,
//! and what both say and hold is compared after every step.
//!
//! - `model`: what an account, its sessions and its budgets are, in sets and counts, written from the contract alone
//! - `calls`: what is asked of them and what comes of it
//! - `operation`: what happens to them, chosen by the model's state
//! - `codes`: secrets and codes by number, so that the model knows the meaning of every code that is typed
//! - `host`: the crate as a host runs it, storing and loading the account around every call, with its own record of what was
//!   accepted
//!
//! `PROPTEST_CASES=20000 cargo test -p sidekey-core --test account_model` looks longer; each of the default 256 cases takes 10 ms.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "what is not there has to fail the test"
)]
#![allow(unreachable_pub, reason = "a test has no users; `pub` is what its other modules need")]

mod calls;
mod codes;
mod host;
mod model;
mod operation;

use std::collections::BTreeSet;

use proptest::{
    prelude::*,
    strategy::{BoxedStrategy, ValueTree},
    test_runner::TestRunner,
};
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};

use crate::{calls::Outcome, host::Host, model::Model, operation::Operation};

/// The model as a generator of operations.
struct Reference;

impl ReferenceStateMachine for Reference {
    type State = Model;
    type Transition = Operation;

    fn init_state() -> BoxedStrategy<Model> {
        // Any second of a time step.
        (0_u64..30).prop_map(|second| Model::new(1_700_000_010 + second)).boxed()
    }

    fn transitions(model: &Model) -> BoxedStrategy<Operation> {
        operation::any(model)
    }

    fn preconditions(model: &Model, operation: &Operation) -> bool {
        operation.is_possible(model)
    }

    fn apply(mut model: Model, operation: &Operation) -> Model {
        model.script.clear();
        operation.run(&mut model);
        model
    }
}

struct Accounts;

impl StateMachineTest for Accounts {
    type SystemUnderTest = Host;
    type Reference = Reference;

    fn init_test(model: &Model) -> Host {
        Host::new(model.now)
    }

    fn apply(mut host: Host, model: &Model, _: Operation) -> Host {
        for entry in &model.script {
            let outcome = host.run(&entry.call, entry.at);
            assert_eq!(outcome, entry.outcome, "{entry:?}");
        }
        host
    }

    fn check_invariants(host: &Host, model: &Model) {
        host.compare(model);
    }
}

prop_state_machine! {
    #[test]
    fn an_account_is_what_its_model_says(sequential 1..64 => Accounts);
}

#[test]
fn the_operations_reach_every_outcome() {
    let mut runner = TestRunner::deterministic();
    let mut seen = BTreeSet::new();
    for _ in 0..96 {
        let mut model = Reference::init_state().new_tree(&mut runner).unwrap().current();
        for _ in 0..64 {
            let operation = operation::any(&model).new_tree(&mut runner).unwrap().current();
            if operation.is_possible(&model) {
                model = Reference::apply(model, &operation);
                seen.extend(model.script.iter().map(|entry| entry.outcome.kind()));
            }
        }
    }
    for kind in Outcome::KINDS {
        assert!(seen.contains(kind), "`{kind}` never happens");
    }
}
