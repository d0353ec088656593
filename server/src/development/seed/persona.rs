//! The users that are made where none are described: one for each state that a login can meet. docs/integration.md tells of each.

use sidekey_core::{
    backup_code::{CODES, LOW},
    id::{DeviceName, UserId},
};

use super::{
    person::{Device, Person, Trouble},
    random::Random,
};

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Persona {
    OneDevice,
    TwoDevices,
    FewBackupCodes,
    Throttled,
    NextCode,
    Locked,
    PendingSetup,
    Admin,
    NeverEnrolled,
}

impl Persona {
    const ALL: [Self; 9] = [
        Self::OneDevice,
        Self::TwoDevices,
        Self::FewBackupCodes,
        Self::Throttled,
        Self::NextCode,
        Self::Locked,
        Self::PendingSetup,
        Self::Admin,
        Self::NeverEnrolled,
    ];

    /// Its name for programs.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::OneDevice => "one_device",
            Self::TwoDevices => "two_devices",
            Self::FewBackupCodes => "few_backup_codes",
            Self::Throttled => "throttled",
            Self::NextCode => "next_code",
            Self::Locked => "locked",
            Self::PendingSetup => "pending_setup",
            Self::Admin => "admin",
            Self::NeverEnrolled => "never_enrolled",
        }
    }

    /// The one with this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|persona| persona.name() == name)
    }

    /// Its own name for the demo application, and for every other one: `seed-one-device` and so on.
    fn user(self) -> Option<UserId> {
        UserId::parse(&format!("seed-{}", self.name().replace('_', "-"))).ok()
    }

    /// The names of all.
    pub(super) fn users() -> impl Iterator<Item = UserId> {
        Self::ALL.into_iter().filter_map(Self::user)
    }

    /// All of them, each under its own name.
    pub(super) fn people(seed: u64) -> Vec<Person> {
        let person = |persona: Self| persona.user().map(|user| persona.person(user, seed));
        Self::ALL.into_iter().filter_map(person).collect()
    }

    /// This one under another name.
    pub(super) fn person(self, user: UserId, seed: u64) -> Person {
        let random = &mut Random::new(seed, &user, "secrets");
        let mut device = |name: Option<&str>| Device {
            name: name.and_then(|name| DeviceName::parse(name).ok()),
            ..Device::generate(random)
        };
        let devices = match self {
            Self::PendingSetup | Self::NeverEnrolled => Vec::new(),
            Self::TwoDevices => {
                let old = Device { renamed: DeviceName::parse("Old phone").ok(), ..device(None) };
                vec![old, Device { is_primary: true, ..device(Some("New phone")) }]
            }
            _ => vec![device(None)],
        };
        Person {
            persona: Some(self),
            devices,
            is_admin: self == Self::Admin,
            has_pending: self == Self::PendingSetup,
            backup_codes_left: if self == Self::FewBackupCodes { LOW } else { CODES },
            trouble: match self {
                Self::Throttled => Some(Trouble::Throttled),
                Self::NextCode => Some(Trouble::NextCode),
                Self::Locked => Some(Trouble::Locked),
                _ => None,
            },
            ..Person::new(user)
        }
    }
}
