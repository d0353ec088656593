//! Commands about the operators of the admin area.

use super::{Authority, Command, CommandError, KeyError, Reply};
use crate::audit::Origin;
use crate::backup_code_hash::HashError;
use crate::operators::{OperatorName, Operators, Password, PasswordHash};

/// Carries out one of them; `None` for another command.
pub(super) async fn execute(
    authority: &Authority,
    command: &Command,
    origin: &Origin,
) -> Option<Result<Reply, CommandError>> {
    let operators = Operators::new(authority.engine.clone());
    let done = |name: &OperatorName, done: &str| Reply::OperatorChanged {
        name: name.clone(),
        done: done.to_owned(),
    };
    let outcome = async {
        Ok(Some(match command {
            Command::CreateOperator { name, role, password } => {
                let password = hashed(authority, name, password).await?;
                operators.create(name, *role, password, origin).await?;
                done(name, "created")
            }
            Command::ListOperators => Reply::Operators(operators.list().await?),
            Command::SetOperatorRole { name, role } => {
                operators.set_role(name, *role, origin).await?;
                done(name, "role_changed")
            }
            Command::ResetOperatorPassword { name, password } => {
                let password = hashed(authority, name, password).await?;
                operators.reset_password(name, password, origin).await?;
                done(name, "password_changed")
            }
            Command::ResetOperatorSecondFactor { name } => {
                operators.reset_second_factor(name, origin).await?;
                done(name, "second_factor_reset")
            }
            Command::RemoveOperator { name } => {
                operators.remove(name, origin).await?;
                done(name, "removed")
            }
            _ => return Ok(None),
        }))
    };
    outcome.await.transpose()
}

async fn hashed(
    authority: &Authority,
    name: &OperatorName,
    password: &Password,
) -> Result<PasswordHash, CommandError> {
    let hasher = authority.hasher.as_ref().ok_or(KeyError::NoKeys)?;
    let hash = PasswordHash::of(hasher, name, password).await;
    hash.map_err(|error| match error {
        HashError::Busy => CommandError::Busy,
        HashError::Failed => CommandError::Panicked,
    })
}
