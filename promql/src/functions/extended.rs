//! anchored and smoothed ranges: change between values at (or interpolated to) the range's edges.

use super::quantile::search;
use super::rate::Rate;
use crate::exec::column::ABSENT;
use crate::exec::samples::Samples;
use crate::exec::window::Bounds;

/// Value at `t` on the line between two samples.
pub(crate) fn interpolate(t1: i64, v1: f64, t2: i64, v2: f64, t: i64, counter: bool) -> f64 {
    let v1 = if counter && v2 < v1 { 0.0 } else { v1 };
    v1 + (v2 - v1) * (t - t1) as f64 / (t2 - t1) as f64
}

/// First and last sample that matter for a range.
#[derive(Clone, Copy, Debug)]
struct Edges {
    first: usize,
    last: usize,
}

fn edges(ts: &[i64], start: i64, end: i64, smoothed: bool) -> Option<Edges> {
    let mut last = ts.len() - 1;
    let first = search(last, |i| ts[i] > start).saturating_sub(1);
    if smoothed {
        last = search(last, |i| ts[i] >= end);
    }
    if ts[last] <= start { None } else { Some(Edges { first, last }) }
}

fn left(ts: &[i64], vs: &[f64], e: Edges, start: i64, smoothed: bool, counter: bool) -> f64 {
    let i = e.first;
    if smoothed && ts[i] < start && i + 1 < ts.len() {
        return interpolate(ts[i], vs[i], ts[i + 1], vs[i + 1], start, counter);
    }
    vs[i]
}

fn right(ts: &[i64], vs: &[f64], e: Edges, end: i64, smoothed: bool, counter: bool) -> f64 {
    let i = e.last;
    if smoothed && i > 0 && ts[i] > end {
        return interpolate(ts[i - 1], vs[i - 1], ts[i], vs[i], end, counter);
    }
    vs[i]
}

/// rate, increase or delta of a window; its samples reach beyond the range by the lookback.
pub(crate) fn value(rate: &Rate, smoothed: bool, samples: &Samples, b: &Bounds) -> f64 {
    let (ts, vs) = (&samples.timestamps[b.lo..b.hi], &samples.floats[b.lo..b.hi]);
    if ts.is_empty() {
        return ABSENT;
    }
    let Some(e) = edges(ts, b.start, b.end, smoothed) else { return ABSENT };
    if smoothed && ts[e.first] > b.end {
        return ABSENT;
    }
    let l = left(ts, vs, e, b.start, smoothed, rate.counter);
    let r = right(ts, vs, e, b.end, smoothed, rate.counter);
    let mut result = r - l;
    if rate.counter {
        // Resets at the edges are dealt with by the interpolation.
        let first = if ts[e.first] <= b.start { e.first + 1 } else { e.first };
        let past = if ts[e.last] >= b.end { e.last } else { e.last + 1 };
        let (mut prev, mut correction) = (l, 0.0);
        for v in vs.get(first..past).unwrap_or(&[]) {
            if *v < prev {
                correction += prev;
            }
            prev = *v;
        }
        if r < prev {
            correction += prev;
        }
        result += correction;
    }
    if rate.per_second {
        result /= rate.range_s;
    }
    result
}

/// The samples an extended range selector shows: those inside, with one on either edge.
pub(crate) fn points(samples: &Samples, start: i64, end: i64, smoothed: bool) -> Vec<(i64, f64)> {
    let (ts, vs) = (&samples.timestamps[..], &samples.floats[..]);
    if ts.is_empty() {
        return Vec::new();
    }
    let Some(e) = edges(ts, start, end, smoothed) else { return Vec::new() };
    let mut out = vec![(start, left(ts, vs, e, start, smoothed, false))];
    let first = if ts[e.first] <= start { e.first + 1 } else { e.first };
    let past = if ts[e.last] >= end { e.last } else { e.last + 1 };
    for i in first..past.max(first) {
        out.push((ts[i], vs[i]));
    }
    out.push((end, right(ts, vs, e, end, smoothed, false)));
    out
}

/// For functions that go through an anchored range sample by sample: the index of the first
/// sample that counts, which is the newest at or before the start of the range. `None` when no
/// sample lies inside the range.
pub(crate) fn anchor(times: &[i64], start: i64) -> Option<usize> {
    let before = search(times.len(), |i| times[i] > start);
    if before >= times.len() { None } else { Some(before.saturating_sub(1)) }
}
