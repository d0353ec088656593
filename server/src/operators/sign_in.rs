//! A password, judged and counted. Whoever asks learns only whether it opens: a name that nobody has, a wrong password and an operator who
//! has to wait are one answer, after the same work.

use super::record::{Operator, Stage};
use super::session::{NewSession, begin};
use super::{ATTEMPTS, OperatorName, Operators, Password, PasswordHash, busy, record};
use crate::audit::{Entry, Origin, ServerEvent};
use crate::backup_code_hash::BackupCodeHasher;
use crate::http::Problem;
use crate::store::Batch;

/// The password does not open, or is not judged for now; the answer does not say which.
#[derive(Debug)]
pub enum SignInRefusal {
    /// Name and password do not belong together, or the operator has to wait.
    Refused,
    /// Nothing was judged: too many wait, or the store is not available.
    Failed(Problem),
}

impl<E: Into<Problem>> From<E> for SignInRefusal {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

impl Operators {
    /// Judges name and password. A wrong one is counted, and the count is on disk before the answer: the waits are those of core's
    /// [`Throttle`](sidekey_core::throttle::Throttle), which nothing but a right password, or a new one, takes back. The session that begins opens nothing but the question for
    /// the second factor.
    ///
    /// # Errors
    /// See [`SignInRefusal`].
    pub async fn sign_in(
        &self,
        hasher: &BackupCodeHasher,
        name: &str,
        password: &str,
        origin: &Origin,
    ) -> Result<(Operator, NewSession), SignInRefusal> {
        let name = OperatorName::parse(name).ok();
        let found = match &name {
            Some(name) => self.find(name).await?,
            None => None,
        };
        let kept = found.as_ref().map(|operator| &operator.password);
        let salted = name.as_ref().map_or("", |name| name.as_str());
        let typed = PasswordHash::attempt(kept, hasher, salted, Password::attempt(password)).await?;
        match (name, found) {
            (Some(name), Some(_)) => self.judge(&name, &typed, origin).await,
            (name, _) => {
                // As for a name that somebody has, one after another, or the time would tell the two apart.
                let place = name.as_ref().map(record::operator_place);
                let _guard = match &place {
                    Some(place) => Some(self.engine.lock(place).await),
                    None => None,
                };
                Err(self.refuse(origin).await)
            }
        }
    }

    async fn judge(
        &self,
        name: &OperatorName,
        typed: &PasswordHash,
        origin: &Origin,
    ) -> Result<(Operator, NewSession), SignInRefusal> {
        let (now, place) = (origin.at, record::operator_place(name));
        // Attempts at one operator are judged one after another, so that many at once cannot overtake the budget.
        let _guard = self.engine.lock(&place).await;
        for _ in 0..ATTEMPTS {
            let Some((mut operator, version)) = self.read(name).await? else {
                return Err(self.refuse(origin).await);
            };
            let before = operator.clone();
            let is_waiting = operator.failures.waits_until(now).is_some();
            let is_right = !is_waiting && operator.password.is(typed);
            if is_right {
                operator.failures.succeeded();
            } else if !is_waiting {
                operator.failures.failed_without_lock(now);
            }
            let mut batch = Batch::new();
            batch.decided_at(now).expect(place.clone(), Some(version));
            if operator != before {
                batch.put(place.clone(), record::encode_operator(&place, &operator)?);
            }
            let begun = if is_right {
                Some(begin(&mut batch, &operator, Stage::Password, now)?)
            } else {
                refused(&mut batch, Some(name), origin);
                None
            };
            if self.settled(batch).await? {
                return begun.map(|session| (operator, session)).ok_or(SignInRefusal::Refused);
            }
        }
        Err(busy().into())
    }

    /// A name that nobody has: an entry is written, as for a wrong password.
    async fn refuse(&self, origin: &Origin) -> SignInRefusal {
        for _ in 0..ATTEMPTS {
            let mut batch = Batch::new();
            batch.decided_at(origin.at);
            refused(&mut batch, None, origin);
            match self.settled(batch).await {
                Ok(true) => return SignInRefusal::Refused,
                // Others append at once: nothing was written.
                Ok(false) => {}
                Err(error) => return error.into(),
            }
        }
        busy().into()
    }
}

/// The entry of a refusal. It names operators only: what else is typed for a name may be a password.
fn refused(batch: &mut Batch, name: Option<&OperatorName>, origin: &Origin) {
    let event = ServerEvent::OperatorSignInRefused { operator: name.map(ToString::to_string) };
    batch.append(Entry::of_server(None, origin, &event).to_bytes());
}
