//! SlotOrder: whether slots still are in the order of the refs of their series.
//!
//! Prometheus selects from a head in order of refs, and sums of floats show the order in their last
//! bits. Slots are in that order until one is used again or two appenders create series at once; from
//! then on selections are sorted.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use super::series::Slot;

/// What was created last, and whether everything was created in order.
#[derive(Debug, Default)]
pub(crate) struct SlotOrder {
    last: Mutex<Option<(Slot, u64)>>,
    broken: AtomicBool,
}

impl SlotOrder {
    /// Series get slots, one after another.
    pub fn add_all(&self, created: &[(Slot, u64)]) {
        if !self.is_kept() {
            return;
        }
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        for &(slot, series_ref) in created {
            if last.is_some_and(|(s, r)| slot <= s || series_ref <= r) {
                self.broken.store(true, Ordering::Release);
            }
            *last = Some((slot, series_ref));
        }
    }

    /// Nothing was created yet.
    pub fn clear(&self) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.broken.store(false, Ordering::Release);
    }

    /// Whether ascending slots have ascending refs.
    pub fn is_kept(&self) -> bool {
        !self.broken.load(Ordering::Acquire)
    }
}
