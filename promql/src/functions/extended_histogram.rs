//! anchored and smoothed ranges of native histograms.

use std::sync::Arc;

use model::{CounterResetHint, FloatHistogram};

use super::mixed::{Answer, Met};
use super::quantile::search;
use super::rate::Rate;
use crate::exec::column::SharedHistogram;
use crate::exec::notes::HistogramOperation;
use crate::exec::samples::HistogramSample;
use crate::exec::window::Bounds;

/// The histogram at `t` between two samples. `None` when they do not go together.
pub(crate) fn interpolate(
    a: &HistogramSample,
    b: &HistogramSample,
    t: i64,
    counter: bool,
    met: &mut Met,
) -> Option<FloatHistogram> {
    if t == a.t {
        return Some((*a.h).clone());
    }
    let mut out = (*b.h).clone();
    if t == b.t {
        return Some(out);
    }
    let fraction = (t - a.t) as f64 / (b.t - a.t) as f64;
    if counter && b.h.detect_reset(&a.h) {
        out.scale(fraction);
        return Some(out);
    }
    let result = out.sub(&a.h);
    met.combined(result, HistogramOperation::Sub)?;
    out.scale(fraction);
    let result = out.add(&a.h);
    met.combined(result, HistogramOperation::Add)?;
    Some(out)
}

/// rate, increase or delta of a window; its samples reach beyond the range by the lookback.
pub(crate) fn rate(
    rate: &Rate,
    smoothed: bool,
    hs: &[HistogramSample],
    b: &Bounds,
    met: &mut Met,
) -> Answer {
    match change(rate, smoothed, hs, b, met) {
        Some(h) => Answer::Histogram(Arc::new(h)),
        None => Answer::Nothing,
    }
}

fn change(
    rate: &Rate,
    smoothed: bool,
    hs: &[HistogramSample],
    b: &Bounds,
    met: &mut Met,
) -> Option<FloatHistogram> {
    let mut last = hs.len().checked_sub(1)?;
    let first = search(last, |i| hs[i].t > b.start).saturating_sub(1);
    if smoothed {
        last = search(last, |i| hs[i].t >= b.end);
    }
    if hs[last].t <= b.start || smoothed && hs[first].t > b.end {
        return None;
    }
    let inside = &hs[first..=last.max(first)];
    let custom = inside[0].h.uses_custom_buckets();
    for s in inside {
        if s.h.uses_custom_buckets() != custom {
            met.exponential_custom = true;
            return None;
        }
        met.not_counter |= rate.counter && s.h.counter_reset_hint == CounterResetHint::Gauge;
    }
    let left = match hs.get(first + 1) {
        Some(next) if smoothed && hs[first].t < b.start => {
            interpolate(&hs[first], next, b.start, rate.counter, met)?
        }
        _ => (*hs[first].h).clone(),
    };
    let right = if smoothed && last > 0 && hs[last].t > b.end {
        interpolate(&hs[last - 1], &hs[last], b.end, rate.counter, met)?
    } else {
        (*hs[last].h).clone()
    };
    let gauges = [&left, &right].map(|h| h.counter_reset_hint == CounterResetHint::Gauge);
    met.not_gauge |= !(rate.counter || gauges[0] && gauges[1]);
    let mut out = right.clone();
    let result = out.sub(&left);
    met.combined(result, HistogramOperation::Sub)?;
    if rate.counter {
        let spanned = smoothed && hs[first].t < b.start;
        if let Some(correction) = resets(hs, first, last, (left, right), spanned, met)? {
            let added = out.add(&correction);
            met.combined(added, HistogramOperation::Add)?;
        }
    }
    if rate.per_second {
        out.divide(rate.range_s);
    }
    out.counter_reset_hint = CounterResetHint::Gauge;
    out.compact();
    Some(out)
}

/// What counter resets between the edges took away. `spanned`: the left edge was interpolated, so
/// a reset right there is dealt with. The outer `None` is a failure.
fn resets(
    hs: &[HistogramSample],
    first: usize,
    last: usize,
    (left, right): (FloatHistogram, FloatHistogram),
    spanned: bool,
    met: &mut Met,
) -> Option<Option<FloatHistogram>> {
    let mut next = first + 1;
    let mut prev: SharedHistogram = Arc::new(left);
    if spanned
        && let Some(after) = hs.get(next)
        && after.h.detect_reset(&hs[first].h)
    {
        prev = after.h.clone();
        next += 1;
    }
    // The last sample is the right edge, or what it was interpolated from; it is compared below.
    if next > last {
        return Some(None);
    }
    let mut correction: Option<FloatHistogram> = None;
    let mut correct = |by: &FloatHistogram, met: &mut Met| match &mut correction {
        None => {
            correction = Some(by.clone());
            Some(())
        }
        Some(sum) => {
            let added = sum.add(by);
            met.combined(added, HistogramOperation::Add)
        }
    };
    for s in &hs[next..last] {
        if s.h.detect_reset(&prev) {
            correct(&prev, met)?;
        }
        prev = s.h.clone();
    }
    if right.detect_reset(&prev) {
        correct(&prev, met)?;
    }
    Some(correction)
}
