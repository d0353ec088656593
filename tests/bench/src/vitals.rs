//! What the kernel tells of a process: memory and processor time.

use std::fs;
use std::time::Duration;

use crate::failure::{Failure, Outcome};

/// The memory that a process has at the moment, and had at most, in bytes.
///
/// # Errors
/// The process is gone.
pub fn memory(pid: u32) -> Outcome<(u64, u64)> {
    let status = read(pid, "status")?;
    let of = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).map(|kib| kib * 1_024)
    };
    of("VmRSS")
        .zip(of("VmHWM"))
        .ok_or_else(|| Failure::new("the system does not tell how much memory is used"))
}

/// The processor time that a process has used, in user and kernel mode.
///
/// # Errors
/// The process is gone.
pub fn processor(pid: u32) -> Outcome<Duration> {
    let stat = read(pid, "stat")?;
    // The name may hold anything, also blanks and parentheses; what follows the last one is numbers. `utime` and `stime` are the
    // fields 14 and 15 of proc_pid_stat(5), and the one after the name is the third.
    let fields = stat.rsplit_once(')').map(|(_, fields)| fields.split_whitespace().skip(11).take(2));
    let ticks: Option<u64> = fields.and_then(|fields| fields.map(|field| field.parse::<u64>().ok()).sum());
    let ticks =
        ticks.ok_or_else(|| Failure::new("the system does not tell how much processor time is used"))?;
    Ok(Duration::from_millis(ticks * 1_000 / rustix::param::clock_ticks_per_second().max(1)))
}

fn read(pid: u32, what: &str) -> Outcome<String> {
    let path = format!("/proc/{pid}/{what}");
    fs::read_to_string(&path).map_err(Failure::because(format!("the server is gone: `{path}`")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_and_has_used_time() {
        let (now, most) = memory(std::process::id()).unwrap();
        assert!(now > 100_000 && most >= now);
        assert!(processor(std::process::id()).unwrap() < Duration::from_hours(1));
    }
}
