//! Sums and means of native histograms over the series of a group.

use std::collections::BTreeMap;

use model::histogram::{Accumulator, Incompatible, Merged};
use model::{CounterResetHint, FloatHistogram};

use super::column::{ABSENT, Column, SharedHistogram, is_absent};
use super::notes::HistogramOperation;
use super::work::{ROW_BYTES, Work};
use crate::engine::EngineError;
use crate::plan::Place;

/// A running mean: division of the sum, until that would overflow.
#[derive(Debug)]
pub(crate) struct HistogramMean {
    sum: Accumulator,
    count: f64,
    /// Set once the sum would have overflowed; `sum` holds the mean itself from then on.
    incremental: bool,
}

impl HistogramMean {
    /// The mean of one histogram.
    pub(crate) fn of(h: &FloatHistogram) -> HistogramMean {
        HistogramMean { sum: Accumulator::new(h), count: 1.0, incremental: false }
    }

    /// Takes `h` in.
    pub(crate) fn add(&mut self, h: &FloatHistogram) -> Result<Merged, Incompatible> {
        self.count += 1.0;
        let n = self.count;
        if !self.incremental {
            let mut sum = self.sum.clone();
            let merged = sum.add(h)?;
            if !sum.has_overflow() {
                self.sum = sum;
                return Ok(merged);
            }
            self.incremental = true;
            self.sum.divide(n - 1.0);
        }
        self.sum.scale((n - 1.0) / n);
        let mut part = h.clone();
        part.divide(n);
        self.sum.add(&part)
    }

    /// The mean.
    pub(crate) fn histogram(mut self) -> FloatHistogram {
        if !self.incremental {
            self.sum.divide(self.count);
        }
        self.sum.histogram()
    }
}

/// Which counter-reset hints were seen.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Hints {
    reset: bool,
    not_reset: bool,
}

impl Hints {
    /// Takes note of the hint of `h`.
    pub(crate) fn see(&mut self, h: &FloatHistogram) {
        self.reset |= h.counter_reset_hint == CounterResetHint::Reset;
        self.not_reset |= h.counter_reset_hint == CounterResetHint::NotReset;
    }

    /// Whether hints contradict each other.
    pub(crate) fn collide(self) -> bool {
        self.reset && self.not_reset
    }
}

#[derive(Debug)]
enum State {
    Sum(Box<Accumulator>),
    Mean(Box<HistogramMean>),
    /// Exponential and custom buckets met; what comes later does not count. Floats that came
    /// before make the group a mixed one.
    Incompatible {
        floats_before: bool,
    },
    /// A float came first: the group is lost, and histograms are not even looked at.
    AfterFloat,
}

impl State {
    /// Bytes behind the state.
    fn bytes(&self) -> u64 {
        match self {
            State::Sum(sum) => sum.bytes(),
            State::Mean(mean) => mean.sum.bytes(),
            State::Incompatible { .. } | State::AfterFloat => 0,
        }
    }
}

/// The histogram side of sum and avg: one state a step, made when its first histogram comes.
#[derive(Debug)]
pub(crate) struct HistogramFold {
    mean: bool,
    steps: BTreeMap<usize, (State, Hints)>,
}

impl HistogramFold {
    /// For sum.
    pub(crate) fn sum() -> HistogramFold {
        HistogramFold { mean: false, steps: BTreeMap::new() }
    }

    /// For avg.
    pub(crate) fn mean() -> HistogramFold {
        HistogramFold { mean: true, steps: BTreeMap::new() }
    }

    /// Takes in the histogram of one series at one step; `floats` says whether the group has
    /// floats there already. What the states grow by is counted.
    pub(crate) fn add(
        &mut self,
        step: usize,
        h: &SharedHistogram,
        floats: bool,
        name: &dyn Fn() -> String,
        place: Place,
        work: &mut Work<'_>,
    ) -> Result<(), EngineError> {
        let Some((state, hints)) = self.steps.get_mut(&step) else {
            let mut hints = Hints::default();
            let state = match self.mean {
                _ if floats => State::AfterFloat,
                true => State::Mean(Box::new(HistogramMean::of(h))),
                false => State::Sum(Box::new(Accumulator::new(h))),
            };
            hints.see(h);
            work.shared.budget.hold_bytes(ROW_BYTES + state.bytes())?;
            self.steps.insert(step, (state, hints));
            return Ok(());
        };
        let before = state.bytes();
        let added = match state {
            State::Sum(sum) => sum.add(h),
            State::Mean(mean) => mean.add(h),
            State::Incompatible { .. } | State::AfterFloat => return Ok(()),
        };
        hints.see(h);
        match added {
            Ok(merged) if merged.bounds_reconciled => {
                work.notes.mismatched_custom_buckets(HistogramOperation::Aggregate, place);
            }
            Ok(_) => {}
            Err(Incompatible) => {
                work.notes.mixed_exponential_custom(&name(), place);
                *state = State::Incompatible { floats_before: floats };
            }
        }
        // Buckets that only came now; what an incompatible one gave up stays counted until the end.
        work.shared.budget.hold_bytes(state.bytes().saturating_sub(before))
    }

    /// Writes the results. Steps that saw floats as well lose both.
    pub(crate) fn finish(self, out: &mut Column, place: Place, work: &mut Work<'_>) {
        for (step, (state, hints)) in self.steps {
            if !is_absent(out.floats[step]) {
                out.floats[step] = ABSENT;
                if !matches!(state, State::Incompatible { floats_before: false }) {
                    work.notes.mixed_floats_histograms_aggregation(place);
                }
                continue;
            }
            let mut h = match state {
                State::Sum(sum) => sum.histogram(),
                State::Mean(mean) => mean.histogram(),
                State::Incompatible { .. } | State::AfterFloat => continue,
            };
            if hints.collide() {
                work.notes.counter_reset_collision(HistogramOperation::Aggregate, place);
            }
            h.compact();
            out.push_histogram(step, std::sync::Arc::new(h));
        }
    }
}
