//! The step `openapi`: schemathesis reads the `OpenAPI` document and asks the server everything that it promises.

use super::{server, setup};
use crate::Outcome;
use crate::process;
use crate::workspace::Workspace;

pub(super) fn run(workspace: &Workspace) -> Outcome {
    server(workspace)?;
    let environment = workspace.target.join("openapi");
    setup::python_environment(workspace, &environment, &["tests/openapi"])?;
    let mut python = workspace.command(setup::interpreter(&environment));
    python.arg(workspace.root.join("tests/openapi/conformance.py"));
    process::run(super::with_programs(&mut python, workspace)?)
}
