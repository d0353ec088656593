//! Enforcement: whether an app demands a second factor of a user who has none yet.

use crate::time::UnixTime;

/// What an app asks of its users.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Enforcement {
    /// Nobody is asked.
    #[default]
    Optional,
    /// Everybody is invited, nobody is held up.
    Encouraged,
    /// Everybody must enrol, at the latest when this many seconds have passed since the first login that was asked to.
    Required {
        /// Length of the grace period in seconds; 0 asks at once.
        grace_seconds: u64,
    },
    /// Administrators must enrol at once, nobody else is asked.
    AdminsOnly,
}

/// What the policy says to a login without any active device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Let in, without a word.
    Free,
    /// Let in, and invited to enrol; with a date by which it must happen, where there is one.
    Invited {
        /// When the grace period ends.
        enroll_by: Option<UnixTime>,
    },
    /// Not let in before a device is enrolled.
    MustEnroll,
}

impl Enforcement {
    /// Decides on a login without an active device. `asked_since` is when this user was first asked to enrol, now if never before.
    pub fn admit(self, is_admin: bool, asked_since: UnixTime, now: UnixTime) -> Admission {
        match self {
            Self::Encouraged => Admission::Invited { enroll_by: None },
            Self::AdminsOnly if is_admin => Admission::MustEnroll,
            Self::Optional | Self::AdminsOnly => Admission::Free,
            Self::Required { grace_seconds } => {
                let enroll_by = asked_since.plus(grace_seconds);
                if now < enroll_by {
                    Admission::Invited { enroll_by: Some(enroll_by) }
                } else {
                    Admission::MustEnroll
                }
            }
        }
    }

    /// Whether a user of the app is required to have a second factor, now or when a grace period ends.
    pub fn requires(self, is_admin: bool) -> bool {
        match self {
            Self::Optional | Self::Encouraged => false,
            Self::Required { .. } => true,
            Self::AdminsOnly => is_admin,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixTime = UnixTime::from_secs(1_000_000);

    #[test]
    fn grace_ends_on_the_second() {
        let required = Enforcement::Required { grace_seconds: 60 };
        let enroll_by = Some(NOW.plus(60));
        assert_eq!(required.admit(false, NOW, NOW.plus(59)), Admission::Invited { enroll_by });
        assert_eq!(required.admit(false, NOW, NOW.plus(60)), Admission::MustEnroll);
        assert_eq!(Enforcement::Required { grace_seconds: 0 }.admit(false, NOW, NOW), Admission::MustEnroll);
    }

    #[test]
    fn a_second_factor_is_required_where_it_is_now_or_after_a_grace_period() {
        let required = Enforcement::Required { grace_seconds: 60 };
        for (enforcement, of_users, of_admins) in [
            (Enforcement::Optional, false, false),
            (Enforcement::Encouraged, false, false),
            (required, true, true),
            (Enforcement::AdminsOnly, false, true),
        ] {
            assert_eq!(enforcement.requires(false), of_users, "{enforcement:?}");
            assert_eq!(enforcement.requires(true), of_admins, "{enforcement:?}");
        }
    }

    #[test]
    fn admins_only_means_admins_only() {
        assert_eq!(Enforcement::AdminsOnly.admit(true, NOW, NOW), Admission::MustEnroll);
        assert_eq!(Enforcement::AdminsOnly.admit(false, NOW, NOW), Admission::Free);
        assert_eq!(Enforcement::Optional.admit(true, NOW, NOW), Admission::Free);
        assert_eq!(Enforcement::Encouraged.admit(true, NOW, NOW), Admission::Invited { enroll_by: None });
    }
}
