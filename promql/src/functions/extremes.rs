//! Extremes: the highest or lowest value of windows that move along a series.
//!
//! A window is gone through in blocks, several values at a time, and long windows by what was found
//! for whole blocks: no step depends on the one before, so uneven windows cost the same.

/// Values a block stands for.
const BLOCK: usize = 16;
/// Values compared side by side.
const LANES: usize = 8;

/// A series of which extremes are wanted.
pub(crate) struct Extremes<'a, F> {
    values: &'a [f64],
    /// Extremes of whole blocks; empty when windows are short.
    blocks: Vec<f64>,
    better: F,
}

/// Whether the order in which values are compared shows in the result: NaN has no order, and of
/// two zeros the first is taken.
pub(crate) fn depends_on_order(values: &[f64]) -> bool {
    const MINUS_ZERO: u64 = 1 << 63;
    values.iter().fold(false, |any, v| any | v.is_nan() | (v.to_bits() == MINUS_ZERO))
}

impl<'a, F: Fn(f64, f64) -> bool + Copy> Extremes<'a, F> {
    /// Extremes of `values`, in windows that are mostly `width` long. `better` compares.
    pub(crate) fn new(values: &'a [f64], width: usize, better: F) -> Extremes<'a, F> {
        let mut blocks = Vec::new();
        if width > 4 * BLOCK {
            blocks.extend(values.chunks_exact(BLOCK).map(|block| fold(block[0], block, better)));
        }
        Extremes { values, blocks, better }
    }

    /// The extreme of the samples `lo..hi`, which are some.
    pub(crate) fn of(&self, lo: usize, hi: usize) -> f64 {
        let first = self.values[lo];
        let (from, to) = (lo.div_ceil(BLOCK), (hi / BLOCK).min(self.blocks.len()));
        if from >= to {
            return fold(first, &self.values[lo..hi], self.better);
        }
        let edge = fold(first, &self.values[lo..from * BLOCK], self.better);
        let whole = fold(edge, &self.blocks[from..to], self.better);
        fold(whole, &self.values[to * BLOCK..hi], self.better)
    }
}

/// The best of `start` and `values`.
#[inline(always)]
fn fold(start: f64, values: &[f64], better: impl Fn(f64, f64) -> bool) -> f64 {
    let pick = |best: f64, v: f64| if better(v, best) { v } else { best };
    let mut lanes = [start; LANES];
    let chunks = values.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (best, v) in lanes.iter_mut().zip(chunk) {
            *best = pick(*best, *v);
        }
    }
    let best = lanes.into_iter().fold(start, pick);
    rest.iter().fold(best, |best, v| pick(best, *v))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_window(
            values in prop::collection::vec(-50.0..50.0f64, 1..300),
            width in 1..300usize,
            lo in 0..300usize,
            hi in 0..300usize,
        ) {
            let (lo, hi) = (lo.min(values.len() - 1), hi.min(values.len()));
            prop_assume!(lo < hi);
            let highest = Extremes::new(&values, width, |new, best| new > best).of(lo, hi);
            let lowest = Extremes::new(&values, width, |new, best| new < best).of(lo, hi);
            prop_assert_eq!(highest, values[lo..hi].iter().copied().fold(f64::MIN, f64::max));
            prop_assert_eq!(lowest, values[lo..hi].iter().copied().fold(f64::MAX, f64::min));
        }
    }
}
