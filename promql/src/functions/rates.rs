//! Rates: rate, increase and delta over the windows of a series of floats.
//!
//! Three ways to the same bits: evenly spaced samples, whose windows have one shape; samples at any
//! distance, many windows at a time; and one window after the other where start times or what lies
//! around the range count.

use super::extended;
use super::range::{Extent, Found, Run};
use super::rate::{Rate, Resets, Shape, value as rate_value, value_with as rate_value_with};
use crate::exec::column::ABSENT;
use crate::exec::samples::Samples;
use crate::exec::window::{BLOCK, Bounds, Even};

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
    let many = run.windows.grid.steps >= LEAST_BLOCK && run.windows.are_plain();
    if run.samples.starts.is_empty() && many {
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

/// Fewer windows are computed one by one.
const LEAST_BLOCK: usize = 8;
/// Products below this one may have lost digits.
const LEAST_REACH: f64 = 1e-290;

/// Rates of samples at any distance, [`BLOCK`] windows at a time: where they lie, what is found there,
/// and the arithmetic are a loop each, the last one without branches.
fn uneven_rates(rate: &Rate, resets: &Resets, run: Run<'_>) {
    let Run { windows, samples, cancel, tally, out, .. } = run;
    let mut block = Block::new();
    windows.visit_blocks(&samples.timestamps, cancel, tally, |first, spans| {
        let bounds = |i: usize| {
            let (step, (lo, hi)) = (first + i, spans[i]);
            let (start, end) = windows.range_at(step);
            Bounds { step, start, end, lo: lo as usize, hi: hi as usize, h_lo: 0, h_hi: 0 }
        };
        let (start, end) = windows.range_at(first);
        block.fill(spans, start, end, windows.grid.interval, samples);
        let all_plain = block.compute(rate, spans.len());
        let values = &mut out.floats[first..first + spans.len()];
        values.copy_from_slice(&block.values[..spans.len()]);
        let (lo, hi) = (spans[0].0 as usize, spans[spans.len() - 1].1 as usize);
        let falls = rate.counter && !resets.within(lo, hi).is_empty();
        if all_plain && !falls {
            return;
        }
        for (i, value) in values.iter_mut().enumerate() {
            let b = bounds(i);
            let within = if falls { resets.within(b.lo, b.hi) } else { &[] };
            if !block.plain[i] || !within.is_empty() {
                *value =
                    if b.lo == b.hi { ABSENT } else { rate_value_with(rate, samples, within, &b) };
            }
        }
    });
}

/// What is needed of neighbouring windows, an array each.
struct Block {
    /// Distances as in [`Shape`], in milliseconds.
    to_start: [f64; BLOCK],
    to_end: [f64; BLOCK],
    sampled: [f64; BLOCK],
    gaps: [f64; BLOCK],
    first: [f64; BLOCK],
    last: [f64; BLOCK],
    values: [f64; BLOCK],
    /// Whether the value is the one that [`rate_value_with`] finds, resets apart.
    plain: [bool; BLOCK],
}

impl Block {
    fn new() -> Block {
        let (zeros, plain) = ([0.0; BLOCK], [false; BLOCK]);
        Block {
            to_start: zeros,
            to_end: zeros,
            sampled: zeros,
            gaps: zeros,
            first: zeros,
            last: zeros,
            values: zeros,
            plain,
        }
    }

    /// Finds the ends of windows, the first from `start` to `end` and each `interval` later than the
    /// one before.
    fn fill(
        &mut self,
        spans: &[(u32, u32)],
        mut start: i64,
        mut end: i64,
        interval: i64,
        samples: &Samples,
    ) {
        let ts = &samples.timestamps[..];
        let values = &samples.floats[..ts.len()];
        for (i, (lo, hi)) in spans.iter().take(BLOCK).enumerate() {
            let (lo, last) = (*lo as usize, (*hi as usize).wrapping_sub(1));
            // A window without samples has no length, and is not plain.
            let (mut first_t, mut last_t, mut gaps) = (0, 0, 0);
            if lo <= last && last < ts.len() {
                (first_t, last_t, gaps) = (ts[lo], ts[last], last - lo);
                (self.first[i], self.last[i]) = (values[lo], values[last]);
            }
            self.to_start[i] = first_t.wrapping_sub(start) as f64;
            self.to_end[i] = end.wrapping_sub(last_t) as f64;
            self.sampled[i] = last_t.wrapping_sub(first_t) as f64;
            self.gaps[i] = gaps as u32 as f64;
            (start, end) = (start.wrapping_add(interval), end.wrapping_add(interval));
        }
    }

    /// Does what [`rate_value_with`] does where samples reach to both ends of a window, and a counter
    /// does not fall to zero before it; what is near to the one or the other is left to that. Whether
    /// there is no such among the first `n`.
    fn compute(&mut self, rate: &Rate, n: usize) -> bool {
        let per = if rate.per_second { rate.range_s } else { 1.0 };
        for i in 0..n.min(BLOCK) {
            let sampled = self.sampled[i] / 1000.0;
            let to_start = self.to_start[i] / 1000.0;
            let to_end = self.to_end[i] / 1000.0;
            let factor = (sampled + to_start + to_end) / sampled / per;
            self.values[i] = (self.last[i] - self.first[i]) * factor;
        }
        let mut all = true;
        for i in 0..n.min(BLOCK) {
            let (sampled, to_start) = (self.sampled[i], self.to_start[i]);
            // Below 1.1 times the mean distance, without dividing.
            let near = sampled * 1.099_999;
            let gaps = self.gaps[i];
            let reaches = (to_start * gaps < near) & (self.to_end[i] * gaps < near);
            let first = self.first[i];
            let change = self.last[i] - first;
            let reach = change * (to_start * 1.000_001);
            let above = (first * sampled > reach) & (reach > LEAST_REACH);
            let stays = (change <= 0.0) | (first < 0.0) | above;
            let plain = reaches & (stays | !rate.counter);
            self.plain[i] = plain;
            all &= plain;
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use model::{CancelToken, Columns};
    use proptest::prelude::*;

    use super::*;
    use crate::exec::column::{Column, is_absent};
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
