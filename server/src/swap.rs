//! A value that is replaced as a whole while others read it.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

/// Readers take what is there now and keep it for as long as they like. The lock is held for a copy of the pointer only.
pub struct Swap<T: ?Sized>(RwLock<Arc<T>>);

impl<T: ?Sized> Swap<T> {
    /// Begins with this value.
    pub fn new(value: impl Into<Arc<T>>) -> Self {
        Self(RwLock::new(value.into()))
    }

    /// What is there now.
    pub fn get(&self) -> Arc<T> {
        // A pointer is never left half written, whoever panicked.
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts `value` there; gives what was there before, which others may still be working with.
    pub fn replace(&self, value: impl Into<Arc<T>>) -> Arc<T> {
        let mut current = self.0.write().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut current, value.into())
    }
}

impl<T: fmt::Debug + ?Sized> fmt::Debug for Swap<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_taken_stays_and_what_is_taken_next_is_new() {
        let swap: Swap<[u8]> = Swap::new([1]);
        let taken = swap.get();
        let before = swap.replace([2, 3]);
        assert_eq!((&*taken, &*before, &*swap.get()), (&[1][..], &[1][..], &[2, 3][..]));
        assert!(Arc::ptr_eq(&taken, &before));
    }
}
