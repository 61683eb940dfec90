//! sum_over_time and avg_over_time over the windows of a series of floats.

use super::over_time;
use super::range::Run;
use crate::exec::column::ABSENT;
use crate::exec::window::SAMPLES_A_QUESTION;

/// Windows folded side by side.
const LANES: usize = 8;

/// sum_over_time and avg_over_time: evenly spaced samples have windows of one length, so that
/// several can be summed at once; each is still summed in order of its samples.
pub(super) fn run(run: Run<'_>, mean: bool) {
    let fold = |vs: &[f64]| if mean { over_time::avg(vs) } else { over_time::sum(vs) };
    let Some(even) = run.windows.even(run.samples) else { return run.fold(fold) };
    let Run { windows, samples, cancel, tally, out, .. } = run;
    let steps = windows.grid.steps;
    let inner = even.inner(steps);
    for edge in [0..inner.start, inner.end..steps] {
        windows.visit_even(&even, edge, cancel, tally, |b| {
            out.floats[b.step] = fold(&samples.floats[b.lo..b.hi]);
        });
    }
    if inner.is_empty() {
        return;
    }
    windows.count_inner(&even, inner.clone(), cancel, tally);
    let (mut step, mut looked) = (inner.start, 0);
    while step < inner.end {
        let (lo, hi) = even.at(step);
        looked += (hi - lo) * LANES;
        if looked > SAMPLES_A_QUESTION {
            if cancel.reason().is_some() {
                return;
            }
            looked = 0;
        }
        let values = &mut out.floats[step..inner.end.min(step + LANES)];
        let summed = values.len() == LANES
            && lanes(&samples.floats[lo..], hi - lo, even.stride as usize, mean, values);
        if !summed {
            for (lane, value) in values.iter_mut().enumerate() {
                let (lo, hi) = even.at(step + lane);
                // An empty window (a range shorter than the distance) has no value.
                *value = if lo < hi { fold(&samples.floats[lo..hi]) } else { ABSENT };
            }
        }
        step += LANES;
    }
}

/// Sums or means of [`LANES`] windows of `n` values, `stride` apart; `false` when one of them went
/// to infinity or is not a number.
fn lanes(values: &[f64], n: usize, stride: usize, mean: bool, out: &mut [f64]) -> bool {
    let (mut sums, mut lost) = ([0.0; LANES], [0.0; LANES]);
    if n == 0 || values.len() < (LANES - 1) * stride + n {
        return false;
    }
    for at in 0..n {
        let mut next = [0.0; LANES];
        for (lane, v) in next.iter_mut().enumerate() {
            *v = values[lane * stride + at];
        }
        if at == 0 && mean {
            sums = next;
            continue;
        }
        for lane in 0..LANES {
            let (s, v) = (sums[lane], next[lane]);
            let t = s + v;
            let (large, small) = if s.abs() >= v.abs() { (s, v) } else { (v, s) };
            lost[lane] += (large - t) + small;
            sums[lane] = t;
        }
    }
    if sums.iter().any(|s| !s.is_finite()) {
        return false;
    }
    let count = n as f64;
    for ((out, sum), lost) in out.iter_mut().zip(&sums).zip(&lost) {
        *out = if mean { sum / count + lost / count } else { sum + lost };
    }
    true
}
