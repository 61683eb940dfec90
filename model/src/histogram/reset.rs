//! Counter resets between two histograms of one series.

use super::cells::{self, Adding, Cell, Zero};
use super::{CounterResetHint, FloatHistogram};
use crate::buckets::exponential_bound;
use crate::kahan::Sum;

impl FloatHistogram {
    /// Whether a counter reset lies between `previous` and this histogram: any population fell, a
    /// populated bucket is gone, or the layout became finer. The hint, where there is one, decides.
    /// The sum does not count.
    pub fn detect_reset(&self, previous: &FloatHistogram) -> bool {
        match self.counter_reset_hint {
            CounterResetHint::Reset => return true,
            CounterResetHint::NotReset => return false,
            CounterResetHint::Unknown | CounterResetHint::Gauge => {}
        }
        if self.count < previous.count {
            return true;
        }
        if self.uses_custom_buckets() {
            if !previous.uses_custom_buckets() {
                return true;
            }
            if self.custom_values != previous.custom_values {
                return self.reset_over_shared_bounds(previous);
            }
            let curr = cells::of(&self.positive_spans, &self.positive_buckets);
            let prev = cells::of(&previous.positive_spans, &previous.positive_buckets);
            return falls(&curr, &prev);
        }
        if self.schema > previous.schema || self.zero_threshold < previous.zero_threshold {
            return true;
        }
        self.reset_of_exponential(previous)
    }

    fn reset_of_exponential(&self, previous: &FloatHistogram) -> bool {
        let threshold = self.zero_threshold;
        let positive = cells::of(&previous.positive_spans, &previous.positive_buckets);
        let negative = cells::of(&previous.negative_spans, &previous.negative_buckets);
        let zero = Zero { threshold: previous.zero_threshold, count: Sum::of(previous.zero_count) };
        let zero = cells::widen_zero(zero, previous.schema, &positive, &negative, threshold);
        if zero.threshold != threshold || self.zero_count < zero.count.sum {
            return true;
        }
        let beyond = |cells: Vec<Cell>| -> Vec<Cell> {
            let inside = |c: &&Cell| exponential_bound(c.index, self.schema) <= threshold;
            match threshold {
                0.0 => cells,
                _ => cells.iter().skip_while(inside).copied().collect(),
            }
        };
        let reduced =
            |cells: &[Cell]| cells::reduce(cells, previous.schema, self.schema, Adding::Plain);
        falls(
            &beyond(cells::of(&self.positive_spans, &self.positive_buckets)),
            &beyond(reduced(&positive)),
        ) || falls(
            &beyond(cells::of(&self.negative_spans, &self.negative_buckets)),
            &beyond(reduced(&negative)),
        )
    }

    fn reset_over_shared_bounds(&self, previous: &FloatHistogram) -> bool {
        let shared = cells::shared_bounds(&self.custom_values, &previous.custom_values);
        let rolled_up = |h: &FloatHistogram| {
            let mut target = vec![0.0; shared.len() + 1];
            for cell in cells::of(&h.positive_spans, &h.positive_buckets) {
                let bound = usize::try_from(cell.index).ok().and_then(|i| h.custom_values.get(i));
                let at = bound.map_or(shared.len(), |b| shared.partition_point(|s| s < b));
                target[at] += cell.value.sum;
            }
            target
        };
        let (curr, prev) = (rolled_up(self), rolled_up(previous));
        curr.iter().zip(&prev).any(|(curr, prev)| curr < prev)
    }
}

/// Whether any population of `prev` fell or is gone.
fn falls(curr: &[Cell], prev: &[Cell]) -> bool {
    let mut curr = curr.iter().peekable();
    prev.iter().any(|p| {
        while curr.next_if(|c| c.index < p.index).is_some() {}
        match curr.peek() {
            Some(c) if c.index == p.index => c.value.sum < p.value.sum,
            _ => p.value.sum != 0.0,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::histogram::Span;

    fn histogram(buckets: &[f64]) -> FloatHistogram {
        FloatHistogram {
            count: buckets.iter().sum(),
            positive_spans: vec![Span { offset: 0, length: buckets.len() as u32 }],
            positive_buckets: buckets.to_vec(),
            ..FloatHistogram::default()
        }
    }

    #[test]
    fn resets() {
        let h = histogram(&[1.0, 2.0, 3.0]);
        assert!(!h.detect_reset(&h));
        assert!(!histogram(&[1.0, 2.0, 3.0, 4.0]).detect_reset(&h));
        assert!(histogram(&[2.0, 1.0, 9.0]).detect_reset(&h));
        assert!(histogram(&[9.0]).detect_reset(&h), "populated buckets are gone");
        let finer = FloatHistogram { schema: 1, ..histogram(&[6.0, 6.0]) };
        assert!(finer.detect_reset(&h));
        let known =
            FloatHistogram { counter_reset_hint: CounterResetHint::NotReset, ..histogram(&[0.0]) };
        assert!(!known.detect_reset(&h));
    }

    #[test]
    fn a_wider_zero_bucket_is_no_reset() {
        let h = histogram(&[1.0, 2.0, 3.0]);
        let mut wider = histogram(&[0.0, 2.0, 3.0]);
        (wider.zero_threshold, wider.zero_count, wider.count) = (1.0, 1.0, 6.0);
        assert!(!wider.detect_reset(&h));
        wider.zero_threshold = 1.5;
        assert!(wider.detect_reset(&h), "ends inside of a populated bucket");
    }
}
