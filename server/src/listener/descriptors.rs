//! File descriptors: every connection takes one, and the usual soft limit of 1,024 is a tenth of what is needed.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit of open files to the hard one, and tells how many may be open now; `u64::MAX` when there is no
/// limit. The soft limit is low for the sake of programs that use `select(2)`; this one does not.
///
/// # Errors
/// The system call was refused; the limit is as it was.
pub fn raise_descriptor_limit() -> io::Result<u64> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?;
    Ok(maximum.unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn afterwards_the_soft_limit_is_the_hard_one() {
        let raised = raise_descriptor_limit().unwrap();
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        assert_eq!(current, maximum);
        assert_eq!(raised, current.unwrap_or(u64::MAX));
    }
}
