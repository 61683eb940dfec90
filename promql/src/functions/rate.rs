//! rate, increase, delta: the change over a window, extended to its edges.
//!
//! Samples rarely lie on the edges of a window. Where the gap to an edge is below 1.1 times the
//! mean distance between samples the change is extended to the edge, else by half that distance;
//! a counter is never extended below zero. Resets of a counter are added back in sample order.

use crate::exec::column::ABSENT;
use crate::exec::samples::Samples;
use crate::exec::window::Bounds;

/// Which of the three, and over how long.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rate {
    /// rate and increase: falling values are resets.
    pub counter: bool,
    /// rate: per second.
    pub per_second: bool,
    /// Length of the range in seconds.
    pub range_s: f64,
}

/// Where a counter starts anew within a series: ascending indices of samples after a reset.
#[derive(Clone, Debug, Default)]
pub(crate) struct Resets {
    at: Vec<u32>,
    /// Samples whose start time lies inside the sample before: data that contradicts itself.
    overlaps: Vec<u32>,
}

impl Resets {
    /// Finds the resets of a series of floats.
    pub(crate) fn find(samples: &Samples) -> Resets {
        let values = &samples.floats;
        let mut found = Resets::default();
        if samples.starts.is_empty() {
            if samples.rising {
                return found;
            }
            // Most series have none, and a look without early exit is fast.
            if !values.windows(2).fold(false, |any, pair| any | (pair[1] < pair[0])) {
                return found;
            }
            // Gauges fall at every other sample: no branch that would have to be guessed.
            found.at.resize(values.len(), 0);
            let mut n = 0;
            for (i, pair) in values.windows(2).enumerate() {
                found.at[n] = i as u32 + 1;
                n += usize::from(pair[1] < pair[0]);
            }
            found.at.truncate(n);
            return found;
        }
        for i in 1..values.len() {
            let (prev, curr) = (Start::of(samples, i - 1), Start::of(samples, i));
            if values[i] < values[i - 1] || prev.reset_before(curr) {
                found.at.push(i as u32);
            }
            if prev.overlapped_by(curr) {
                found.overlaps.push(i as u32);
            }
        }
        found
    }

    /// For windows whose bounds do not go back.
    pub(crate) fn moving(&self) -> Moving<'_> {
        Moving { at: &self.at, from: 0, to: 0 }
    }

    /// Resets between samples of `lo..hi`.
    pub(crate) fn within(&self, lo: usize, hi: usize) -> &[u32] {
        inside(&self.at, lo, hi)
    }

    /// Whether start times contradict samples within `lo..hi`.
    pub(crate) fn overlap_within(&self, lo: usize, hi: usize) -> bool {
        !inside(&self.overlaps, lo, hi).is_empty()
    }
}

/// The resets of windows that move along a series.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moving<'a> {
    at: &'a [u32],
    from: usize,
    to: usize,
}

impl<'a> Moving<'a> {
    /// Resets between the samples of a window, none of whose bounds lies before the last one's.
    #[inline(always)]
    pub(crate) fn within(&mut self, b: &Bounds) -> &'a [u32] {
        while self.at.get(self.from).is_some_and(|at| *at as usize <= b.lo) {
            self.from += 1;
        }
        self.to = self.to.max(self.from);
        while self.at.get(self.to).is_some_and(|at| (*at as usize) < b.hi) {
            self.to += 1;
        }
        &self.at[self.from..self.to]
    }
}

fn inside(list: &[u32], lo: usize, hi: usize) -> &[u32] {
    if list.is_empty() {
        return &[];
    }
    let from = list.partition_point(|i| (*i as usize) <= lo);
    let to = list.partition_point(|i| (*i as usize) < hi);
    &list[from..to.max(from)]
}

/// Start time and time of a sample.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Start {
    pub start: i64,
    pub t: i64,
}

impl Start {
    fn of(samples: &Samples, i: usize) -> Start {
        Start { start: samples.starts[i], t: samples.timestamps[i] }
    }

    /// Whether start times say that the counter started anew between this sample and `next`.
    pub(crate) fn reset_before(self, next: Start) -> bool {
        if next.start == 0 || next.start >= next.t || next.start < self.t {
            return false;
        }
        if next.start > self.t {
            return true;
        }
        // The start is exactly the sample before: a reset for delta series, which know their own
        // start, but not for cumulative ones whose start is unknown.
        self.start <= self.t && self.start != 0 && self.start != self.t
    }

    /// Whether `next` claims to have started before this sample, yet not with it.
    pub(crate) fn overlapped_by(self, next: Start) -> bool {
        next.start != 0 && next.start < self.t && next.start != self.start
    }
}

/// What extrapolation needs to know of a window.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// Distances in seconds.
    pub to_start: f64,
    pub to_end: f64,
    pub sampled: f64,
    /// Samples less one.
    pub gaps: usize,
}

impl Shape {
    /// The shape of a window whose samples reach from `first` to `last`.
    #[inline(always)]
    pub(crate) fn new(b: &Bounds, first: i64, last: i64, gaps: usize) -> Shape {
        Shape {
            to_start: (first - b.start) as f64 / 1000.0,
            to_end: (b.end - last) as f64 / 1000.0,
            sampled: (last - first) as f64 / 1000.0,
            gaps,
        }
    }

    #[inline(always)]
    fn mean_gap(&self) -> f64 {
        if self.gaps > 0 { self.sampled / self.gaps as f64 } else { 0.0 }
    }

    /// Shortens the way to the start where there is a gap. `to_zero` is the distance at which a
    /// counter would reach zero.
    #[inline(always)]
    pub(crate) fn limit_start(&mut self, to_zero: Option<f64>) {
        let mean = self.mean_gap();
        if self.to_start >= mean * 1.1 {
            self.to_start = mean / 2.0;
        }
        if let Some(zero) = to_zero
            && zero < self.to_start
        {
            self.to_start = zero;
        }
    }

    /// What the change between first and last sample is multiplied by.
    #[inline(always)]
    pub(crate) fn factor(&self, rate: &Rate) -> f64 {
        let mean = self.mean_gap();
        let to_end = if self.to_end >= mean * 1.1 { mean / 2.0 } else { self.to_end };
        let mut factor = 1.0;
        if self.sampled != 0.0 {
            factor = (self.sampled + self.to_start + to_end) / self.sampled;
        }
        if rate.per_second {
            factor /= rate.range_s;
        }
        factor
    }
}

/// The value of a window of floats, [`ABSENT`] with too few samples.
#[inline(always)]
pub(crate) fn value(rate: &Rate, samples: &Samples, resets: &Resets, b: &Bounds) -> f64 {
    let within = if rate.counter { resets.within(b.lo, b.hi) } else { &[] };
    value_with(rate, samples, within, b)
}

/// The value of a window with these resets.
#[inline(always)]
pub(crate) fn value_with(rate: &Rate, samples: &Samples, resets: &[u32], b: &Bounds) -> f64 {
    if b.hi - b.lo < 2 && samples.starts.is_empty() || b.hi == b.lo {
        return ABSENT;
    }
    let ts = &samples.timestamps[b.lo..b.hi];
    let values = &samples.floats[b.lo..b.hi];
    let (first_t, last_t) = (ts[0], ts[ts.len() - 1]);
    let first = values[0];
    let mut result = values[values.len() - 1] - first;
    for at in resets {
        result += samples.floats[*at as usize - 1];
    }
    let mut shape = Shape::new(b, first_t, last_t, ts.len() - 1);
    match start_inside(rate, samples, b, first_t) {
        Some(start) => {
            // The counter started inside the window: a zero there, instead of extrapolation.
            shape.to_start = 0.0;
            shape.sampled = (last_t - start) as f64 / 1000.0;
            result += first;
            // The mean distance is still that of the samples themselves.
            return result * from_start(rate, &shape, first_t, last_t);
        }
        None if ts.len() == 1 => return ABSENT,
        None => {
            let falls_to_zero = rate.counter && result > 0.0 && first >= 0.0;
            let to_zero = falls_to_zero.then(|| shape.sampled * (first / result));
            shape.limit_start(to_zero);
        }
    }
    result * shape.factor(rate)
}

/// The start time of the first sample, if it lies inside the window and before the sample.
#[inline(always)]
fn start_inside(rate: &Rate, samples: &Samples, b: &Bounds, first_t: i64) -> Option<i64> {
    if !rate.counter || samples.starts.is_empty() {
        return None;
    }
    let start = samples.starts[b.lo];
    (start != 0 && start > b.start && start < first_t).then_some(start)
}

/// The factor of a window that begins with the start time of its first sample.
pub(crate) fn from_start(rate: &Rate, shape: &Shape, first_t: i64, last_t: i64) -> f64 {
    let sampled = (last_t - first_t) as f64 / 1000.0;
    let mean = if shape.gaps > 0 { sampled / shape.gaps as f64 } else { 0.0 };
    let to_end = if shape.to_end >= mean * 1.1 { mean / 2.0 } else { shape.to_end };
    let mut factor = 1.0;
    if shape.sampled != 0.0 {
        factor = (shape.sampled + to_end) / shape.sampled;
    }
    if rate.per_second {
        factor /= rate.range_s;
    }
    factor
}
