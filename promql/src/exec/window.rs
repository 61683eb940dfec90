//! Windows: the samples of one series that a range vector shows at each step.

use model::{CancelToken, TimeRange};

use super::column::histogram_weight;
use super::grid::Grid;
use super::samples::{HistogramSample, Samples};
use super::tally::Tally;

/// Which window each step of a grid looks at: `(end - range, end]`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Windows {
    pub grid: Grid,
    pub range_ms: i64,
    pub offset_ms: i64,
    /// Fixed end for all steps, before the offset.
    pub at: Option<i64>,
    /// How much further back samples are taken in (`anchored`, `smoothed`).
    pub before_ms: i64,
    /// How much later samples are taken in (`smoothed`).
    pub after_ms: i64,
    /// Whether samples looked at count as read (those of a subquery were counted already).
    pub count_read: bool,
}

/// Samples looked at between two questions whether to stop.
pub(crate) const SAMPLES_A_QUESTION: usize = 1 << 18;

/// Asks now and then whether to stop. Windows after that are not visited; the caller, who asks as
/// well, throws the column away.
struct Patience<'a> {
    cancel: &'a CancelToken,
    looked: usize,
}

impl Patience<'_> {
    fn ends(&mut self, samples: usize) -> bool {
        self.looked += samples;
        if self.looked < SAMPLES_A_QUESTION {
            return false;
        }
        self.looked = 0;
        self.cancel.reason().is_some()
    }
}

/// The samples of one window, by index.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub step: usize,
    /// Start of the range (exclusive) and its end, without what was taken in around it.
    pub start: i64,
    pub end: i64,
    /// Floats `lo..hi`, histograms `h_lo..h_hi`.
    pub lo: usize,
    pub hi: usize,
    pub h_lo: usize,
    pub h_hi: usize,
}

impl Windows {
    /// Start (exclusive) and end of the range at a step.
    pub(crate) fn range_at(&self, step: usize) -> (i64, i64) {
        let end = self.at.unwrap_or_else(|| self.grid.time(step)).saturating_sub(self.offset_ms);
        (end.saturating_sub(self.range_ms), end)
    }

    /// Everything any step looks at.
    pub(crate) fn span(&self) -> TimeRange {
        let (start, _) = self.range_at(0);
        let (_, end) = self.range_at(self.grid.steps - 1);
        TimeRange {
            min: start.saturating_sub(self.before_ms).saturating_add(1),
            max: end.saturating_add(self.after_ms),
        }
    }

    /// About how many of the samples a window shows.
    pub(crate) fn width(&self, samples: &Samples) -> usize {
        let ts = &samples.timestamps[..];
        let (Some(first), Some(last)) = (ts.first(), ts.last()) else { return 0 };
        let span = last.abs_diff(*first).max(1) as f64;
        let share = self.range_ms as f64 / span * ts.len() as f64;
        (share as usize).min(ts.len())
    }

    /// Where windows lie in a series of floats at an even distance that the step is a multiple of;
    /// `None` for any other series.
    pub(crate) fn even(&self, samples: &Samples) -> Option<Even> {
        let ts = &samples.timestamps[..];
        let (n, interval) = (ts.len() as i64, self.grid.interval);
        if self.at.is_some() || ts.len() < LEAST_EVEN || !samples.histograms.is_empty() {
            return None;
        }
        let distance = match samples.regular {
            Some(regular) => regular.step,
            None => distance_of(ts)?,
        };
        if interval % distance != 0 {
            return None;
        }
        let (start, end) = self.range_at(0);
        let past = |t: i64| Some(t.checked_sub(ts[0])?.div_euclid(distance) + 1);
        let lo = past(start.saturating_sub(self.before_ms))?;
        let hi = past(end.saturating_add(self.after_ms))?;
        Some(Even { lo, hi, stride: interval / distance, n })
    }

    /// Counts one window of `n` samples, `new` of them not in the window before.
    fn count(&self, tally: &mut Tally, step: usize, n: u64, new: u64) {
        tally.count(step, n, if self.count_read { new } else { 0 });
        tally.widest = tally.widest.max(n);
    }

    /// Visits the windows over evenly spaced floats at `steps`, counting them.
    pub(crate) fn visit_even(
        &self,
        even: &Even,
        steps: std::ops::Range<usize>,
        cancel: &CancelToken,
        tally: &mut Tally,
        mut visit: impl FnMut(Bounds),
    ) {
        let mut patience = Patience { cancel, looked: 0 };
        let mut seen = steps.start.checked_sub(1).map_or(0, |before| even.at(before).1);
        for step in steps {
            let (lo, hi) = even.at(step);
            if lo < hi {
                let new = hi - seen.max(lo);
                self.count(tally, step, (hi - lo) as u64, new as u64);
                let (start, end) = self.range_at(step);
                visit(Bounds { step, start, end, lo, hi, h_lo: 0, h_hi: 0 });
                if patience.ends(hi - lo) {
                    return;
                }
            }
            seen = hi;
        }
    }

    /// Counts the windows at `steps`, all of which lie wholly among the samples.
    pub(crate) fn count_inner(
        &self,
        even: &Even,
        steps: std::ops::Range<usize>,
        cancel: &CancelToken,
        tally: &mut Tally,
    ) {
        if tally.steps.is_some() || steps.is_empty() {
            return self.visit_even(even, steps, cancel, tally, |_| {});
        }
        let first = steps.start..steps.start + 1;
        self.visit_even(even, first, cancel, tally, |_| {});
        let (lo, hi) = even.at(steps.start);
        let (n, more) = ((hi - lo) as u64, steps.len() as u64 - 1);
        tally.total += n * more;
        if self.count_read {
            tally.read += n.min(even.stride as u64) * more;
        }
    }

    /// The ends of the first window among samples.
    fn edges(&self, ts: &[i64]) -> (Edge, Edge) {
        let (start, end) = self.range_at(0);
        let lo = Edge::new(self, ts, start.saturating_sub(self.before_ms));
        (lo, Edge::new(self, ts, end.saturating_add(self.after_ms)))
    }

    /// Whether [`visit_blocks`](Self::visit_blocks) can be asked: windows that move, with nothing
    /// taken in around them, and far from the end of time.
    pub(crate) fn are_plain(&self) -> bool {
        let extended = self.before_ms != 0 || self.after_ms != 0;
        self.at.is_none() && !extended && self.range_at(0).0 > i64::MIN
    }

    /// Visits all windows over floats in order, [`BLOCK`] at a time: the number of the first step,
    /// and for each the samples it shows, from and to. Counts them.
    pub(crate) fn visit_blocks(
        &self,
        ts: &[i64],
        cancel: &CancelToken,
        tally: &mut Tally,
        mut visit: impl FnMut(usize, &[(u32, u32)]),
    ) {
        let mut patience = Patience { cancel, looked: 0 };
        let (mut lo, mut hi) = self.edges(ts);
        let (mut start, mut end) = self.range_at(0);
        let (mut spans, mut seen) = ([(0, 0); BLOCK], 0);
        let mut first = 0;
        while first < self.grid.steps {
            let n = BLOCK.min(self.grid.steps - first);
            let (mut total, mut read, mut widest) = (0, 0, 0);
            for (i, span) in spans[..n].iter_mut().enumerate() {
                let (from, to) = (lo.move_to(ts, start), hi.move_to(ts, end));
                *span = (from as u32, to as u32);
                let new = to - from.max(seen);
                (total, read, widest) = (total + to - from, read + new, widest.max(to - from));
                if tally.steps.is_some() {
                    let new = if self.count_read { new as u64 } else { 0 };
                    tally.count_step(first + i, (to - from) as u64, new);
                }
                (start, end, seen) = (start + self.grid.interval, end + self.grid.interval, to);
            }
            tally.total += total as u64;
            tally.read += if self.count_read { read as u64 } else { 0 };
            tally.widest = tally.widest.max(widest as u64);
            visit(first, &spans[..n]);
            if patience.ends(total) {
                return;
            }
            first += n;
        }
    }

    /// Visits every window that has a sample, counting it.
    pub(crate) fn visit(
        &self,
        samples: &Samples,
        cancel: &CancelToken,
        tally: &mut Tally,
        mut visit: impl FnMut(Bounds),
    ) {
        if let Some(even) = self.even(samples) {
            return self.visit_even(&even, 0..self.grid.steps, cancel, tally, visit);
        }
        let mut patience = Patience { cancel, looked: 0 };
        let (mut seen, mut h_lo, mut h_hi) = (0, 0, 0);
        let ts = &samples.timestamps[..];
        let hs = &samples.histograms[..];
        let (mut lo, mut hi) = self.edges(ts);
        for step in 0..self.grid.steps {
            let (start, end) = self.range_at(step);
            let (from, to) =
                (start.saturating_sub(self.before_ms), end.saturating_add(self.after_ms));
            let h_seen = h_hi;
            let (lo, hi) = (lo.move_to(ts, from), hi.move_to(ts, to));
            while h_hi < hs.len() && hs[h_hi].t <= to {
                h_hi += 1;
            }
            while h_lo < h_hi && hs[h_lo].t <= from {
                h_lo += 1;
            }
            let new_floats = hi - seen.max(lo);
            seen = hi;
            if lo == hi && h_lo == h_hi {
                continue;
            }
            let (mut n, mut new) = ((hi - lo) as u64, new_floats as u64);
            if h_lo < h_hi {
                let weigh = |s: &[HistogramSample]| -> u64 {
                    s.iter().map(|s| histogram_weight(&s.h)).sum()
                };
                n += weigh(&hs[h_lo..h_hi]);
                new += weigh(&hs[h_seen.max(h_lo)..h_hi]);
            }
            self.count(tally, step, n, new);
            visit(Bounds { step, start, end, lo, hi, h_lo, h_hi });
            if patience.ends(hi - lo + h_hi - h_lo) {
                return;
            }
        }
    }
}

/// Windows whose bounds are looked for at once.
pub(crate) const BLOCK: usize = 64;

/// An end of windows that move along the times of samples.
#[derive(Clone, Copy)]
struct Edge {
    /// Samples up to it.
    at: usize,
    /// Samples a step, about.
    stride: usize,
}

impl Edge {
    /// At the time `first`.
    fn new(windows: &Windows, ts: &[i64], first: i64) -> Edge {
        let at = ts.partition_point(|t| *t <= first);
        let span = match ts {
            [first, .., last] if windows.at.is_none() => last.abs_diff(*first).max(1) as f64,
            _ => return Edge { at, stride: 0 },
        };
        let stride = windows.grid.interval as f64 * (ts.len() - 1) as f64 / span;
        Edge { at, stride: (stride.round() as usize).min(ts.len()) }
    }

    /// Moves on to `t`, which is never before the last one: the samples up to there. Samples come at
    /// about the same pace, so the place is guessed and mostly right: the loops are not entered,
    /// which a processor foresees better than how often they are.
    #[inline(always)]
    fn move_to(&mut self, ts: &[i64], t: i64) -> usize {
        let mut at = (self.at + self.stride).min(ts.len());
        while at < ts.len() && ts[at] <= t {
            at += 1;
        }
        while at > self.at && ts[at - 1] > t {
            at -= 1;
        }
        self.at = at;
        at
    }
}

/// How far apart all samples lie.
fn distance_of(ts: &[i64]) -> Option<i64> {
    let [first, second, .., last] = ts else { return None };
    let (distance, n) = (second - first, ts.len() as i64);
    if last.checked_sub(*first)? != distance.checked_mul(n - 1)? || distance <= 0 {
        return None;
    }
    // No early exit: a loop without one runs several times as fast, and the answer is mostly yes.
    let uneven = ts.windows(2).fold(false, |uneven, p| uneven | (p[1] - p[0] != distance));
    (!uneven).then_some(distance)
}

/// Fewer samples are not worth a look at their distances.
const LEAST_EVEN: usize = 8;

/// Windows over evenly spaced samples: their bounds move by the same number of samples each step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Even {
    /// Bounds of the first window, as if the samples went on for ever.
    lo: i64,
    hi: i64,
    /// Samples a step.
    pub stride: i64,
    /// Samples there are.
    n: i64,
}

impl Even {
    /// Bounds of the window at a step.
    #[inline(always)]
    pub(crate) fn at(&self, step: usize) -> (usize, usize) {
        let moved = step as i64 * self.stride;
        let bound = |b: i64| (b + moved).clamp(0, self.n) as usize;
        (bound(self.lo), bound(self.hi))
    }

    /// The steps of `steps` whose windows hold samples `at - 1` and `at`.
    pub(crate) fn around(
        &self,
        at: usize,
        steps: &std::ops::Range<usize>,
    ) -> std::ops::Range<usize> {
        let at = at as i64;
        // lo < at < hi
        let first = (at + 1 - self.hi).div_euclid(self.stride)
            + i64::from((at + 1 - self.hi).rem_euclid(self.stride) > 0);
        let past = (at - 1 - self.lo).div_euclid(self.stride) + 1;
        let within = |step: i64| step.clamp(steps.start as i64, steps.end as i64) as usize;
        within(first)..within(past)
    }

    /// The steps whose windows lie wholly among the samples.
    pub(crate) fn inner(&self, steps: usize) -> std::ops::Range<usize> {
        let first = (-self.lo).max(0);
        let first = (first + self.stride - 1) / self.stride;
        let past = (self.n - self.hi).div_euclid(self.stride) + 1;
        let past = past.clamp(0, steps as i64) as usize;
        (first as usize).min(past)..past
    }
}
