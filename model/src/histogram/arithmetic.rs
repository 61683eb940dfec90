//! Arithmetic of float histograms, after Prometheus's `float_histogram.go`.

use super::accumulator::Accumulator;
use super::cells::{self, Adding};
use super::{CUSTOM_BUCKETS_SCHEMA, CounterResetHint, FloatHistogram};

/// Exponential and custom buckets cannot be combined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "cannot apply this operation on histograms with a mix of exponential and custom bucket schemas"
)]
pub struct Incompatible;

/// What combining two histograms ran into.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Merged {
    /// One says there was a counter reset, the other that there was none.
    pub counter_reset_collision: bool,
    /// Custom bounds differed; what they share is left.
    pub bounds_reconciled: bool,
}

impl FloatHistogram {
    /// Whether the buckets have custom bounds.
    pub fn uses_custom_buckets(&self) -> bool {
        self.schema == CUSTOM_BUCKETS_SCHEMA
    }

    /// Adds `other`. The hint becomes what both agree on, or unknown; gauges stay gauges.
    pub fn add(&mut self, other: &FloatHistogram) -> Result<Merged, Incompatible> {
        let mut sum = Accumulator::with(self, Adding::Plain);
        let merged = sum.combine(other, false)?;
        *self = sum.histogram();
        Ok(merged)
    }

    /// Subtracts `other`, with the same treatment of hints as [`FloatHistogram::add`].
    pub fn sub(&mut self, other: &FloatHistogram) -> Result<Merged, Incompatible> {
        let mut sum = Accumulator::with(self, Adding::Plain);
        let merged = sum.combine(other, true)?;
        *self = sum.histogram();
        Ok(merged)
    }

    /// Multiplies every population and the sum; a negative factor makes a gauge.
    pub fn scale(&mut self, factor: f64) {
        self.each(|v| v * factor);
        if factor < 0.0 {
            self.counter_reset_hint = CounterResetHint::Gauge;
        }
    }

    /// Divides every population and the sum; a negative divisor makes a gauge, zero leaves no
    /// bucket but the zero bucket.
    pub fn divide(&mut self, by: f64) {
        self.each(|v| v / by);
        if by == 0.0 {
            self.positive_spans.clear();
            self.positive_buckets.clear();
            self.negative_spans.clear();
            self.negative_buckets.clear();
        } else if by < 0.0 {
            self.counter_reset_hint = CounterResetHint::Gauge;
        }
    }

    fn each(&mut self, f: impl Fn(f64) -> f64) {
        let scalars = [&mut self.zero_count, &mut self.count, &mut self.sum];
        let buckets = self.positive_buckets.iter_mut().chain(&mut self.negative_buckets);
        scalars.into_iter().chain(buckets).for_each(|v| *v = f(*v));
    }

    /// Removes empty buckets and joins spans that touch.
    pub fn compact(&mut self) {
        for (spans, buckets) in [
            (&mut self.positive_spans, &mut self.positive_buckets),
            (&mut self.negative_spans, &mut self.negative_buckets),
        ] {
            let mut populated = cells::of(spans, buckets);
            populated.retain(|c| c.value.sum != 0.0);
            cells::join_touching(&mut populated);
            (*spans, *buckets) = cells::layout(&populated);
        }
    }

    /// A copy in a schema that is the same or coarser; its hint is unknown where it had to change.
    /// Custom and finer schemas give a plain copy.
    pub fn copy_to_schema(&self, schema: i32) -> FloatHistogram {
        if self.uses_custom_buckets() || schema >= self.schema || schema == CUSTOM_BUCKETS_SCHEMA {
            return self.clone();
        }
        let reduced = |spans: &[super::Span], buckets: &[f64]| {
            let cells = cells::of(spans, buckets);
            cells::layout(&cells::reduce(&cells, self.schema, schema, Adding::Plain))
        };
        let (positive_spans, positive_buckets) =
            reduced(&self.positive_spans, &self.positive_buckets);
        let (negative_spans, negative_buckets) =
            reduced(&self.negative_spans, &self.negative_buckets);
        FloatHistogram {
            counter_reset_hint: CounterResetHint::Unknown,
            schema,
            positive_spans,
            positive_buckets,
            negative_spans,
            negative_buckets,
            ..self.clone()
        }
    }

    /// Whether two histograms hold the same data: populations and sum by their bits, buckets at the
    /// same places. Counter reset hints do not matter.
    pub fn same_data(&self, other: &FloatHistogram) -> bool {
        let bits = |a: f64, b: f64| a.to_bits() == b.to_bits();
        let side = |spans_a: &_, a: &[f64], spans_b: &_, b: &[f64]| {
            let (a, b) = (cells::of(spans_a, a), cells::of(spans_b, b));
            a.len() == b.len()
                && a.iter()
                    .zip(&b)
                    .all(|(a, b)| a.index == b.index && bits(a.value.sum, b.value.sum))
        };
        self.schema == other.schema
            && bits(self.count, other.count)
            && bits(self.sum, other.sum)
            && (!self.uses_custom_buckets() || self.custom_values == other.custom_values)
            && self.zero_threshold == other.zero_threshold
            && bits(self.zero_count, other.zero_count)
            && side(
                &self.negative_spans[..],
                &self.negative_buckets,
                &other.negative_spans[..],
                &other.negative_buckets,
            )
            && side(
                &self.positive_spans[..],
                &self.positive_buckets,
                &other.positive_spans[..],
                &other.positive_buckets,
            )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::histogram::Span;

    fn exponential(schema: i32, offset: i32, buckets: &[f64]) -> FloatHistogram {
        let count: f64 = buckets.iter().sum();
        FloatHistogram {
            schema,
            count,
            sum: count * 2.0,
            positive_spans: vec![Span { offset, length: buckets.len() as u32 }],
            positive_buckets: buckets.to_vec(),
            ..FloatHistogram::default()
        }
    }

    fn custom(bounds: &[f64], buckets: &[f64]) -> FloatHistogram {
        let mut h = exponential(CUSTOM_BUCKETS_SCHEMA, 0, buckets);
        h.custom_values = bounds.to_vec();
        h
    }

    #[test]
    fn sums_meet_at_the_coarser_schema() {
        let mut a = exponential(1, 1, &[1.0, 2.0, 3.0, 4.0]);
        let merged = a.add(&exponential(0, 2, &[10.0])).unwrap();
        assert_eq!(merged, Merged::default());
        assert_eq!((a.schema, a.count), (0, 20.0));
        assert_eq!(a.positive_buckets, [3.0, 17.0]);
        assert_eq!(a.positive_spans, [Span { offset: 1, length: 2 }]);
        let mut b = a.clone();
        b.sub(&a).unwrap();
        b.compact();
        assert_eq!((b.count, b.positive_buckets.len()), (0.0, 0));
    }

    #[test]
    fn zero_buckets_grow_over_what_they_touch() {
        let mut a = exponential(0, 0, &[1.0, 2.0]);
        let mut b = exponential(0, 2, &[5.0]);
        (b.zero_threshold, b.zero_count) = (1.5, 7.0);
        a.add(&b).unwrap();
        // 1.5 lies inside of (1, 2], which has two observations.
        assert_eq!((a.zero_threshold, a.zero_count), (2.0, 10.0));
        assert_eq!((&a.positive_buckets[..], a.positive_spans[0].offset), (&[5.0][..], 2));
    }

    #[test]
    fn custom_bounds_meet_at_what_they_share() {
        let mut a = custom(&[1.0, 2.0, 3.0], &[1.0, 2.0, 3.0, 4.0]);
        let merged = a.add(&custom(&[2.0, 4.0], &[10.0, 20.0, 30.0])).unwrap();
        assert!(merged.bounds_reconciled);
        assert_eq!((a.custom_values, a.positive_buckets), (vec![2.0], vec![13.0, 57.0]));
        assert_eq!(exponential(0, 0, &[1.0]).add(&custom(&[1.0], &[1.0])), Err(Incompatible));
    }

    #[test]
    fn compensation_keeps_small_populations() {
        let mut sum = Accumulator::new(&exponential(0, 0, &[1.0]));
        for v in [1e100, 1.0, -1e100] {
            sum.add(&exponential(0, 0, &[v])).unwrap();
        }
        assert_eq!(sum.histogram().positive_buckets, [2.0]);
        assert!(!sum.has_overflow());
    }
}
