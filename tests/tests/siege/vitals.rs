//! Memory and descriptors of a server, as the kernel counts them.

use std::fmt;
use std::time::Duration;

use sidekey_tests::Server;

/// The server is as it was within this time, or never.
const RECOVERY_LIMIT: Duration = Duration::from_secs(45);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(100);
/// The connections of the harness's own client and the store's files come and go.
const SPARE_DESCRIPTORS: u64 = 24;

/// How a server is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Vitals {
    /// `VmRSS`, in KiB.
    resident: u64,
    /// `VmHWM`: the most there ever was, in KiB.
    peak: u64,
    descriptors: u64,
}

impl Vitals {
    pub(crate) fn of(server: &Server) -> Self {
        Self {
            resident: server.vital("VmRSS"),
            peak: server.vital("VmHWM"),
            descriptors: descriptors(server.pid()),
        }
    }

    pub(crate) fn resident_megabytes(&self) -> u64 {
        self.resident / 1024
    }

    /// Waits until no descriptor is left over and no more than so many megabytes of memory; gives what it has come to.
    pub(crate) async fn recovered(&self, server: &Server, megabytes: u64) -> Self {
        let is_well = |now: &Self| {
            now.descriptors <= self.descriptors + SPARE_DESCRIPTORS
                && now.resident <= self.resident + megabytes * 1024
        };
        let waiting = async {
            let mut now = Self::of(server);
            while !is_well(&now) {
                tokio::time::sleep(LOOK).await;
                now = Self::of(server);
            }
            now
        };
        tokio::time::timeout(RECOVERY_LIMIT, waiting).await.unwrap_or_else(|_| {
            let now = Self::of(server);
            panic!("the server has not recovered within {RECOVERY_LIMIT:?}: before {self}, now {now}")
        })
    }
}

/// The process hides its memory from others (`PR_SET_DUMPABLE`), and with it the names in this folder, but since Linux 6.2 the
/// folder's size is their number. Before, only root could count them.
fn descriptors(pid: u32) -> u64 {
    let folder = format!("/proc/{pid}/fd");
    let counted = std::fs::metadata(&folder).map_or(0, |folder| folder.len());
    if counted > 0 {
        return counted;
    }
    let names = std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("`{folder}` cannot be counted: {e}"));
    names.count() as u64
}

impl fmt::Display for Vitals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { resident, peak, descriptors } = self;
        write!(f, "{} MB (peak {} MB), {descriptors} descriptors", resident / 1024, peak / 1024)
    }
}
