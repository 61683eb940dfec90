//! Intervals: a sorted set of inclusive time ranges that neither overlap nor touch.

use model::{Columns, TimeRange};

/// Deleted times of one series.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Intervals {
    ranges: Vec<TimeRange>,
}

impl Intervals {
    /// No times.
    pub fn new() -> Intervals {
        Intervals::default()
    }

    /// The ranges, ascending.
    pub fn as_slice(&self) -> &[TimeRange] {
        &self.ranges
    }

    /// Whether there is no range.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Adds a range; what overlaps it or ends one millisecond beside it becomes one range with it.
    /// A range that ends before it starts adds nothing.
    pub fn add(&mut self, range: TimeRange) {
        if range.min > range.max {
            return;
        }
        let from = self.ranges.partition_point(|r| r.max < range.min.saturating_sub(1));
        let to = self.ranges.partition_point(|r| r.min <= range.max.saturating_add(1));
        let merged = self.ranges[from..to]
            .iter()
            .fold(range, |all, r| TimeRange { min: all.min.min(r.min), max: all.max.max(r.max) });
        self.ranges.splice(from..to, [merged]);
    }

    /// Whether `t` lies in one of the ranges.
    pub fn contains(&self, t: i64) -> bool {
        let at = self.ranges.partition_point(|r| r.max < t);
        self.ranges.get(at).is_some_and(|r| r.contains(t))
    }

    /// Whether all of `range` lies in one of the ranges.
    pub fn covers(&self, range: TimeRange) -> bool {
        let at = self.ranges.partition_point(|r| r.max < range.min);
        self.ranges.get(at).is_some_and(|r| r.contains(range.min) && r.contains(range.max))
    }

    /// Whether a range shares a millisecond with `range`.
    pub fn overlaps(&self, range: TimeRange) -> bool {
        let at = self.ranges.partition_point(|r| r.max < range.min);
        self.ranges.get(at).is_some_and(|r| r.overlaps(range))
    }

    /// Forgets ranges that end before `t`.
    pub fn truncate_before(&mut self, t: i64) {
        let gone = self.ranges.partition_point(|r| r.max < t);
        self.ranges.drain(..gone);
    }

    /// Removes the samples of `columns` from position `from` on (ascending in time) that lie in a
    /// range.
    pub fn subtract(&self, columns: &mut Columns, from: usize) {
        let (Some(&first), Some(&last)) = (columns.timestamps.get(from), columns.timestamps.last())
        else {
            return;
        };
        if !self.overlaps(TimeRange { min: first, max: last }) {
            return;
        }
        let mut to = from;
        let mut histograms = std::mem::take(&mut columns.histograms).into_iter().peekable();
        while let Some(h) = histograms.next_if(|h| (h.index as usize) < from) {
            columns.histograms.push(h);
        }
        let mut range = 0;
        for i in from..columns.timestamps.len() {
            let t = columns.timestamps[i];
            while self.ranges.get(range).is_some_and(|r| r.max < t) {
                range += 1;
            }
            let histogram = histograms.next_if(|h| h.index as usize == i);
            if self.ranges.get(range).is_some_and(|r| r.contains(t)) {
                continue;
            }
            columns.timestamps[to] = t;
            columns.floats[to] = columns.floats[i];
            if let Some(&start) = columns.start_timestamps.get(i) {
                columns.start_timestamps[to] = start;
            }
            if let Some(mut h) = histogram {
                h.index = to as u32;
                columns.histograms.push(h);
            }
            to += 1;
        }
        columns.timestamps.truncate(to);
        columns.floats.truncate(to);
        columns.start_timestamps.truncate(to);
        columns.note_step(from, None);
    }
}

impl FromIterator<TimeRange> for Intervals {
    fn from_iter<I: IntoIterator<Item = TimeRange>>(ranges: I) -> Intervals {
        let mut all = Intervals::new();
        ranges.into_iter().for_each(|range| all.add(range));
        all
    }
}
