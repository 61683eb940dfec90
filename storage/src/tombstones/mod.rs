//! Tombstones: which times of which series were deleted. Blocks keep them in a file of their own
//! until a compaction leaves the samples out. Layout in `docs/format/tombstones.md`.

mod file;
mod intervals;

use std::collections::BTreeMap;

use model::TimeRange;

pub use file::{FILE_NAME, MAGIC, decode, encode, parse, read, write};
pub use intervals::Intervals;

/// Deleted times by series reference (of a block: its id in the index; of the head: its ref).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tombstones {
    series: BTreeMap<u64, Intervals>,
}

impl Tombstones {
    /// Nothing deleted.
    pub fn new() -> Tombstones {
        Tombstones::default()
    }

    /// Deletes `range` of a series. A range that ends before it starts deletes nothing.
    pub fn add(&mut self, series: u64, range: TimeRange) {
        if range.min > range.max {
            return;
        }
        self.series.entry(series).or_default().add(range);
    }

    /// What is deleted of a series; `None` = nothing.
    pub fn get(&self, series: u64) -> Option<&Intervals> {
        self.series.get(&series)
    }

    /// All series with deleted times, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &Intervals)> {
        self.series.iter().map(|(&series, intervals)| (series, intervals))
    }

    /// Number of intervals over all series.
    pub fn total(&self) -> u64 {
        self.series.values().map(|i| i.as_slice().len() as u64).sum()
    }

    /// Whether nothing is deleted.
    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    /// Forgets a series.
    pub fn remove(&mut self, series: u64) {
        self.series.remove(&series);
    }

    /// Forgets intervals that end before `t`.
    pub fn truncate_before(&mut self, t: i64) {
        self.series.retain(|_, intervals| {
            intervals.truncate_before(t);
            !intervals.is_empty()
        });
    }
}
