//! Rates: rate, increase and delta over the windows of a series of floats.
//!
//! Three ways to the same bits: evenly spaced samples, whose windows have one shape; samples at any
//! distance, many windows at a time; and one window after the other where start times or what lies
//! around the range count.

use super::extended;
use super::range::{Extent, Found, Run};
use super::rate::{Rate, Resets, Shape, value as rate_value, value_with as rate_value_with};
use crate::exec::column::{ABSENT, is_absent};
use crate::exec::samples::Samples;
use crate::exec::window::{Bounds, Even};

/// Runs over a series of floats.
pub(super) fn run(rate: &Rate, run: Run<'_>) -> Found {
    let mut found = Found::default();
    if run.extent != Extent::Plain {
        let smoothed = run.extent == Extent::Smoothed;
        run.each(|s, b| extended::value(rate, smoothed, s, b));
        return found;
    }
    let resets = if rate.counter { Resets::find(run.samples) } else { Resets::default() };
    if run.samples.starts.is_empty()
        && let Some(even) = run.windows.even(run.samples)
    {
        even_rates(rate, &even, &resets, run);
        return found;
    }
    if run.samples.starts.is_empty() && run.windows.grid.steps >= LEAST_BLOCK {
        uneven_rates(rate, &resets, run);
        return found;
    }
    let mut moving = resets.moving();
    run.each(|s, b| {
        if resets.overlap_within(b.lo, b.hi) {
            found.overlaps += 1;
        }
        rate_value_with(rate, s, moving.within(b), b)
    });
    found
}

/// Rates over evenly spaced samples: the windows inside of the series all have the same shape, so
/// that their factor is the same, unless a counter would fall below zero before the window starts.
fn even_rates(rate: &Rate, even: &Even, resets: &Resets, run: Run<'_>) {
    let Run { windows, samples, cancel, tally, out, .. } = run;
    let steps = windows.grid.steps;
    let inner = even.inner(steps);
    let (lo, hi) = even.at(inner.start);
    let plain = if inner.is_empty() || hi < lo + 2 { 0..0 } else { inner };
    for edge in [0..plain.start, plain.end..steps] {
        windows.visit_even(even, edge, cancel, tally, |b| {
            out.floats[b.step] = rate_value(rate, samples, resets, &b);
        });
    }
    if plain.is_empty() {
        return;
    }
    windows.count_inner(even, plain.clone(), cancel, tally);
    let bounds = |step: usize| {
        let ((lo, hi), (start, end)) = (even.at(step), windows.range_at(step));
        Bounds { step, start, end, lo, hi, h_lo: 0, h_hi: 0 }
    };
    let again =
        plain_rates(rate, &bounds(plain.start), even, samples, &mut out.floats[plain.clone()]);
    for step in again {
        let b = bounds(plain.start + step);
        out.floats[b.step] = rate_value(rate, samples, resets, &b);
    }
    let (mut done, mut moving) = (plain.start, resets.moving());
    for at in resets.within(lo, samples.floats.len()) {
        // The windows that hold both samples around the reset.
        let around = even.around(*at as usize, &plain);
        for step in around.start.max(done)..around.end {
            let b = bounds(step);
            out.floats[b.step] = rate_value_with(rate, samples, moving.within(&b), &b);
        }
        done = done.max(around.end);
    }
}

/// Rates of windows of one shape, the first of which is `b`, as if there were no reset. Hands back
/// the steps at which a counter may reach zero before the window starts.
fn plain_rates(
    rate: &Rate,
    b: &Bounds,
    even: &Even,
    samples: &Samples,
    out: &mut [f64],
) -> Vec<usize> {
    let (first_t, last_t) = (samples.timestamps[b.lo], samples.timestamps[b.hi - 1]);
    let mut shape = Shape::new(b, first_t, last_t, b.hi - b.lo - 1);
    shape.limit_start(None);
    let factor = shape.factor(rate);
    // `sampled × first ÷ change` is compared to `to_start` without dividing; what is near goes the
    // exact way.
    let reach = shape.to_start * 1.000_001;
    let may_reach = |first: f64, change: f64| {
        (change > 0.0) & (first >= 0.0) & (first * shape.sampled <= change * reach)
    };
    let mut near = false;
    let mut write = |out: &mut f64, first: f64, last: f64| {
        let change = last - first;
        near |= may_reach(first, change);
        *out = change * factor;
    };
    let (firsts, lasts) = (&samples.floats[b.lo..], &samples.floats[b.hi - 1..]);
    let stride = even.stride as usize;
    match stride {
        1 => strided::<1>(out, firsts, lasts, write),
        2 => strided::<2>(out, firsts, lasts, write),
        4 => strided::<4>(out, firsts, lasts, write),
        _ => {
            let pairs = firsts.chunks(stride).zip(lasts.chunks(stride));
            out.iter_mut().zip(pairs).for_each(|(out, (f, l))| write(out, f[0], l[0]));
        }
    }
    if !near || !rate.counter {
        return Vec::new();
    }
    let pairs = firsts.chunks(stride).zip(lasts.chunks(stride)).take(out.len()).enumerate();
    pairs.filter(|(_, (f, l))| may_reach(f[0], l[0] - f[0])).map(|(step, _)| step).collect()
}

/// Hands `write` every place of `out` with the first of as many neighbours of `N` in both lists.
#[inline(always)]
fn strided<const N: usize>(
    out: &mut [f64],
    firsts: &[f64],
    lasts: &[f64],
    mut write: impl FnMut(&mut f64, f64, f64),
) {
    let ((firsts, first), (lasts, last)) = (firsts.as_chunks::<N>(), lasts.as_chunks::<N>());
    let both = firsts.len().min(lasts.len()).min(out.len());
    let (out, rest) = out.split_at_mut(both);
    for ((out, first), last) in out.iter_mut().zip(firsts).zip(lasts) {
        write(out, first[0], last[0]);
    }
    // The last window may end with the last sample.
    let first = firsts.get(both).map_or(first, |first| &first[..]);
    let last = lasts.get(both).map_or(last, |last| &last[..]);
    if let (Some(out), Some(first), Some(last)) = (rest.first_mut(), first.first(), last.first()) {
        write(out, *first, *last);
    }
}

/// Rates of samples at any distance, [`BLOCK`] windows at a time.
fn uneven_rates(rate: &Rate, resets: &Resets, run: Run<'_>) {
    let Run { windows, samples, cancel, tally, out, .. } = run;
    let mut block = Block::new();
    let mut moving = resets.moving();
    let mut write = |block: &mut Block| {
        block.compute(rate);
        for (b, value) in block.bounds.iter().zip(&block.values).take(block.len) {
            let within = if rate.counter { moving.within(b) } else { &[] };
            let exact = is_absent(*value) || !within.is_empty();
            out.floats[b.step] =
                if exact { rate_value_with(rate, samples, within, b) } else { *value };
        }
        block.len = 0;
    };
    windows.visit(samples, cancel, tally, |b| {
        block.push(&b, samples);
        if block.len == BLOCK {
            write(&mut block);
        }
    });
    write(&mut block);
}

/// Windows whose rates are computed at once: without a branch and several in a register.
const BLOCK: usize = 64;
/// Fewer are computed one by one.
const LEAST_BLOCK: usize = 8;
/// Products below this one may have lost digits.
const LEAST_REACH: f64 = 1e-290;

/// What is needed of neighbouring windows, an array each. Only the first `len` places mean anything.
struct Block {
    len: usize,
    bounds: [Bounds; BLOCK],
    /// Distances as in [`Shape`], in milliseconds.
    to_start: [f64; BLOCK],
    to_end: [f64; BLOCK],
    sampled: [f64; BLOCK],
    gaps: [f64; BLOCK],
    first: [f64; BLOCK],
    last: [f64; BLOCK],
    /// [`ABSENT`] where a window needs a closer look.
    values: [f64; BLOCK],
}

impl Block {
    fn new() -> Block {
        let none = Bounds { step: 0, start: 0, end: 0, lo: 0, hi: 0, h_lo: 0, h_hi: 0 };
        let zeros = [0.0; BLOCK];
        Block {
            len: 0,
            bounds: [none; BLOCK],
            to_start: zeros,
            to_end: zeros,
            sampled: zeros,
            gaps: zeros,
            first: zeros,
            last: zeros,
            values: zeros,
        }
    }

    /// Takes in a window with a sample at least.
    #[inline(always)]
    fn push(&mut self, b: &Bounds, samples: &Samples) {
        let (at, last) = (self.len % BLOCK, b.hi - 1);
        let (first_t, last_t) = (samples.timestamps[b.lo], samples.timestamps[last]);
        self.bounds[at] = *b;
        self.to_start[at] = (first_t - b.start) as f64;
        self.to_end[at] = (b.end - last_t) as f64;
        self.sampled[at] = (last_t - first_t) as f64;
        self.gaps[at] = (last - b.lo) as f64;
        self.first[at] = samples.floats[b.lo];
        self.last[at] = samples.floats[last];
        self.len = at + 1;
    }

    /// Does what [`rate_value_with`] does where samples reach to both ends of a window, and a counter
    /// does not fall to zero before it; what is near to the one or the other is left to that.
    fn compute(&mut self, rate: &Rate) {
        let per = if rate.per_second { rate.range_s } else { 1.0 };
        for i in 0..self.len.min(BLOCK) {
            let sampled = self.sampled[i] / 1000.0;
            let to_start = self.to_start[i] / 1000.0;
            let to_end = self.to_end[i] / 1000.0;
            let (first, gaps) = (self.first[i], self.gaps[i]);
            let change = self.last[i] - first;
            // Below 1.1 times the mean distance, without dividing.
            let near = sampled * 1.099_999;
            let reaches = (to_start * gaps < near) & (to_end * gaps < near);
            let reach = (change * (to_start * 1.000_001)).max(LEAST_REACH);
            let stays = (change <= 0.0) | (first < 0.0) | (first * sampled > reach);
            let factor = (sampled + to_start + to_end) / sampled / per;
            let plain = reaches & (stays | !rate.counter);
            self.values[i] = if plain { change * factor } else { ABSENT };
        }
    }
}

#[cfg(test)]
mod tests {
    use model::{CancelToken, Columns};
    use proptest::prelude::*;

    use super::*;
    use crate::exec::column::Column;
    use crate::exec::grid::Grid;
    use crate::exec::tally::Tally;
    use crate::exec::window::Windows;

    fn value() -> impl Strategy<Value = f64> {
        prop_oneof![
            20 => 0.0..20.0f64,
            2 => Just(0.0),
            1 => -2000.0..0.0f64,
            1 => prop_oneof![Just(f64::NAN), Just(f64::INFINITY), Just(f64::MAX), Just(-f64::MAX)],
        ]
    }

    proptest! {
        /// Windows computed together have the bits that each has alone.
        #[test]
        fn blocks_are_windows(
            distances in prop_oneof![
                Just(vec![15_000i64; 100]),
                prop::collection::vec(14_990..15_010i64, 1..200),
                prop::collection::vec(prop_oneof![20 => 14_990..15_010i64, 1 => 1..400_000i64], 1..200),
            ],
            rises in prop::collection::vec(value(), 200),
            begin in prop_oneof![Just(0.0), Just(1e6), -10.0..10.0f64],
            start in -300_000..600_000i64,
            steps in prop_oneof![1..20i64, Just(150)],
            interval in prop_oneof![Just(15_000i64), Just(30_000), Just(60_000), 1_000..200_000i64],
            range in prop_oneof![Just(300_000i64), 1_000..400_000i64],
            function in 0..3usize,
        ) {
            let mut columns = Columns::default();
            let (mut t, mut v) = (0, begin);
            for (distance, rise) in distances.iter().zip(&rises) {
                columns.push_float(t, v);
                t += distance;
                v = if *rise < 0.0 { -rise / 100.0 } else { v + rise };
            }
            let mut samples = Samples::default();
            samples.take(&mut columns, false);
            let grid = Grid::new(start, start + steps * interval, interval).unwrap();
            let windows = Windows {
                grid, range_ms: range, offset_ms: 0, at: None, before_ms: 0, after_ms: 0, count_read: true,
            };
            let rate = Rate { counter: function != 2, per_second: function == 0, range_s: range as f64 / 1e3 };
            let (mut tally, mut out) = (Tally::default(), Column::default());
            out.reset(grid.steps);
            run(&rate, Run {
                windows: &windows,
                extent: Extent::Plain,
                params: &[],
                samples: &samples,
                cancel: &CancelToken::default(),
                tally: &mut tally,
                out: &mut out,
            });
            samples.rising = false;
            let resets = if rate.counter { Resets::find(&samples) } else { Resets::default() };
            for step in 0..grid.steps {
                let (start, end) = windows.range_at(step);
                let lo = samples.timestamps.partition_point(|t| *t <= start);
                let hi = samples.timestamps.partition_point(|t| *t <= end);
                let b = Bounds { step, start, end, lo, hi, h_lo: 0, h_hi: 0 };
                let want = if lo == hi { ABSENT } else { rate_value(&rate, &samples, &resets, &b) };
                let got = out.floats[step];
                let same = got.to_bits() == want.to_bits()
                    || got.is_nan() && want.is_nan() && is_absent(got) == is_absent(want);
                prop_assert!(same, "step {step}: {got} and {want}");
            }
        }
    }
}
