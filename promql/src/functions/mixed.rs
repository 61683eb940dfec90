//! Range functions over series that hold histograms, alone or beside floats.
//!
//! Slower than [`super::range`], and rarely run: windows are judged one by one.

use std::sync::Arc;

use super::extended;
use super::extended_histogram;
use super::histogram_rate;
use super::over_time;
use super::range::{Extent, RangeFunction, add_quantile};
use super::rate::{Resets, Start, value as rate_value};
use crate::engine::EngineError;
use crate::exec::column::{ABSENT, Column, SharedHistogram, is_absent};
use crate::exec::histogram_fold::{Hints, HistogramMean};
use crate::exec::notes::{HistogramOperation, Notes};
use crate::exec::range::RangeCall;
use crate::exec::samples::{HistogramSample, Samples};
use crate::exec::window::Bounds;
use crate::exec::work::{Work, failed};
use crate::plan::Place;

/// What a window gives.
#[derive(Debug)]
pub(crate) enum Answer {
    Float(f64),
    Histogram(SharedHistogram),
    Nothing,
}

/// What was met on the way; told once a series.
#[derive(Clone, Debug, Default)]
pub(crate) struct Met {
    pub mixed: bool,
    pub ignored: bool,
    pub not_counter: bool,
    pub not_gauge: bool,
    pub exponential_custom: bool,
    pub reconciled_add: bool,
    pub reconciled_sub: bool,
    pub reconciled_aggregate: bool,
    pub collision: bool,
    pub overlaps: u64,
    pub bad_quantiles: Vec<f64>,
    pub bad_factor: Option<(&'static str, f64)>,
}

impl Met {
    /// Takes note of what combining histograms ran into; `None` when they do not go together.
    pub(crate) fn combined(
        &mut self,
        result: Result<model::histogram::Merged, model::histogram::Incompatible>,
        operation: HistogramOperation,
    ) -> Option<()> {
        let Ok(merged) = result else {
            self.exponential_custom = true;
            return None;
        };
        match operation {
            HistogramOperation::Add => self.reconciled_add |= merged.bounds_reconciled,
            HistogramOperation::Sub => self.reconciled_sub |= merged.bounds_reconciled,
            HistogramOperation::Aggregate => self.reconciled_aggregate |= merged.bounds_reconciled,
        }
        Some(())
    }
}

/// The windows of one series.
struct Windowed<'a> {
    call: &'a RangeCall<'a>,
    samples: &'a Samples,
    resets: Resets,
    scratch: Vec<f64>,
    met: Met,
}

/// Runs `call` over the samples of series `i`.
pub(crate) fn run(
    call: &RangeCall<'_>,
    i: usize,
    samples: &Samples,
    work: &mut Work<'_>,
    out: &mut Column,
) -> Result<(), EngineError> {
    let mut windowed = Windowed {
        call,
        samples,
        resets: Resets::find(samples),
        scratch: Vec::new(),
        met: Met::default(),
    };
    call.windows.visit(samples, &work.shared.cancel, &mut work.tally, |b| {
        match windowed.window(&b) {
            Answer::Float(v) => out.floats[b.step] = v,
            Answer::Histogram(h) => out.push_histogram(b.step, h),
            Answer::Nothing => {}
        }
    });
    let met = windowed.met;
    if let Some((what, v)) = met.bad_factor {
        return failed(over_time::bad_factor(what, v));
    }
    met.note(&|| call.metric_name(i), call.place, &mut work.notes);
    Ok(())
}

impl Met {
    /// Says what was met.
    pub(crate) fn note(&self, name: &dyn Fn() -> String, place: Place, notes: &mut Notes) {
        if self.mixed {
            notes.mixed_floats_histograms(&name(), place);
        }
        if self.ignored {
            notes.histogram_ignored_in_mixed_range(&name(), place);
        }
        if self.not_counter {
            notes.histogram_not_counter(&name(), place);
        }
        if self.not_gauge {
            notes.histogram_not_gauge(&name(), place);
        }
        if self.exponential_custom {
            notes.mixed_exponential_custom(&name(), place);
        }
        for (seen, operation) in [
            (self.reconciled_sub, HistogramOperation::Sub),
            (self.reconciled_add, HistogramOperation::Add),
            (self.reconciled_aggregate, HistogramOperation::Aggregate),
        ] {
            if seen {
                notes.mismatched_custom_buckets(operation, place);
            }
        }
        if self.collision {
            notes.counter_reset_collision(HistogramOperation::Aggregate, place);
        }
        for q in &self.bad_quantiles {
            notes.invalid_quantile(*q, place);
        }
        if self.overlaps > 0 {
            notes.start_time_overlaps(&name(), self.overlaps, place);
        }
    }
}

impl Windowed<'_> {
    fn window(&mut self, b: &Bounds) -> Answer {
        use RangeFunction as F;
        let samples = self.samples;
        let (ts, vs) = (&samples.timestamps[b.lo..b.hi], &samples.floats[b.lo..b.hi]);
        let hs = &samples.histograms[b.h_lo..b.h_hi];
        let param = |at: usize| self.call.params.get(at).map_or(f64::NAN, |p| p.at(b.step));
        match self.call.function {
            F::Rate(_) => self.rate(b),
            F::Irate => histogram_rate::instant(samples, b, true, &mut self.met),
            F::Idelta => histogram_rate::instant(samples, b, false, &mut self.met),
            F::Deriv => {
                self.of_floats(2, vs, hs, |_| over_time::linear_regression(ts, vs, ts[0]).0)
            }
            F::PredictLinear => {
                let (ahead, now) = (param(0), self.call.windows.grid.time(b.step));
                self.of_floats(2, vs, hs, |_| {
                    let (slope, intercept) = over_time::linear_regression(ts, vs, now);
                    slope * ahead + intercept
                })
            }
            F::Smoothing => {
                let (sf, tf) = (param(0), param(1));
                for (what, v) in [("smoothing", sf), ("trend", tf)] {
                    if (v <= 0.0 || v >= 1.0) && self.met.bad_factor.is_none() {
                        self.met.bad_factor = Some((what, v));
                    }
                }
                self.of_floats(2, vs, hs, |_| over_time::smooth(vs, sf, tf))
            }
            F::Changes | F::Resets => self.count_between(b),
            F::Avg | F::Sum if !vs.is_empty() && !hs.is_empty() => {
                self.met.mixed = true;
                Answer::Nothing
            }
            F::Avg if hs.is_empty() => Answer::Float(over_time::avg(vs)),
            F::Sum if hs.is_empty() => Answer::Float(over_time::sum(vs)),
            F::Avg => self.avg(hs),
            F::Sum => self.sum(hs),
            F::Count => Answer::Float((vs.len() + hs.len()) as f64),
            F::First => first(ts, vs, hs),
            F::Last => last(ts, vs, hs),
            F::Present => Answer::Float(1.0),
            F::TimeOfFirst => {
                let first = [ts.first().copied(), hs.first().map(|h| h.t)];
                let first = first.into_iter().flatten().min().unwrap_or(i64::MAX);
                Answer::Float(first as f64 / 1000.0)
            }
            F::TimeOfLast => {
                let last = [ts.last().copied(), hs.last().map(|h| h.t)];
                let last = last.into_iter().flatten().max().unwrap_or(0).max(0);
                Answer::Float(last as f64 / 1000.0)
            }
            F::Mad => self.of_floats(1, vs, hs, |scratch| over_time::mad(vs, scratch)),
            F::Quantile => {
                let q = param(0);
                if !vs.is_empty() && !(0.0..=1.0).contains(&q) {
                    add_quantile(&mut self.met.bad_quantiles, q);
                }
                self.of_floats(1, vs, hs, |scratch| over_time::quantile(q, vs, scratch))
            }
            F::Stddev => self.of_floats(1, vs, hs, |_| over_time::stdvar(vs).sqrt()),
            F::Stdvar => self.of_floats(1, vs, hs, |_| over_time::stdvar(vs)),
            F::Max => self.of_floats(1, vs, hs, |_| vs[over_time::pick(vs, |a, b| a > b)]),
            F::Min => self.of_floats(1, vs, hs, |_| vs[over_time::pick(vs, |a, b| a < b)]),
            F::TimeOfMax => self
                .of_floats(1, vs, hs, |_| ts[over_time::pick(vs, |a, b| a >= b)] as f64 / 1000.0),
            F::TimeOfMin => self
                .of_floats(1, vs, hs, |_| ts[over_time::pick(vs, |a, b| a <= b)] as f64 / 1000.0),
        }
    }

    /// A function of floats that passes over histograms, with a word about it.
    fn of_floats(
        &mut self,
        least: usize,
        vs: &[f64],
        hs: &[HistogramSample],
        f: impl FnOnce(&mut Vec<f64>) -> f64,
    ) -> Answer {
        if !hs.is_empty() && !vs.is_empty() {
            self.met.ignored = true;
        }
        if vs.len() < least {
            return Answer::Nothing;
        }
        Answer::Float(f(&mut self.scratch))
    }

    fn rate(&mut self, b: &Bounds) -> Answer {
        let RangeFunction::Rate(rate) = self.call.function else { return Answer::Nothing };
        let floats = b.hi > b.lo;
        let histograms = b.h_hi > b.h_lo;
        if floats && histograms {
            self.met.mixed = true;
            return Answer::Nothing;
        }
        let smoothed = self.call.extent == Extent::Smoothed;
        match (self.call.extent, histograms) {
            (Extent::Plain, true) => histogram_rate::rate(&rate, self.samples, b, &mut self.met),
            (Extent::Plain, false) => {
                if self.resets.overlap_within(b.lo, b.hi) && rate.counter {
                    self.met.overlaps += 1;
                }
                float(rate_value(&rate, self.samples, &self.resets, b))
            }
            (_, true) => {
                let hs = &self.samples.histograms[b.h_lo..b.h_hi];
                extended_histogram::rate(&rate, smoothed, hs, b, &mut self.met)
            }
            (_, false) => float(extended::value(&rate, smoothed, self.samples, b)),
        }
    }

    /// changes and resets: floats and histograms in order of time.
    fn count_between(&self, b: &Bounds) -> Answer {
        let samples = self.samples;
        let merged = in_order(samples, b);
        let mut counted = &merged[..];
        if self.call.extent == Extent::Anchored {
            let times: Vec<i64> = merged.iter().map(|p| p.t).collect();
            match extended::anchor(&times, b.start) {
                Some(first) => counted = &merged[first..],
                None => return Answer::Nothing,
            }
        }
        let changes = self.call.function == RangeFunction::Changes;
        let differs = |p: &Point<'_>, n: &Point<'_>| match (p.h, n.h) {
            (None, None) if changes => over_time::changed(p.v, n.v),
            (Some(p), Some(n)) if changes => !n.same_data(p),
            (None, None) => n.v < p.v || p.start().reset_before(n.start()),
            (Some(ph), Some(nh)) => p.start().reset_before(n.start()) || nh.detect_reset(ph),
            _ => true,
        };
        Answer::Float(counted.windows(2).filter(|w| differs(&w[0], &w[1])).count() as f64)
    }

    fn avg(&mut self, hs: &[HistogramSample]) -> Answer {
        let mut mean = HistogramMean::of(&hs[0].h);
        for s in &hs[1..] {
            let added = mean.add(&s.h);
            if self.met.combined(added, HistogramOperation::Aggregate).is_none() {
                return Answer::Nothing;
            }
        }
        self.met.collision |= collide(hs);
        Answer::Histogram(Arc::new(mean.histogram()))
    }

    fn sum(&mut self, hs: &[HistogramSample]) -> Answer {
        let mut sum = model::histogram::Accumulator::new(&hs[0].h);
        for s in &hs[1..] {
            let added = sum.add(&s.h);
            if self.met.combined(added, HistogramOperation::Aggregate).is_none() {
                return Answer::Nothing;
            }
        }
        self.met.collision |= collide(hs);
        Answer::Histogram(Arc::new(sum.histogram()))
    }
}

fn collide(hs: &[HistogramSample]) -> bool {
    let mut hints = Hints::default();
    hs.iter().for_each(|s| hints.see(&s.h));
    hints.collide()
}

fn float(v: f64) -> Answer {
    if is_absent(v) { Answer::Nothing } else { Answer::Float(v) }
}

fn first(ts: &[i64], vs: &[f64], hs: &[HistogramSample]) -> Answer {
    match (ts.first(), hs.first()) {
        (Some(t), Some(h)) if *t < h.t => Answer::Float(vs[0]),
        (_, Some(h)) => Answer::Histogram(h.h.clone()),
        (Some(_), None) => Answer::Float(vs[0]),
        (None, None) => Answer::Nothing,
    }
}

fn last(ts: &[i64], vs: &[f64], hs: &[HistogramSample]) -> Answer {
    let value = vs.last().copied().unwrap_or(ABSENT);
    match (ts.last(), hs.last()) {
        (Some(t), Some(h)) if h.t < *t => Answer::Float(value),
        (_, Some(h)) => Answer::Histogram(h.h.clone()),
        (Some(_), None) => Answer::Float(value),
        (None, None) => Answer::Nothing,
    }
}

/// A sample among floats and histograms.
#[derive(Clone, Copy)]
struct Point<'a> {
    t: i64,
    start: i64,
    v: f64,
    h: Option<&'a SharedHistogram>,
}

impl Point<'_> {
    fn start(&self) -> Start {
        Start { start: self.start, t: self.t }
    }
}

/// The samples of a window in order of time.
fn in_order<'a>(samples: &'a Samples, b: &Bounds) -> Vec<Point<'a>> {
    let floats = (b.lo..b.hi).map(|i| Point {
        t: samples.timestamps[i],
        start: samples.starts.get(i).copied().unwrap_or(0),
        v: samples.floats[i],
        h: None,
    });
    let histograms = samples.histograms[b.h_lo..b.h_hi].iter();
    let histograms = histograms.map(|s| Point { t: s.t, start: s.start, v: 0.0, h: Some(&s.h) });
    let mut all: Vec<Point<'a>> = floats.chain(histograms).collect();
    all.sort_by_key(|p| p.t);
    all
}
