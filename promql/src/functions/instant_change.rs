//! irate and idelta: the change between the last two samples of a window.

use super::range::Run;
use super::rate::Start;
use crate::exec::column::ABSENT;
use crate::exec::samples::Samples;
use crate::exec::window::Bounds;

/// Runs over a series of floats.
pub(super) fn run(run: Run<'_>, per_second: bool) {
    let even = run.windows.even(run.samples).filter(|_| run.samples.starts.is_empty());
    let Some(even) = even else { return run.each(|s, b| instant_change(s, b, per_second)) };
    let Run { windows, samples, cancel, tally, out, .. } = run;
    let steps = windows.grid.steps;
    let inner = even.inner(steps);
    let (lo, hi) = even.at(inner.start);
    let plain = if inner.is_empty() || hi < lo + 2 { 0..0 } else { inner };
    for edge in [0..plain.start, plain.end..steps] {
        windows.visit_even(&even, edge, cancel, tally, |b| {
            out.floats[b.step] = instant_change(samples, &b, per_second);
        });
    }
    if plain.is_empty() {
        return;
    }
    windows.count_inner(&even, plain.clone(), cancel, tally);
    let seconds = (samples.timestamps[hi - 1] - samples.timestamps[hi - 2]) as f64 / 1000.0;
    // The last two samples of each window.
    let stride = even.stride as usize;
    let pairs = samples.floats[hi - 2..].windows(2).step_by(stride);
    for (out, pair) in out.floats[plain].iter_mut().zip(pairs) {
        let (prev, curr) = (pair[0], pair[1]);
        *out = if per_second {
            (if curr < prev { curr } else { curr - prev }) / seconds
        } else {
            curr - prev
        };
    }
}

/// irate and idelta: the change between the last two samples.
fn instant_change(s: &Samples, b: &Bounds, per_second: bool) -> f64 {
    if b.hi - b.lo < 2 {
        return ABSENT;
    }
    let (i, j) = (b.hi - 2, b.hi - 1);
    let distance = s.timestamps[j] - s.timestamps[i];
    if distance == 0 {
        return ABSENT;
    }
    let (prev, curr) = (s.floats[i], s.floats[j]);
    let started_anew = || {
        let at = |k: usize| Start { start: s.starts[k], t: s.timestamps[k] };
        !s.starts.is_empty() && at(i).reset_before(at(j))
    };
    if !per_second {
        return curr - prev;
    }
    let change = if curr < prev || started_anew() { curr } else { curr - prev };
    change / (distance as f64 / 1000.0)
}
