//! Times: the bounds of what the head holds, in milliseconds.
//!
//! What must hold: without a sample `min` is `i64::MAX` and `max` `i64::MIN`; with one, both are set.

use std::sync::atomic::{AtomicI64, Ordering};

/// Bounds that only widen, but for `truncate`.
#[derive(Debug)]
pub(crate) struct Times {
    min: AtomicI64,
    max: AtomicI64,
    min_valid: AtomicI64,
}

impl Default for Times {
    fn default() -> Times {
        Times {
            min: AtomicI64::new(i64::MAX),
            max: AtomicI64::new(i64::MIN),
            min_valid: AtomicI64::new(i64::MIN),
        }
    }
}

impl Times {
    /// First time; `i64::MAX` for an empty head.
    pub fn min(&self) -> i64 {
        self.min.load(Ordering::Acquire)
    }

    /// Last time; `i64::MIN` for an empty head.
    pub fn max(&self) -> i64 {
        self.max.load(Ordering::Acquire)
    }

    /// In-order samples before this are refused.
    pub fn min_valid(&self) -> i64 {
        self.min_valid.load(Ordering::Acquire)
    }

    /// Whether there was ever a sample.
    pub fn is_set(&self) -> bool {
        self.min() != i64::MAX && self.max() != i64::MIN
    }

    /// Takes in samples from `min` to `max`.
    pub fn extend(&self, min: i64, max: i64) {
        self.max.fetch_max(max, Ordering::AcqRel);
        self.min.fetch_min(min, Ordering::AcqRel);
    }

    /// Raises the floor.
    pub fn raise_min_valid(&self, t: i64) {
        self.min_valid.fetch_max(t, Ordering::AcqRel);
    }

    /// There is no sample, and no floor.
    pub fn clear(&self) {
        self.min.store(i64::MAX, Ordering::Release);
        self.max.store(i64::MIN, Ordering::Release);
        self.min_valid.store(i64::MIN, Ordering::Release);
    }

    /// Nothing before `t` is left.
    pub fn truncate(&self, t: i64) {
        self.raise_min_valid(t);
        self.min.store(t, Ordering::Release);
        self.max.fetch_max(t, Ordering::AcqRel);
    }
}
