//! Merging the samples of one series from several sources, as Prometheus chains them: in order of
//! time, of equal times one sample. A histogram that follows a sample of another source has an
//! unknown counter reset hint, unless it is a gauge.

use std::iter::Peekable;
use std::vec::IntoIter;

use model::columns::{HistogramAt, HistogramValue};
use model::{Columns, CounterResetHint};

use super::heap::MinHeap;

/// Appends the samples of all `parts` to `out`, whose samples are all older. The order of the parts
/// decides which of equal times stays, as it does in Prometheus.
pub fn merge_samples(parts: Vec<Columns>, out: &mut Columns) {
    let mut cursors: Vec<Cursor> = parts.into_iter().map(Cursor::new).collect();
    let mut heap = MinHeap::new();
    // The first part is looked at first; the others wait with their next time.
    for (i, cursor) in cursors.iter().enumerate().skip(1) {
        if let Some(time) = cursor.time() {
            heap.push((time, i), earlier);
        }
    }
    let mut current = 0;
    let mut last = i64::MIN;
    while current < cursors.len() {
        let cursor = &mut cursors[current];
        match cursor.time() {
            Some(time) if time == last => {
                cursor.skip();
                continue;
            }
            Some(time) if heap.peek().is_none_or(|(next, _)| time < *next) => {}
            waiting => {
                if let Some(time) = waiting {
                    heap.push((time, current), earlier);
                }
                match heap.pop(earlier) {
                    Some((time, next)) => {
                        current = next;
                        if time == last {
                            cursors[current].skip();
                            continue;
                        }
                    }
                    None => break,
                }
            }
        }
        // What the chosen part has before the next time of any other goes in one piece.
        let cursor = &mut cursors[current];
        let n = match heap.peek() {
            Some((next, _)) => cursor.before(*next).max(1),
            None => cursor.left(),
        };
        let start = out.len();
        cursor.take(n, out);
        forget_reset(out, start);
        last = out.timestamps.last().copied().unwrap_or(last);
    }
}

fn earlier(a: &(i64, usize), b: &(i64, usize)) -> bool {
    a.0 < b.0
}

/// Sets the hint of the sample at `at` to unknown: what came before it is of another source.
pub(super) fn forget_reset(out: &mut Columns, at: usize) {
    let at = at as u32;
    let first = out.histograms.partition_point(|h| h.index < at);
    let Some(histogram) = out.histograms.get_mut(first).filter(|h| h.index == at) else { return };
    let hint = match &mut histogram.value {
        HistogramValue::Integer(h) => &mut h.counter_reset_hint,
        HistogramValue::Float(h) => &mut h.counter_reset_hint,
    };
    if *hint != CounterResetHint::Gauge {
        *hint = CounterResetHint::Unknown;
    }
}

/// Samples of one part and how far they are merged.
struct Cursor {
    columns: Columns,
    histograms: Peekable<IntoIter<HistogramAt>>,
    at: usize,
}

impl Cursor {
    fn new(mut columns: Columns) -> Cursor {
        let histograms = std::mem::take(&mut columns.histograms).into_iter().peekable();
        Cursor { columns, histograms, at: 0 }
    }

    /// Time of the next sample.
    fn time(&self) -> Option<i64> {
        self.columns.timestamps.get(self.at).copied()
    }

    /// Number of samples left.
    fn left(&self) -> usize {
        self.columns.len() - self.at
    }

    /// Number of samples left before `time`.
    fn before(&self, time: i64) -> usize {
        self.columns.timestamps[self.at..].partition_point(|t| *t < time)
    }

    fn skip(&mut self) {
        self.histograms.next_if(|h| h.index as usize == self.at);
        self.at += 1;
    }

    /// Moves the next `n` samples to `out`.
    fn take(&mut self, n: usize, out: &mut Columns) {
        let (from, to) = (self.at, self.at + n);
        let start = out.len();
        out.timestamps.extend_from_slice(&self.columns.timestamps[from..to]);
        out.floats.extend_from_slice(&self.columns.floats[from..to]);
        let starts = self.columns.start_timestamps.get(from..to).unwrap_or_default();
        if !out.start_timestamps.is_empty() || starts.iter().any(|t| *t != 0) {
            out.start_timestamps.resize(start, 0);
            out.start_timestamps.extend_from_slice(starts);
            out.start_timestamps.resize(start + n, 0);
        }
        while let Some(histogram) = self.histograms.next_if(|h| (h.index as usize) < to) {
            let index = (histogram.index as usize - from + start) as u32;
            out.histograms.push(HistogramAt { index, ..histogram });
        }
        out.note_step(start, None);
        self.at = to;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use model::{FloatHistogram, Histogram};
    use proptest::prelude::*;

    use super::*;

    fn columns(samples: &BTreeMap<i64, f64>) -> Columns {
        let mut columns = Columns::default();
        for (t, v) in samples {
            columns.push_float(*t, *v);
            columns.set_last_start(if *v < 0.0 { t - 1 } else { 0 });
        }
        columns
    }

    proptest! {
        #[test]
        fn every_time_comes_once_with_a_value_some_part_has(
            parts in proptest::collection::vec(
                proptest::collection::btree_map(-40i64..40, -3.0f64..9.0, 0..30), 1..6)
        ) {
            let mut out = Columns::default();
            out.push_float(-100, 1.0);
            merge_samples(parts.iter().map(columns).collect(), &mut out);
            let mut times: Vec<i64> = parts.iter().flat_map(|p| p.keys().copied()).collect();
            times.push(-100);
            times.sort_unstable();
            times.dedup();
            prop_assert_eq!(&out.timestamps, &times);
            for (i, t) in out.timestamps.iter().enumerate().skip(1) {
                let v = out.floats[i];
                prop_assert!(parts.iter().any(|p| p.get(t) == Some(&v)));
                let start = out.start_timestamps.get(i).copied().unwrap_or(0);
                prop_assert_eq!(start, if v < 0.0 { t - 1 } else { 0 });
            }
        }
    }

    /// A line of `testdata/storage/merge.txt`: the times of each part, then `time:part` of what
    /// Prometheus 3.14 chains them to.
    fn check(line: &str) {
        let (parts, expected) = line.split_once("=>").unwrap();
        let parts = parts.trim().trim_end_matches('|').split('|').enumerate();
        let parts = parts.map(|(i, times)| {
            let times = times.split_whitespace().map(|t| t.parse().unwrap());
            columns(&times.map(|t| (t, i as f64)).collect())
        });
        let mut out = Columns::default();
        merge_samples(parts.collect(), &mut out);
        let got: Vec<String> =
            out.timestamps.iter().zip(&out.floats).map(|(t, v)| format!("{t}:{v}")).collect();
        assert_eq!(got, expected.split_whitespace().collect::<Vec<_>>(), "{line}");
    }

    #[test]
    fn of_equal_times_the_same_part_wins_as_in_prometheus() {
        let cases = std::fs::read_to_string(testdata::own("storage/merge.txt")).unwrap();
        cases.lines().for_each(check);
    }

    #[test]
    fn hints_are_unknown_where_the_part_changes() {
        use CounterResetHint::{Gauge, NotReset, Unknown};
        let part = |times: &[i64], hint| {
            let mut columns = Columns::default();
            for t in times {
                let value = if *t % 2 == 0 {
                    let h = Histogram { counter_reset_hint: hint, ..Default::default() };
                    HistogramValue::Integer(Box::new(h))
                } else {
                    let h = FloatHistogram { counter_reset_hint: hint, ..Default::default() };
                    HistogramValue::Float(Box::new(h))
                };
                columns.push_histogram(*t, value);
            }
            columns
        };
        let mut out = Columns::default();
        let parts = vec![
            part(&[1, 2, 6, 7, 8], NotReset),
            part(&[3, 4, 5], NotReset),
            part(&[9, 10], Gauge),
        ];
        merge_samples(parts, &mut out);
        let hints: Vec<CounterResetHint> = (0..10)
            .map(|i| match out.histogram(i).unwrap() {
                HistogramValue::Integer(h) => h.counter_reset_hint,
                HistogramValue::Float(h) => h.counter_reset_hint,
            })
            .collect();
        assert_eq!(
            hints,
            [
                Unknown, NotReset, Unknown, NotReset, NotReset, Unknown, NotReset, NotReset, Gauge,
                Gauge
            ]
        );
    }
}
