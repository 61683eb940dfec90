//! Isolation: who sees which commits.
//!
//! Commits are applied one after another and numbered; `published` is the last one that is whole.
//! A view remembers it and never sees samples of later ones. What must hold: a commit is published
//! only after its last sample is in place; a series remembers how many samples each commit above
//! the lowest watermark of any open view added.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

#[derive(Debug, Default)]
struct State {
    published: u64,
    next_view: u64,
    /// Watermark of every open view, in order of opening.
    open: BTreeMap<u64, u64>,
}

/// The registry of a head's commits and views.
#[derive(Debug, Default)]
pub(crate) struct Isolation {
    state: Mutex<State>,
}

/// Keeps what a view may see; released when dropped.
#[derive(Debug)]
pub(crate) struct ViewPin {
    isolation: Arc<Isolation>,
    number: u64,
    /// Samples of commits above this one are hidden.
    pub watermark: u64,
}

impl Isolation {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a view of everything published so far.
    pub fn pin(self: &Arc<Isolation>) -> ViewPin {
        let mut state = self.lock();
        let (number, watermark) = (state.next_view, state.published);
        state.next_view += 1;
        state.open.insert(number, watermark);
        ViewPin { isolation: self.clone(), number, watermark }
    }

    /// The last published commit.
    pub fn published(&self) -> u64 {
        self.lock().published
    }

    /// Watermarks of the open views, ascending.
    pub fn watermarks(&self) -> Vec<u64> {
        let mut all: Vec<u64> = self.lock().open.values().copied().collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// The lowest commit that still matters to someone (`isolation_low_watermark`).
    pub fn low_watermark(&self) -> u64 {
        let state = self.lock();
        state.open.values().copied().min().unwrap_or(state.published)
    }

    /// Makes commit `id` visible to views opened from now on.
    pub fn publish(&self, id: u64) {
        self.lock().published = id;
    }

    /// A mark in the order of views: those opened before it are older.
    pub fn mark(&self) -> u64 {
        self.lock().next_view
    }

    /// Whether every view opened before `mark` is gone.
    pub fn gone_before(&self, mark: u64) -> bool {
        self.lock().open.keys().next().is_none_or(|&oldest| oldest >= mark)
    }
}

/// Numbers whatever is open, so that one can wait until all that was open at some time is closed.
#[derive(Debug, Default)]
pub(crate) struct Openings {
    state: Mutex<(u64, BTreeSet<u64>)>,
}

impl Openings {
    fn lock(&self) -> MutexGuard<'_, (u64, BTreeSet<u64>)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something opens; its number is for `close`.
    pub fn open(&self) -> u64 {
        let mut state = self.lock();
        let number = state.0;
        state.0 += 1;
        state.1.insert(number);
        number
    }

    /// It is closed.
    pub fn close(&self, number: u64) {
        self.lock().1.remove(&number);
    }

    /// What opens from now on has this number or a higher one.
    pub fn mark(&self) -> u64 {
        self.lock().0
    }

    /// Whether everything opened before `mark` is closed.
    pub fn gone_before(&self, mark: u64) -> bool {
        self.lock().1.first().is_none_or(|&oldest| oldest >= mark)
    }
}

impl Drop for ViewPin {
    fn drop(&mut self) {
        self.isolation.lock().open.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn watermarks_follow_views() {
        let iso = Arc::new(Isolation::default());
        iso.publish(3);
        let old = iso.pin();
        iso.publish(4);
        let mark = iso.mark();
        let new = iso.pin();
        assert_eq!((old.watermark, new.watermark, iso.low_watermark()), (3, 4, 3));
        assert!(!iso.gone_before(mark));
        drop(old);
        assert!(iso.gone_before(mark));
        assert_eq!(iso.low_watermark(), 4);
        drop(new);
        iso.publish(9);
        assert_eq!(iso.low_watermark(), 9);
    }
}
