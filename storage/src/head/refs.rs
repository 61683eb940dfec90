//! RefDirectory: from a series' ref (u64, in logs and at callers) to its slot (u32, in memory).
//!
//! Refs are handed out in ascending order, so the directory is a sorted list of runs of 512 refs,
//! nearly always without gaps. The list is copied when a run is added or dropped; whoever looks up
//! many refs keeps a copy of the list and lookups take no lock.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::series::Slot;

const RUN: usize = 512;
const NONE: Slot = Slot::MAX;

struct Run {
    slots: [AtomicU32; RUN],
    live: AtomicU32,
}

type Runs = Arc<Vec<(u64, Arc<Run>)>>;

/// The directory.
#[derive(Default)]
pub(crate) struct RefDirectory {
    runs: RwLock<Runs>,
}

/// A copy of the list of runs. Refs entered later may be missing: [`RefDirectory::lookup`] asks again.
#[derive(Clone, Default)]
pub(crate) struct RefSnapshot {
    runs: Runs,
}

fn position(runs: &[(u64, Arc<Run>)], number: u64) -> Result<usize, usize> {
    if let Some((first, _)) = runs.first() {
        let guess = number.wrapping_sub(*first) as usize;
        if runs.get(guess).is_some_and(|(n, _)| *n == number) {
            return Ok(guess);
        }
    }
    runs.binary_search_by_key(&number, |(n, _)| *n)
}

impl RefSnapshot {
    #[inline]
    fn get(&self, series_ref: u64) -> Option<Slot> {
        let at = position(&self.runs, series_ref / RUN as u64).ok()?;
        let slot =
            self.runs[at].1.slots[(series_ref % RUN as u64) as usize].load(Ordering::Acquire);
        (slot != NONE).then_some(slot)
    }
}

impl RefDirectory {
    fn current(&self) -> Runs {
        self.runs.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Bytes outside the structure.
    pub fn heap_bytes(&self) -> usize {
        let runs = self.current();
        runs.capacity() * size_of::<(u64, Arc<Run>)>() + runs.len() * (size_of::<Run>() + 16)
    }

    /// The list as it is now.
    pub fn snapshot(&self) -> RefSnapshot {
        RefSnapshot { runs: self.current() }
    }

    /// The slot of a ref; refreshes `snapshot` when it does not know it.
    #[inline]
    pub fn lookup(&self, snapshot: &mut RefSnapshot, series_ref: u64) -> Option<Slot> {
        snapshot.get(series_ref).or_else(|| {
            snapshot.runs = self.current();
            snapshot.get(series_ref)
        })
    }

    /// Enters refs.
    pub fn insert_all(&self, series: &[(Slot, u64)]) {
        let mut runs = self.runs.write().unwrap_or_else(PoisonError::into_inner);
        for &(slot, series_ref) in series {
            let number = series_ref / RUN as u64;
            let at = match position(&runs, number) {
                Ok(at) => at,
                Err(at) => {
                    let run = Run {
                        slots: std::array::from_fn(|_| AtomicU32::new(NONE)),
                        live: AtomicU32::new(0),
                    };
                    Arc::make_mut(&mut runs).insert(at, (number, Arc::new(run)));
                    at
                }
            };
            let run = &runs[at].1;
            let old = run.slots[(series_ref % RUN as u64) as usize].swap(slot, Ordering::Release);
            if old == NONE {
                run.live.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Forgets all refs.
    pub fn clear(&self) {
        *self.runs.write().unwrap_or_else(PoisonError::into_inner) = Runs::default();
    }

    /// Removes refs and drops runs that nothing is left of.
    pub fn remove(&self, refs: &[u64]) {
        let mut runs = self.runs.write().unwrap_or_else(PoisonError::into_inner);
        let mut emptied = false;
        for &series_ref in refs {
            let Ok(at) = position(&runs, series_ref / RUN as u64) else { continue };
            let run = &runs[at].1;
            let old = run.slots[(series_ref % RUN as u64) as usize].swap(NONE, Ordering::Release);
            if old != NONE {
                emptied |= run.live.fetch_sub(1, Ordering::Relaxed) == 1;
            }
        }
        if emptied {
            Arc::make_mut(&mut runs).retain(|(_, run)| run.live.load(Ordering::Relaxed) > 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refs_find_their_slots() {
        let dir = RefDirectory::default();
        let mut snapshot = dir.snapshot();
        for r in (1..5000).chain([1 << 40, u64::MAX]) {
            assert_eq!(dir.lookup(&mut snapshot, r), None);
            dir.insert_all(&[((r % 100_000) as Slot, r)]);
        }
        for r in (1..5000).chain([1 << 40, u64::MAX]) {
            assert_eq!(dir.lookup(&mut snapshot, r), Some((r % 100_000) as Slot));
        }
        dir.remove(&(1..4000).collect::<Vec<_>>());
        assert_eq!(dir.lookup(&mut snapshot, 7), None);
        assert_eq!(dir.lookup(&mut snapshot, 4500), Some(4500));
        assert!(dir.current().len() < 6);
    }
}
