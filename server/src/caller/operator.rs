//! Operators of the server, proved by the cookie of the admin area.
//!
//! Whoever is signed in may look: that is [`Operator`]. What changes something takes a [`Support`] or an [`Admin`], which only an operator of
//! that role gets, with a second factor that is fresh and a reason that the audit trail keeps.

use sidekey_core::{id::AccountId, time::UnixTime};

use crate::{
    audit::{Actor, Origin, Reason},
    context::Context,
    http::{Call, Code, Problem},
    operators::{AdminSession, OperatorName, Role, Stage, account_of, hash_of_cookie},
    pages::{Cookie, csrf},
};

/// Seconds for which a second factor lets an operator change something: a quarter of an hour.
pub const OPERATOR_FRESH: u64 = 15 * 60;

/// Somebody who is signed in to the admin area, with both factors: they may look at everything.
#[derive(Debug)]
pub struct Operator {
    /// Who.
    pub name: OperatorName,
    /// What they may do.
    pub role: Role,
    /// When they last gave a second factor.
    pub second_factor_at: UnixTime,
    /// For the audit trail.
    pub origin: Origin,
    pub(crate) session: SessionInHand,
}

/// An operator who may help users.
#[derive(Debug)]
pub struct Support {
    /// Who.
    pub name: OperatorName,
    /// For the audit trail, with the reason.
    pub origin: Origin,
}

/// An operator who may change apps, keys and operators.
#[derive(Debug)]
pub struct Admin(Support);

/// The session of a browser, with what its forms carry.
#[derive(Clone)]
pub(crate) struct SessionInHand {
    /// The hash of its cookie.
    pub(crate) hash: [u8; 32],
    /// What its forms carry.
    pub(crate) csrf: String,
}

/// Somebody whose password was right, and who has not given a second factor.
#[derive(Debug)]
pub(crate) struct HalfWay {
    pub(crate) operator: crate::operators::Operator,
    pub(crate) origin: Origin,
    pub(crate) session: SessionInHand,
}

/// How far a browser has come.
pub(crate) enum Arrived {
    /// Nowhere.
    Stranger,
    /// The second factor is missing.
    HalfWay(HalfWay),
    /// In.
    SignedIn(Operator),
}

impl Operator {
    /// Them as somebody who may help users, for a reason.
    ///
    /// # Errors
    /// `FORBIDDEN` for a viewer, `2FA_REQUIRED` if the second factor was given longer ago than [`OPERATOR_FRESH`].
    pub fn support(&self, reason: Reason) -> Result<Support, Problem> {
        self.require(Role::Support)?;
        Ok(Support { name: self.name.clone(), origin: self.origin.clone().because(reason) })
    }

    /// Them as somebody who may change apps, keys and operators, for a reason.
    ///
    /// # Errors
    /// `FORBIDDEN` for others than admins, `2FA_REQUIRED` as [`Operator::support`].
    pub fn admin(&self, reason: Reason) -> Result<Admin, Problem> {
        self.require(Role::Admin)?;
        self.support(reason).map(Admin)
    }

    /// The account that their second factor is kept under.
    ///
    /// # Errors
    /// As [`account_of`].
    pub(crate) fn account(&self) -> Result<AccountId, Problem> {
        account_of(&self.name)
    }

    /// Whether they have this role, or one that may more.
    pub fn is(&self, role: Role) -> bool {
        self.role >= role
    }

    fn require(&self, role: Role) -> Result<(), Problem> {
        if !self.is(role) {
            return Err(Problem::new(Code::Forbidden).saying("Your role does not let you do this."));
        }
        if self.origin.at.since(self.second_factor_at) >= OPERATOR_FRESH {
            return Err(Problem::new(Code::SecondFactorRequired));
        }
        Ok(())
    }
}

impl Admin {
    /// The same as somebody who may help users.
    pub fn as_support(&self) -> &Support {
        &self.0
    }

    /// For the audit trail.
    pub fn origin(&self) -> &Origin {
        &self.0.origin
    }
}

/// How far the browser of this call has come in the admin area.
///
/// # Errors
/// The store is not available.
pub(crate) async fn arrived(context: &Context, call: &Call) -> Result<Arrived, Problem> {
    let Some(cookie) = Cookie::Admin.read(context, &call.headers) else { return Ok(Arrived::Stranger) };
    let hash = hash_of_cookie(&cookie);
    let found = context.operators.session(&hash, context.clock.now()).await?;
    let Some((AdminSession { stage, .. }, operator)) = found else { return Ok(Arrived::Stranger) };
    let origin = call.origin_as(Actor::SignedInOperator { name: operator.name.to_string() });
    let session = SessionInHand { hash, csrf: csrf::token(&context.pepper, &cookie) };
    Ok(match stage {
        Stage::Password => Arrived::HalfWay(HalfWay { operator, origin, session }),
        Stage::SecondFactor(at) => Arrived::SignedIn(Operator {
            name: operator.name,
            role: operator.role,
            second_factor_at: at,
            origin,
            session,
        }),
    })
}

impl std::fmt::Debug for SessionInHand {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("SessionInHand(…)")
    }
}
