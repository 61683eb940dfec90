//! Parts: the chunks of one series as a reader found them, in order and late, made one run of
//! samples.

use model::{Columns, TimeRange};

use super::ooo::push_from;
use crate::read::merge_samples;

/// The samples of one chunk and the times it spans.
pub(super) type Part = (TimeRange, Columns);

/// First and last time of some samples.
pub(super) fn span_of(columns: &Columns) -> Option<TimeRange> {
    let (min, max) = (columns.timestamps.first()?, columns.timestamps.last()?);
    Some(TimeRange { min: *min, max: *max })
}

/// Merges chunks, in order and late, as Prometheus does: those that overlap in a chain are merged
/// sample by sample, and after a change from one to another nothing is known about counter resets.
pub(super) fn merge_parts(mut parts: Vec<Part>, out: &mut Columns) {
    parts.sort_by_key(|(span, _)| span.min);
    let mut group: Vec<Columns> = Vec::new();
    let mut end = i64::MIN;
    for (span, columns) in parts {
        if span.min > end {
            merge_samples(std::mem::take(&mut group), out);
        }
        end = end.max(span.max);
        group.push(columns);
    }
    merge_samples(group, out);
}

/// Drops what lies outside `range`.
pub(super) fn clip(columns: &mut Columns, range: TimeRange) {
    if columns.timestamps.iter().all(|&t| range.contains(t)) {
        return;
    }
    let mut kept = Columns::default();
    for i in 0..columns.len() {
        if range.contains(columns.timestamps[i]) {
            push_from(columns, i, &mut kept);
        }
    }
    *columns = kept;
}

#[cfg(test)]
mod tests {
    use model::CounterResetHint::{self, NotReset, Unknown};
    use model::Histogram;
    use model::columns::HistogramValue;

    use super::*;

    /// Histograms as a chunk gives them: nothing is known of the first, no reset behind it.
    fn part(times: &[i64]) -> Part {
        let mut columns = Columns::default();
        for (i, &t) in times.iter().enumerate() {
            let counter_reset_hint = if i == 0 { Unknown } else { NotReset };
            let h = Histogram { counter_reset_hint, ..Histogram::default() };
            columns.push_histogram(t, HistogramValue::Integer(Box::new(h)));
        }
        (span_of(&columns).unwrap(), columns)
    }

    fn hints(columns: &Columns) -> Vec<(i64, CounterResetHint)> {
        let hint = |h: &HistogramValue| match h {
            HistogramValue::Integer(h) => h.counter_reset_hint,
            HistogramValue::Float(h) => h.counter_reset_hint,
        };
        columns
            .histograms
            .iter()
            .map(|h| (columns.timestamps[h.index as usize], hint(&h.value)))
            .collect()
    }

    /// A histogram that came late may hold more than the one behind it, whose chunk says that it
    /// follows without a reset.
    #[test]
    fn beside_late_histograms_resets_are_unknown() {
        let mut out = Columns::default();
        merge_parts(vec![part(&[10, 20, 30, 40]), part(&[50, 60]), part(&[25, 26])], &mut out);
        let want = [
            (10, Unknown),
            (20, NotReset),
            (25, Unknown),
            (26, NotReset),
            (30, Unknown),
            (40, NotReset),
            (50, Unknown),
            (60, NotReset),
        ];
        assert_eq!(hints(&out), want);
    }

    #[test]
    fn one_sample_a_time_is_kept() {
        let float = |all: &[(i64, f64)]| {
            let mut columns = Columns::default();
            all.iter().for_each(|&(t, v)| columns.push_float(t, v));
            (span_of(&columns).unwrap(), columns)
        };
        let parts = vec![
            float(&[(1, 1.0), (3, 3.0), (9, 9.0)]),
            float(&[(1, 0.5), (3, 7.0), (4, 4.0)]),
            float(&[(10, 1.0)]),
        ];
        let mut out = Columns::default();
        merge_parts(parts, &mut out);
        assert_eq!(out.timestamps, [1, 3, 4, 9, 10]);
        // As in Prometheus, the sample of the part that was not being read.
        assert_eq!(out.floats, [0.5, 7.0, 4.0, 9.0, 1.0]);
    }
}
