//! Pool: vectors that went to another thread, on their way back to be filled again.

use std::sync::{Mutex, PoisonError};

/// More than threads and queues hold at a time need not be kept.
const KEEP: usize = 32;

/// Empty or spent values.
pub(super) struct Pool<T>(Mutex<Vec<T>>);

impl<T> Default for Pool<T> {
    fn default() -> Pool<T> {
        Pool(Mutex::new(Vec::new()))
    }
}

impl<T: Default> Pool<T> {
    /// One that was given back, as it was, or a new one.
    pub fn take(&self) -> T {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    /// Takes one back.
    pub fn give(&self, value: T) {
        let mut values = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if values.len() < KEEP {
            values.push(value);
        }
    }
}
