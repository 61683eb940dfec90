//! Accumulator: a running sum or mean of float histograms with Kahan compensation in every
//! population.

use super::cells::{self, Adding, Cell, Zero};
use super::{CUSTOM_BUCKETS_SCHEMA, CounterResetHint, FloatHistogram, Incompatible, Merged};
use crate::kahan::Sum;

/// A histogram that others are added to.
#[derive(Clone, Debug, PartialEq)]
pub struct Accumulator {
    hint: CounterResetHint,
    schema: i32,
    zero: Zero,
    count: Sum,
    sum: Sum,
    positive: Vec<Cell>,
    negative: Vec<Cell>,
    custom_values: Vec<f64>,
    adding: Adding,
}

/// The hint of a combination, and whether the hints contradict each other.
fn combined_hint(a: CounterResetHint, b: CounterResetHint) -> (CounterResetHint, bool) {
    use CounterResetHint::{Gauge, Unknown};
    if a == b {
        return (a, false);
    }
    if a == Gauge || b == Gauge {
        return (Gauge, false);
    }
    (Unknown, a != Unknown && b != Unknown)
}

impl Accumulator {
    /// Starts from one histogram.
    pub fn new(h: &FloatHistogram) -> Accumulator {
        Accumulator::with(h, Adding::Kahan)
    }

    pub(super) fn with(h: &FloatHistogram, adding: Adding) -> Accumulator {
        Accumulator {
            hint: h.counter_reset_hint,
            schema: h.schema,
            zero: Zero { threshold: h.zero_threshold, count: Sum::plain(h.zero_count) },
            count: Sum::plain(h.count),
            sum: Sum::plain(h.sum),
            positive: cells::of(&h.positive_spans, &h.positive_buckets),
            negative: cells::of(&h.negative_spans, &h.negative_buckets),
            custom_values: h.custom_values.clone(),
            adding,
        }
    }

    /// Bytes it takes.
    pub fn bytes(&self) -> u64 {
        let cells = (self.positive.len() + self.negative.len()) * size_of::<Cell>();
        let bounds = self.custom_values.len() * size_of::<f64>();
        (size_of::<Accumulator>() + cells + bounds) as u64
    }

    /// Adds a histogram. Schemas, zero thresholds and custom bounds are reconciled to what both
    /// can express.
    pub fn add(&mut self, other: &FloatHistogram) -> Result<Merged, Incompatible> {
        self.combine(other, false)
    }

    pub(super) fn combine(
        &mut self,
        other: &FloatHistogram,
        subtract: bool,
    ) -> Result<Merged, Incompatible> {
        let custom = self.schema == CUSTOM_BUCKETS_SCHEMA;
        if custom != other.uses_custom_buckets() {
            return Err(Incompatible);
        }
        let (hint, counter_reset_collision) = combined_hint(self.hint, other.counter_reset_hint);
        self.hint = hint;
        let signed = |v: f64| if subtract { -v } else { v };
        let adding = self.adding;
        let mut positive = cells::of(&other.positive_spans, &other.positive_buckets);
        let mut negative = cells::of(&other.negative_spans, &other.negative_buckets);
        if !custom {
            self.reconcile_zero(other, &positive, &negative, subtract);
        }
        self.count = adding.add(self.count, Sum::of(signed(other.count)));
        self.sum = adding.add(self.sum, Sum::of(signed(other.sum)));
        if subtract {
            positive = cells::negated(&positive);
            negative = cells::negated(&negative);
        }
        let mut bounds_reconciled = false;
        if custom && self.custom_values != other.custom_values {
            bounds_reconciled = true;
            self.combine_custom(&positive, &other.custom_values);
        } else if custom {
            self.positive = cells::add(&self.positive, &positive, self.schema, 0.0, adding);
        } else {
            self.combine_exponential(&positive, &negative, other.schema);
        }
        Ok(Merged { counter_reset_collision, bounds_reconciled })
    }

    fn reconcile_zero(
        &mut self,
        other: &FloatHistogram,
        positive: &[Cell],
        negative: &[Cell],
        subtract: bool,
    ) {
        let mut theirs = Zero { threshold: other.zero_threshold, count: Sum::of(other.zero_count) };
        while theirs.threshold != self.zero.threshold {
            if self.zero.threshold > theirs.threshold {
                let start = Zero { count: Sum::of(other.zero_count), ..theirs };
                theirs =
                    cells::widen_zero(start, other.schema, positive, negative, self.zero.threshold);
            } else if theirs.threshold > self.zero.threshold {
                self.zero = cells::widen_zero(
                    self.zero,
                    self.schema,
                    &self.positive,
                    &self.negative,
                    theirs.threshold,
                );
                let threshold = self.zero.threshold;
                self.positive = cells::above(&self.positive, self.schema, threshold);
                self.negative = cells::above(&self.negative, self.schema, threshold);
            } else {
                // A threshold that is not a number equals nothing.
                break;
            }
        }
        let mut count = theirs.count;
        if subtract {
            count = Sum { sum: -count.sum, lost: -count.lost };
        }
        self.zero.count = match self.adding {
            Adding::Plain => Sum::plain(self.zero.count.sum + count.sum),
            Adding::Kahan => self.zero.count.plus(count.sum).plus(count.lost),
        };
    }

    fn combine_custom(&mut self, other: &[Cell], bounds: &[f64]) {
        let shared = cells::shared_bounds(&self.custom_values, bounds);
        let mut target = vec![Sum::default(); shared.len() + 1];
        cells::remap(&self.positive, &self.custom_values, &shared, &mut target);
        cells::remap(other, bounds, &shared, &mut target);
        if self.adding == Adding::Plain {
            target.iter_mut().for_each(|s| s.lost = 0.0);
        }
        self.positive = cells::populated(&target);
        self.custom_values = shared;
    }

    fn combine_exponential(&mut self, positive: &[Cell], negative: &[Cell], schema: i32) {
        let adding = self.adding;
        let target = self.schema.min(schema);
        let threshold = self.zero.threshold;
        for (mine, theirs) in [(&mut self.positive, positive), (&mut self.negative, negative)] {
            if self.schema != target {
                *mine = cells::reduce(mine, self.schema, target, adding);
            }
            let theirs = cells::reduce(theirs, schema, target, adding);
            *mine = cells::add(mine, &theirs, target, threshold, adding);
        }
        self.schema = target;
    }

    /// Multiplies every population and the sum.
    pub fn scale(&mut self, factor: f64) {
        self.each(|v| v * factor);
        if factor < 0.0 {
            self.hint = CounterResetHint::Gauge;
        }
    }

    /// Divides every population and the sum by a number that is not zero.
    pub fn divide(&mut self, by: f64) {
        self.each(|v| v / by);
        if by < 0.0 {
            self.hint = CounterResetHint::Gauge;
        }
    }

    fn each(&mut self, f: impl Fn(f64) -> f64) {
        let scalars = [&mut self.zero.count, &mut self.count, &mut self.sum];
        let cells = self.positive.iter_mut().chain(&mut self.negative).map(|c| &mut c.value);
        for value in scalars.into_iter().chain(cells) {
            *value = Sum { sum: f(value.sum), lost: f(value.lost) };
        }
    }

    /// Whether any number went to infinity.
    pub fn has_overflow(&self) -> bool {
        [self.zero.count, self.count, self.sum].iter().any(|s| s.sum.is_infinite())
            || self.positive.iter().chain(&self.negative).any(|c| c.value.sum.is_infinite())
    }

    /// The histogram, with what rounding lost added back. Empty buckets are kept.
    pub fn histogram(&self) -> FloatHistogram {
        let (positive_spans, positive_buckets) = cells::layout(&self.positive);
        let (negative_spans, negative_buckets) = cells::layout(&self.negative);
        FloatHistogram {
            counter_reset_hint: self.hint,
            schema: self.schema,
            zero_threshold: self.zero.threshold,
            zero_count: self.zero.count.total(),
            count: self.count.total(),
            sum: self.sum.total(),
            positive_spans,
            negative_spans,
            positive_buckets,
            negative_buckets,
            custom_values: self.custom_values.clone(),
        }
    }
}
