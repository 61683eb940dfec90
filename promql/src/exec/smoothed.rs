//! Smoothed instant selectors: values on the line between the samples around each step.

use std::sync::Arc;

use model::{CounterResetHint, Labels, TimeRange};

use super::column::Column;
use super::counts;
use super::grid::Grid;
use super::samples::{HistogramSample, Samples};
use super::select::Selected;
use super::source::Source;
use super::work::Work;
use crate::engine::EngineError;
use crate::functions::extended::interpolate;
use crate::functions::extended_histogram;
use crate::functions::mixed::{Answer, Met};
use crate::plan::{Place, Select};

/// `selector smoothed`.
pub(crate) struct Smoothed<'p> {
    pub selected: &'p Selected,
    pub select: &'p Select,
    pub grid: Grid,
    pub lookback_ms: i64,
    pub place: Place,
}

impl Smoothed<'_> {
    fn reference(&self, step: usize) -> i64 {
        let t = self.select.at.unwrap_or_else(|| self.grid.time(step));
        t.saturating_sub(self.select.offset_ms)
    }
}

impl Source for Smoothed<'_> {
    fn len(&self) -> usize {
        self.selected.series.len()
    }

    fn labels(&self, i: usize) -> Labels {
        self.selected.series.labels(i)
    }

    fn label_value(&self, i: usize, name: &str, with: &mut dyn FnMut(&str)) {
        self.selected.series.label_value(i, name, with);
    }

    fn distinct_unnamed(&self) -> bool {
        self.selected.distinct_unnamed()
    }

    fn column(&self, i: usize, work: &mut Work<'_>, out: &mut Column) -> Result<(), EngineError> {
        out.reset(self.grid.steps);
        let lookback = self.lookback_ms;
        let range = TimeRange {
            min: self.reference(0).saturating_sub(lookback).saturating_add(1),
            max: self.reference(self.grid.steps - 1).saturating_add(lookback),
        };
        let (mut read, mut samples) = (work.take_read(), work.take_samples());
        let result = self.selected.series.read(i, range, &mut read);
        result.map_err(|e| work.shared.reading(e))?;
        if self.select.counts_only {
            counts::strip(&mut read);
        }
        samples.take(&mut read, false);
        let mut met = Met::default();
        for step in 0..self.grid.steps {
            let t = self.reference(step);
            let window = (t.saturating_sub(lookback), t.saturating_add(lookback));
            match around(&samples, t, window, &mut met) {
                Answer::Float(v) => out.floats[step] = v,
                Answer::Histogram(h) => out.push_histogram(step, h),
                Answer::Nothing => {}
            }
        }
        met.note(&|| self.selected.metric_name(i), self.place, &mut work.notes);
        work.give_read(read);
        work.give_samples(samples);
        Ok(())
    }
}

/// The value at `t` from the samples in `window` (start excluded).
fn around(samples: &Samples, t: i64, window: (i64, i64), met: &mut Met) -> Answer {
    let (from, to) = window;
    let (ts, vs) = (&samples.timestamps, &samples.floats);
    let hs = &samples.histograms;
    let (lo, hi) = (ts.partition_point(|s| *s <= from), ts.partition_point(|s| *s <= to));
    let h_range = hs.partition_point(|s| s.t <= from)..hs.partition_point(|s| s.t <= to);
    if lo < hi && !h_range.is_empty() {
        met.mixed = true;
        return Answer::Nothing;
    }
    if !h_range.is_empty() {
        return around_histograms(&hs[h_range], t, met);
    }
    let next = lo + ts[lo..hi].partition_point(|s| *s < t);
    let after = (next < hi).then_some(next);
    let before = (next > lo).then(|| next - 1);
    match (before, after) {
        (_, Some(j)) if ts[j] == t => Answer::Float(vs[j]),
        (Some(i), Some(j)) => Answer::Float(interpolate(ts[i], vs[i], ts[j], vs[j], t, false)),
        (Some(i), None) => Answer::Float(vs[i]),
        (None, _) => Answer::Nothing,
    }
}

fn around_histograms(hs: &[HistogramSample], t: i64, met: &mut Met) -> Answer {
    let next = hs.partition_point(|s| s.t < t);
    match (next.checked_sub(1).map(|i| &hs[i]), hs.get(next)) {
        (_, Some(at)) if at.t == t => Answer::Histogram(at.h.clone()),
        (Some(a), Some(b)) => {
            if a.h.uses_custom_buckets() != b.h.uses_custom_buckets() {
                met.exponential_custom = true;
                return Answer::Nothing;
            }
            let gauge = |s: &HistogramSample| s.h.counter_reset_hint == CounterResetHint::Gauge;
            let counter = !(gauge(a) && gauge(b));
            match extended_histogram::interpolate(a, b, t, counter, met) {
                Some(h) => Answer::Histogram(Arc::new(h)),
                None => Answer::Nothing,
            }
        }
        (Some(a), None) => {
            // What is known about resets is about stored samples, not about this one.
            let mut h = (*a.h).clone();
            h.counter_reset_hint = CounterResetHint::Unknown;
            Answer::Histogram(Arc::new(h))
        }
        (None, _) => Answer::Nothing,
    }
}
