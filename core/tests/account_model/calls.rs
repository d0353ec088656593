//! What is asked of an account, and what comes of it, in words that the model and the host share.

use crate::codes::Typed;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    Login,
    StepUp,
    Enrollment,
}

#[derive(Clone, Debug)]
pub struct Entry {
    pub at: u64,
    pub call: Call,
    pub outcome: Outcome,
}

/// A code, and the one after it where there is one.
#[derive(Clone, Debug)]
pub struct Said {
    pub code: Typed,
    pub next: Option<Typed>,
}

/// A backup code of one set, hashed for another.
#[derive(Clone, Copy, Debug)]
pub struct SaidBackup {
    pub set: u8,
    pub hashed_for: u8,
    pub n: u8,
}

#[derive(Clone, Debug)]
pub enum Call {
    Setup {
        login: u8,
        restart: bool,
        name: Option<String>,
        number: usize,
    },
    Confirm {
        device: usize,
        said: Said,
        set: u8,
        session: Option<usize>,
    },
    Open(Purpose),
    Answer {
        session: Option<usize>,
        said: Said,
    },
    Backup {
        session: Option<usize>,
        said: SaidBackup,
    },
    Rename {
        device: usize,
        name: String,
    },
    MakePrimary {
        device: usize,
    },
    Remove {
        device: usize,
        said: Option<Said>,
    },
    Disable {
        said: Said,
    },
    Renew {
        said: Said,
        set: u8,
    },
    Unlock,
    /// An operator disables a device, enables or removes one, or resets everything.
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
    /// The store is lost, and a backup that was taken just before is restored.
    Restore,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Done,
    Shown { device: usize },
    Confirmed { first: bool },
    Accepted,
    TurnedOff,
    NotFound,
    TooManyDevices,
    SetupExpired,
    SecondFactorNeeded,
    CodeRequired,
    LastDevice,
    NotEnabled,
    Malformed,
    Throttled { seconds: u64 },
    NeedsNextCode,
    Locked,
    Wrong,
    WrongWith { attempts_remaining: u8 },
    SessionExpired,
    SessionFailed,
    SessionVerified,
}

impl Outcome {
    pub const KINDS: [&'static str; 21] = [
        "Done",
        "Shown",
        "Confirmed",
        "Accepted",
        "TurnedOff",
        "NotFound",
        "TooManyDevices",
        "SetupExpired",
        "SecondFactorNeeded",
        "CodeRequired",
        "LastDevice",
        "NotEnabled",
        "Malformed",
        "Throttled",
        "NeedsNextCode",
        "Locked",
        "Wrong",
        "WrongWith",
        "SessionExpired",
        "SessionFailed",
        "SessionVerified",
    ];

    pub fn kind(self) -> String {
        format!("{self:?}").split_whitespace().next().unwrap().to_owned()
    }
}
