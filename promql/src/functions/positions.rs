//! changes and resets: how many samples of a window differ from the one before.

use super::extended;
use super::range::{Extent, Run};
use super::rate::Resets;
use crate::exec::column::ABSENT;
use crate::exec::samples::Samples;
use crate::exec::window::Bounds;

/// Indices of samples that differ from the one before, as `differs` says.
pub(super) fn positions(values: &[f64], differs: impl Fn(f64, f64) -> bool) -> Vec<u32> {
    let pairs = values.windows(2).enumerate();
    pairs.filter(|(_, p)| differs(p[0], p[1])).map(|(i, _)| i as u32 + 1).collect()
}

/// First sample of a window that counts, if any does.
fn first_counted(s: &Samples, b: &Bounds, extent: Extent) -> Option<usize> {
    if extent != Extent::Anchored {
        return Some(b.lo);
    }
    extended::anchor(&s.timestamps[b.lo..b.hi], b.start).map(|i| b.lo + i)
}

/// changes: how many of `positions` lie in each window.
pub(super) fn count_positions(run: Run<'_>, positions: &[u32]) {
    let extent = run.extent;
    run.each(|s, b| match first_counted(s, b, extent) {
        None => ABSENT,
        Some(first) => {
            let from = positions.partition_point(|i| (*i as usize) <= first);
            let to = positions.partition_point(|i| (*i as usize) < b.hi);
            to.saturating_sub(from) as f64
        }
    });
}

/// resets of each window.
pub(super) fn resets_in_windows(run: Run<'_>, resets: &Resets) {
    let extent = run.extent;
    run.each(|s, b| match first_counted(s, b, extent) {
        None => ABSENT,
        Some(first) => resets.within(first, b.hi).len() as f64,
    });
}
