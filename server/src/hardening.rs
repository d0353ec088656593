//! What the process gives up before it touches a secret.

use std::io;

use rustix::fs::Mode;
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit, umask};

/// Sets umask 077, forbids core dumps, and closes the process's memory to other processes of the same user.
///
/// For the start of `main`, before other threads exist: the umask belongs to the whole process.
///
/// # Errors
/// A system call was refused; a server should not go on then.
pub fn harden() -> io::Result<()> {
    umask(Mode::RWXG | Mode::RWXO);
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    // After the limit: a piped `core_pattern` ignores RLIMIT_CORE, and only this one also refuses ptrace (prctl(2)).
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use rustix::process::{dumpable_behavior, getrlimit};

    use super::*;

    #[test]
    fn afterwards_no_core_is_dumped_and_new_files_are_private() {
        harden().unwrap();
        assert_eq!(getrlimit(Resource::Core).current, Some(0));
        assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
        assert_eq!(umask(Mode::RWXG | Mode::RWXO), Mode::RWXG | Mode::RWXO);
    }
}
