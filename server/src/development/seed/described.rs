//! Users as a request describes them.

use serde::Deserialize;
use sidekey_core::{
    account::MAX_DEVICES,
    backup_code::CODES,
    id::{AccountName, DeviceName, UserId},
    import::MAX_SECRET_BYTES,
    secret::Secret,
};

use super::{
    person::{Device, Person},
    persona::Persona,
    random::Random,
};
use crate::http::Problem;

/// Users that one request may describe.
const MAX_USERS: usize = 20;

/// A user, as written.
#[derive(Deserialize)]
pub(super) struct Described {
    user_id: String,
    account_name: Option<String>,
    persona: Option<String>,
    devices: Option<Vec<DescribedDevice>>,
    backup_codes_left: Option<usize>,
}

#[derive(Deserialize)]
struct DescribedDevice {
    /// Base32; without one, it is made from the seed.
    secret: Option<String>,
    name: Option<String>,
}

impl Described {
    /// What is to become of them.
    ///
    /// # Errors
    /// The first of them that cannot be, by its place in the list.
    pub(super) fn people(all: Vec<Self>, seed: u64) -> Result<Vec<Person>, Problem> {
        if all.len() > MAX_USERS {
            return Err(Problem::field("users", &format!("must be at most {MAX_USERS}")));
        }
        let read = |(index, described): (usize, Self)| {
            let wrong = |text: String| Problem::field("users", &format!("item {}: {text}", index + 1));
            described.person(seed).map_err(wrong)
        };
        let people: Vec<_> = all.into_iter().enumerate().map(read).collect::<Result<_, _>>()?;
        for (index, person) in people.iter().enumerate() {
            if people.iter().skip(index + 1).any(|other| other.user == person.user) {
                return Err(Problem::field("users", "must have different names"));
            }
        }
        Ok(people)
    }

    fn person(self, seed: u64) -> Result<Person, String> {
        let user = UserId::parse(&self.user_id).map_err(|error| format!("`user_id` {error}"))?;
        let mut person = match self.persona.as_deref() {
            Some(_) if self.devices.is_some() => return Err("`persona` or `devices`, not both".to_owned()),
            Some(name) => {
                Persona::named(name).ok_or("`persona` is none of those there are")?.person(user, seed)
            }
            None => Person::new(user),
        };
        if let Some(name) = self.account_name {
            let name = AccountName::parse(&name).map_err(|error| format!("`account_name` {error}"))?;
            person.account_name = Some(name);
        }
        if let Some(devices) = self.devices {
            let random = &mut Random::new(seed, &person.user, "secrets");
            person.devices =
                devices.into_iter().map(|device| device.read(random)).collect::<Result<_, _>>()?;
        }
        let is_twice = |(index, device): (usize, &Device)| {
            person.devices.iter().skip(index + 1).any(|other| other.secret == device.secret)
        };
        if person.devices.len() > MAX_DEVICES || person.devices.iter().enumerate().any(is_twice) {
            return Err(format!("`devices` must be at most {MAX_DEVICES}, each with a secret of its own"));
        }
        if let Some(left) = self.backup_codes_left {
            if left > CODES || person.devices.is_empty() {
                return Err(format!("`backup_codes_left` must be at most {CODES}, and needs a device"));
            }
            person.backup_codes_left = left;
        }
        Ok(person)
    }
}

impl DescribedDevice {
    /// A secret that is given takes none of the others away: they stay what they were.
    fn read(self, random: &mut Random) -> Result<Device, String> {
        let mut device = Device::generate(random);
        if let Some(text) = self.secret {
            let secret = Secret::from_base32(&text).map_err(|error| error.to_string())?;
            if secret.expose().len() > MAX_SECRET_BYTES {
                return Err(format!("the secret is longer than {MAX_SECRET_BYTES} bytes"));
            }
            device.secret = secret;
        }
        if let Some(name) = self.name {
            device.name = Some(DeviceName::parse(&name).map_err(|error| format!("`name` {error}"))?);
        }
        Ok(device)
    }
}
