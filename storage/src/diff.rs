//! Diff: two stores compared series by series and sample by sample. Memory: one series of each side
//! at a time, and the labels of a side only if it does not have its series in order.

use std::cmp::Ordering;
use std::sync::Arc;

use model::columns::HistogramValue;
use model::{
    CancelToken, Columns, CounterResetHint, Labels, Matcher, QueryError, Queryable, SelectHints,
    Selection, TimeRange,
};

/// One difference.
#[derive(Debug)]
pub enum Difference<'d> {
    /// Only the first has samples of the series, so many.
    OnlyFirst(&'d Labels, usize),
    /// Only the second.
    OnlySecond(&'d Labels, usize),
    /// Both have the series, with different samples.
    Samples {
        labels: &'d Labels,
        samples: &'d [SampleDifference],
        first: &'d Columns,
        second: &'d Columns,
    },
}

/// A time at which two series differ: the positions of its sample in each, where it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SampleDifference {
    pub t: i64,
    pub first: Option<usize>,
    pub second: Option<usize>,
}

/// How much was compared, and how much of it differs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiffCounts {
    pub series: u64,
    pub samples: u64,
    pub only_first: u64,
    pub only_second: u64,
    pub differing_series: u64,
    pub differing_samples: u64,
}

impl DiffCounts {
    /// Whether nothing differs.
    pub fn is_equal(&self) -> bool {
        self.only_first + self.only_second + self.differing_series == 0
    }
}

/// Series of one side in label order.
struct Side {
    selection: Arc<dyn Selection>,
    /// Positions in label order; `None` when they are in order as they are.
    order: Option<Vec<u32>>,
    at: usize,
    labels: Labels,
    columns: Columns,
}

impl Side {
    fn open(
        store: &dyn Queryable,
        matchers: &[Matcher],
        range: TimeRange,
    ) -> Result<Side, QueryError> {
        let querier = store.querier(range)?;
        let hints = SelectHints::default();
        let selection = querier.select(matchers, &hints, &CancelToken::default())?;
        let mut last = Labels::empty();
        let sorted = (0..selection.len()).all(|i| {
            let labels = selection.labels(i);
            let above = i == 0 || labels > last;
            last = labels;
            above
        });
        let order = (!sorted).then(|| {
            let labelled = (0..selection.len()).map(|i| (selection.labels(i), i as u32));
            let mut labelled: Vec<(Labels, u32)> = labelled.collect();
            labelled.sort();
            labelled.into_iter().map(|(_, i)| i).collect()
        });
        let (labels, columns) = (Labels::empty(), Columns::default());
        Ok(Side { selection, order, at: 0, labels, columns })
    }

    /// Loads the next series that has samples; `false` at the end.
    fn load(&mut self, range: TimeRange) -> Result<bool, QueryError> {
        while self.at < self.selection.len() {
            let i = self.order.as_ref().map_or(self.at, |order| order[self.at] as usize);
            self.columns.clear();
            self.selection.read(i, range, &mut self.columns)?;
            if !self.columns.is_empty() {
                self.labels = self.selection.labels(i);
                return Ok(true);
            }
            self.at += 1;
        }
        Ok(false)
    }
}

/// Compares what two stores show of the series that satisfy `matchers`, inside `range`.
pub fn diff(
    (first, second): (&dyn Queryable, &dyn Queryable),
    matchers: &[Matcher],
    range: TimeRange,
    report: &mut dyn FnMut(&Difference<'_>),
) -> Result<DiffCounts, QueryError> {
    let mut a = Side::open(first, matchers, range)?;
    let mut b = Side::open(second, matchers, range)?;
    let mut counts = DiffCounts::default();
    let (mut has_a, mut has_b) = (a.load(range)?, b.load(range)?);
    while has_a || has_b {
        let order = match (has_a, has_b) {
            (true, true) => a.labels.cmp(&b.labels),
            (true, false) => Ordering::Less,
            _ => Ordering::Greater,
        };
        counts.series += 1;
        match order {
            Ordering::Less => {
                counts.only_first += 1;
                counts.samples += a.columns.len() as u64;
                report(&Difference::OnlyFirst(&a.labels, a.columns.len()));
            }
            Ordering::Greater => {
                counts.only_second += 1;
                counts.samples += b.columns.len() as u64;
                report(&Difference::OnlySecond(&b.labels, b.columns.len()));
            }
            Ordering::Equal => {
                counts.samples += a.columns.len().max(b.columns.len()) as u64;
                let samples = compare(&a.columns, &b.columns);
                if !samples.is_empty() {
                    counts.differing_series += 1;
                    counts.differing_samples += samples.len() as u64;
                    report(&Difference::Samples {
                        labels: &a.labels,
                        samples: &samples,
                        first: &a.columns,
                        second: &b.columns,
                    });
                }
            }
        }
        if order != Ordering::Greater {
            a.at += 1;
            has_a = a.load(range)?;
        }
        if order != Ordering::Less {
            b.at += 1;
            has_b = b.load(range)?;
        }
    }
    Ok(counts)
}

/// The times at which two series differ, ascending.
pub fn compare(first: &Columns, second: &Columns) -> Vec<SampleDifference> {
    let mut found = Vec::new();
    let (mut i, mut j) = (0, 0);
    loop {
        let order = match (first.timestamps.get(i), second.timestamps.get(j)) {
            (Some(a), Some(b)) => a.cmp(b),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => return found,
        };
        let (has_a, has_b) = (order != Ordering::Greater, order != Ordering::Less);
        if !(has_a && has_b && same(first, i, second, j)) {
            let t = if has_a { first.timestamps[i] } else { second.timestamps[j] };
            found.push(SampleDifference {
                t,
                first: has_a.then_some(i),
                second: has_b.then_some(j),
            });
        }
        i += usize::from(has_a);
        j += usize::from(has_b);
    }
}

/// Whether two samples are the same, floats by their bits. Counter reset hints are not compared:
/// they say how a histogram was stored, not what was observed.
fn same(a: &Columns, i: usize, b: &Columns, j: usize) -> bool {
    match (a.histogram(i), b.histogram(j)) {
        (None, None) => a.floats[i].to_bits() == b.floats[j].to_bits(),
        (Some(HistogramValue::Integer(x)), Some(HistogramValue::Integer(y))) => {
            let bits = |h: &model::Histogram| (h.sum.to_bits(), h.zero_threshold.to_bits());
            let plain = |h: &model::Histogram| {
                let hint = CounterResetHint::Unknown;
                model::Histogram {
                    sum: 0.0,
                    zero_threshold: 0.0,
                    counter_reset_hint: hint,
                    ..h.clone()
                }
            };
            bits(x) == bits(y) && plain(x) == plain(y)
        }
        (Some(HistogramValue::Float(x)), Some(HistogramValue::Float(y))) => {
            let bits = |h: &model::FloatHistogram| {
                let one = [h.sum, h.zero_threshold, h.count, h.zero_count].map(f64::to_bits);
                let many = |list: &[f64]| list.iter().map(|v| v.to_bits()).collect::<Vec<u64>>();
                (one, many(&h.positive_buckets), many(&h.negative_buckets), many(&h.custom_values))
            };
            x.schema == y.schema
                && x.positive_spans == y.positive_spans
                && x.negative_spans == y.negative_spans
                && bits(x) == bits(y)
        }
        _ => false,
    }
}
