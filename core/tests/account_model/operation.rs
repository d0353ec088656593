//! What happens to an account: chosen at random, with weights that the model's state suggests, and turned into calls.

use proptest::prelude::*;

use crate::{
    calls::{Call, Outcome, Purpose, Said, SaidBackup},
    codes::{Meaning, Typed, code},
    model::Model,
};

/// Something that happens. Numbers choose among what there is at that moment.
#[derive(Clone, Debug)]
pub enum Operation {
    /// Time goes on by so many seconds.
    Pass(u64),
    /// Time goes on until codes, or else backup codes, are judged again, and by so many seconds more or one less.
    PassWait {
        extra: u64,
    },
    Setup {
        login: u8,
        restart: bool,
        name: Option<u8>,
    },
    Confirm {
        device: usize,
        saying: Saying,
        session: Option<usize>,
    },
    /// Setups that are confirmed at once.
    Enrol {
        login: u8,
        times: u8,
    },
    Open(Purpose),
    Answer {
        session: Option<usize>,
        saying: Saying,
    },
    Backup {
        session: Option<usize>,
        saying: SayingBackup,
    },
    Rename {
        device: usize,
        name: u8,
    },
    MakePrimary {
        device: usize,
    },
    Remove {
        device: usize,
        saying: Option<Saying>,
    },
    Disable {
        saying: Saying,
    },
    Renew {
        saying: Saying,
    },
    Unlock,
    DisableDevice {
        device: usize,
    },
    EnableDevice {
        device: usize,
    },
    RemoveForOwner {
        device: usize,
    },
    Reset,
    Restore,
    /// Wrong answers, each given as soon as it is judged.
    Guess {
        times: u8,
        pairs: bool,
        backup: bool,
    },
}

/// The codes of an answer.
#[derive(Clone, Debug)]
pub struct Saying {
    code: One,
    next: Option<One>,
    typed: u8,
}

/// One code of an answer.
#[derive(Clone, Debug)]
enum One {
    /// A device's, so many steps from now.
    Of { device: usize, offset: i8 },
    /// The one that was accepted so many acceptances ago.
    Again { ago: usize },
    /// Nobody's.
    Wrong(u32),
    /// With another number of digits.
    Malformed(bool),
}

/// A backup code of an answer.
#[derive(Clone, Debug)]
pub enum SayingBackup {
    /// Of the current set.
    Of(u8),
    /// Spent already, if one is.
    Spent(usize),
    /// Of the set before, hashed for that or for the current one.
    Old { n: u8, for_current: bool },
    /// Nobody's.
    Wrong,
}

pub fn any(model: &Model) -> BoxedStrategy<Operation> {
    use Operation as O;
    let device = 0..model.devices.len().max(1);
    let login = 0_u8..3;
    let session = prop::option::weighted(0.7, 0..model.sessions.len().max(1));
    let has_device = !model.active.is_empty();
    let has_pending = model.pending.iter().any(|device| model.is_alive(*device));
    let waits = model.throttled_until().is_some() || model.backup_codes_wait().is_some();
    let when = |condition: bool, weight: u32| if condition { weight } else { 1 };
    let purpose = prop_oneof![
        when(has_device, 4) => Just(Purpose::Login),
        1 => Just(Purpose::StepUp),
        when(!has_device, 4) => Just(Purpose::Enrollment),
    ];
    let pending = prop_oneof![
        3 => prop::sample::select(if has_pending { model.pending.clone() } else { vec![0] }),
        1 => device.clone(),
    ];
    let right_or_not =
        |device: BoxedStrategy<usize>| prop_oneof![3 => right(device.clone()), 2 => saying(device)];
    let active = || {
        let active = if has_device { model.active.clone() } else { vec![0] };
        prop_oneof![5 => prop::sample::select(active), 1 => 0..model.devices.len().max(1)].boxed()
    };
    let disabled = if model.disabled.is_empty() { vec![0] } else { model.disabled.clone() };
    let disabled = prop::sample::select(disabled);
    let any_device = device.clone();
    prop_oneof![
        8 => seconds().prop_map(O::Pass),
        when(waits, 8) => (0_u64..3).prop_map(|extra| O::PassWait { extra }),
        3 => (login.clone(), any_bool(), prop::option::of(0_u8..3))
            .prop_map(|(login, restart, name)| O::Setup { login, restart, name }),
        when(has_pending, 5) => pending.prop_flat_map(move |device| {
            (right_or_not(Just(device).boxed()), Just(device), prop::option::of(0_usize..8))
        })
        .prop_map(|(saying, device, session)| O::Confirm { device, saying, session }),
        when(!has_device, 4) => (login, prop_oneof![5 => Just(1), 1 => 2_u8..9])
            .prop_map(|(login, times)| O::Enrol { login, times }),
        4 => purpose.prop_map(O::Open),
        when(has_device, 16) => (session.clone(), right_or_not(active()))
            .prop_map(|(session, saying)| O::Answer { session, saying }),
        when(has_device, 6) => (session, saying_backup())
            .prop_map(|(session, saying)| O::Backup { session, saying }),
        1 => (device.clone(), 0_u8..3).prop_map(|(device, name)| O::Rename { device, name }),
        1 => device.clone().prop_map(|device| O::MakePrimary { device }),
        2 => (device, prop::option::weighted(0.8, right_or_not(active())))
            .prop_map(|(device, saying)| O::Remove { device, saying }),
        1 => right_or_not(active()).prop_map(|saying| O::Disable { saying }),
        1 => right_or_not(active()).prop_map(|saying| O::Renew { saying }),
        1 => Just(O::Unlock),
        when(has_device, 3) => active().prop_map(|device| O::DisableDevice { device }),
        when(!model.disabled.is_empty(), 3) => disabled.prop_map(|device| O::EnableDevice { device }),
        1 => any_device.prop_map(|device| O::RemoveForOwner { device }),
        1 => Just(O::Reset),
        1 => Just(O::Restore),
        when(has_device, 2) => (1_u8..12, any_bool(), any_bool())
            .prop_map(|(times, pairs, backup)| O::Guess { times, pairs, backup }),
        1 => (20_u8..110, any_bool()).prop_map(|(times, backup)| O::Guess { times, pairs: true, backup }),
    ]
    .boxed()
}

fn any_bool() -> impl Strategy<Value = bool> {
    prop::bool::ANY
}

fn seconds() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => 0_u64..4,
        6 => 26_u64..34,
        3 => prop::sample::select(vec![60, 299, 300, 301, 599, 600, 601, 3_600]),
        1 => prop::sample::select(vec![86_400, 30 * 86_400 - 1, 30 * 86_400]),
    ]
}

/// An answer that is right unless it was used.
fn right(device: BoxedStrategy<usize>) -> BoxedStrategy<Saying> {
    let offset = prop::sample::select(vec![0_i8, 0, 0, -1, 1]);
    (device, offset, any_bool(), 0_u8..4)
        .prop_map(|(device, offset, is_pair, typed)| {
            let of = |offset| One::Of { device, offset };
            if is_pair {
                Saying { code: of(offset - 1), next: Some(of(offset)), typed }
            } else {
                Saying { code: of(offset), next: None, typed }
            }
        })
        .boxed()
}

fn saying(device: BoxedStrategy<usize>) -> BoxedStrategy<Saying> {
    let of = (device, -3_i8..=3).prop_map(|(device, offset)| One::Of { device, offset });
    let one = prop_oneof![
        6 => of,
        3 => (0_usize..4).prop_map(|ago| One::Again { ago }),
        2 => (0_u32..1_000_000).prop_map(One::Wrong),
        1 => any_bool().prop_map(One::Malformed),
    ];
    (one.clone(), prop::option::weighted(0.4, one), 0_u8..4)
        .prop_map(|(code, next, typed)| Saying { code, next, typed })
        .boxed()
}

fn saying_backup() -> impl Strategy<Value = SayingBackup> {
    prop_oneof![
        4 => (0_u8..10).prop_map(SayingBackup::Of),
        2 => (0_usize..10).prop_map(SayingBackup::Spent),
        1 => (0_u8..10, any_bool()).prop_map(|(n, for_current)| SayingBackup::Old { n, for_current }),
        2 => Just(SayingBackup::Wrong),
    ]
}

impl Saying {
    fn said(&self, model: &Model) -> Said {
        let said = |one: &One| one.typed(model, self.typed);
        Said { code: said(&self.code), next: self.next.as_ref().map(said) }
    }

    /// Whether each of its codes means one thing only.
    fn is_clear(&self, model: &Model) -> bool {
        let is_clear = |one: &One| one.is_clear(model);
        is_clear(&self.code) && self.next.as_ref().is_none_or(is_clear)
    }
}

impl One {
    fn meant(&self, model: &Model) -> Option<(usize, u64)> {
        match *self {
            Self::Of { device, offset } => {
                Some((device, model.step().checked_add_signed(offset.into()).unwrap()))
            }
            Self::Again { ago } => model.accepted.iter().rev().nth(ago).copied(),
            Self::Wrong(_) | Self::Malformed(_) => None,
        }
    }

    fn is_clear(&self, model: &Model) -> bool {
        let Some((device, step)) = self.meant(model) else { return true };
        let is_alive = model.active.contains(&device) || model.pending.contains(&device);
        let is_near = step.abs_diff(model.step()) <= 3;
        model.owners(&code(device, step)) == usize::from(is_alive && is_near)
    }

    fn typed(&self, model: &Model, typed: u8) -> Typed {
        let (text, meaning) = match (self, self.meant(model)) {
            (_, Some((device, step))) => (code(device, step), Meaning::CodeOf(device, step)),
            (Self::Malformed(long), _) => {
                ((if *long { "12345678" } else { "1234567" }).to_owned(), Meaning::Malformed)
            }
            (Self::Wrong(number), _) => return model.wrong_code(*number),
            (Self::Of { .. } | Self::Again { .. }, None) => return model.wrong_code(0),
        };
        let text = match typed {
            0 => format!(" {}-{} ", &text[..3], &text[3..]),
            1 => text.chars().flat_map(|digit| [digit, ' ']).collect(),
            _ => text,
        };
        Typed { text, meaning }
    }
}

impl SayingBackup {
    fn said(&self, model: &Model) -> SaidBackup {
        let set = model.sets;
        let old = set.saturating_sub(1);
        match *self {
            Self::Of(n) => SaidBackup { set, hashed_for: set, n },
            Self::Spent(which) => {
                let spent =
                    model.backup.as_ref().and_then(|(_, spent)| spent.iter().nth(which % spent.len().max(1)));
                SaidBackup { set, hashed_for: set, n: spent.copied().unwrap_or(0) }
            }
            Self::Old { n, for_current } => {
                SaidBackup { set: old, hashed_for: if for_current { set } else { old }, n }
            }
            Self::Wrong => SaidBackup { set, hashed_for: set, n: 99 },
        }
    }
}

impl Operation {
    /// Whether the model knows what it means.
    pub fn is_possible(&self, model: &Model) -> bool {
        let saying = match self {
            Self::Confirm { saying, .. }
            | Self::Answer { saying, .. }
            | Self::Disable { saying }
            | Self::Renew { saying } => Some(saying),
            Self::Remove { saying, .. } => saying.as_ref(),
            Self::Enrol { .. } => return !model.totp_budget.is_locked(),
            Self::Guess { .. } => return !model.active.is_empty(),
            _ => None,
        };
        // A shrunk choice may name a device that there is not yet.
        let exists = |one: &One| !matches!(one, One::Of { device, .. } if *device >= model.devices.len());
        saying.is_none_or(|saying| {
            exists(&saying.code) && saying.next.as_ref().is_none_or(exists) && saying.is_clear(model)
        })
    }

    /// Lets it happen to the model.
    pub fn run(&self, model: &mut Model) {
        let call = match self {
            Self::Pass(seconds) => {
                model.now += seconds;
                return;
            }
            Self::PassWait { extra } => {
                let codes = model.throttled_until();
                let until = codes.or(model.backup_codes_wait().map(|seconds| model.now + seconds));
                model.now = until.map_or(model.now, |until| (until + extra - 1).max(model.now));
                return;
            }
            Self::Guess { times, pairs, backup } => return guess(model, *times, *pairs, *backup),
            Self::Enrol { login, times } => return (0..*times).for_each(|_| enrol(model, *login)),
            Self::Setup { login, restart, name } => Call::Setup {
                login: *login,
                restart: *restart,
                name: name.map(|name| format!("Phone {name}")),
                number: model.devices.len(),
            },
            Self::Confirm { device, saying, session } => Call::Confirm {
                device: *device,
                said: saying.said(model),
                set: model.sets + 1,
                session: session.and_then(|session| enrolment_session(model, session)),
            },
            Self::Open(purpose) => Call::Open(*purpose),
            Self::Answer { session, saying } => {
                Call::Answer { session: existing(model, *session), said: saying.said(model) }
            }
            Self::Backup { session, saying } => {
                Call::Backup { session: existing(model, *session), said: saying.said(model) }
            }
            Self::Rename { device, name } => Call::Rename { device: *device, name: format!("Key {name}") },
            Self::MakePrimary { device } => Call::MakePrimary { device: *device },
            Self::Remove { device, saying } => {
                let said = saying.as_ref().map(|saying| saying.said(model));
                Call::Remove { device: *device, said }
            }
            Self::Disable { saying } => Call::Disable { said: saying.said(model) },
            Self::Renew { saying } => Call::Renew { said: saying.said(model), set: model.sets + 1 },
            Self::Unlock => Call::Unlock,
            Self::DisableDevice { device } => Call::DisableDevice { device: *device },
            Self::EnableDevice { device } => Call::EnableDevice { device: *device },
            Self::RemoveForOwner { device } => Call::RemoveForOwner { device: *device },
            Self::Reset => Call::Reset,
            Self::Restore => Call::Restore,
        };
        model.call(call);
    }
}

/// The latest sessions are the likeliest to be open: choices count from the end.
fn existing(model: &Model, session: Option<usize>) -> Option<usize> {
    session.and_then(|ago| model.sessions.len().checked_sub(1 + ago / 2))
}

fn enrolment_session(model: &Model, choice: usize) -> Option<usize> {
    let sessions = model.sessions.iter().enumerate().rev();
    let mut enrolments = sessions.filter(|(_, session)| session.purpose == Purpose::Enrollment);
    enrolments.nth(choice / 3).map(|(index, _)| index)
}

fn enrol(model: &mut Model, login: u8) {
    let number = model.devices.len();
    model.now = model.throttled_until().unwrap_or(model.now);
    let outcome = model.call(Call::Setup { login, restart: true, name: None, number });
    let Outcome::Shown { device } = outcome else { return };
    let of = |offset| One::Of { device, offset };
    let saying = Saying { code: of(-1), next: Some(of(0)), typed: 2 };
    if saying.is_clear(model) {
        let (said, set) = (saying.said(model), model.sets + 1);
        model.call(Call::Confirm { device, said, set, session: None });
    }
}

fn guess(model: &mut Model, times: u8, pairs: bool, backup: bool) {
    for number in 0..times {
        if backup {
            model.now += model.backup_codes_wait().unwrap_or(0);
            let said = SayingBackup::Wrong.said(model);
            model.call(Call::Backup { session: None, said });
            continue;
        }
        model.now = model.throttled_until().unwrap_or(model.now);
        let code = model.wrong_code(u32::from(number));
        let next = pairs.then(|| model.wrong_code(u32::from(number) + 500_000));
        if model.call(Call::Answer { session: None, said: Said { code, next } }) == Outcome::Locked {
            return;
        }
    }
}
