//! Ranks: the values of a series put in order once, so that quantiles of windows that move along it
//! need no sorting of their own.
//!
//! A window is a set of ranks: a bit each, counted by words and by blocks of words. A sample enters
//! or leaves in constant time, and the k-th value is found by going along the counts.

use super::quantile::Position;

/// Words a block of counts stands for.
const BLOCK_WORDS: usize = 16;
/// Most bits of a digit the values are sorted by.
const DIGIT_BITS: u32 = 11;

/// The values of a series in order, and which of them a window holds.
#[derive(Debug, Default)]
pub(crate) struct Ranks {
    /// Rank of each sample.
    ranks: Vec<u32>,
    /// Values by rank.
    ordered: Vec<f64>,
    /// Ranks inside of the window.
    words: Vec<u64>,
    word_counts: Vec<u8>,
    block_counts: Vec<u16>,
    lo: usize,
    hi: usize,
}

/// A number that grows with the value; NaN comes first, zeros are equal.
fn key(v: f64) -> u64 {
    const SIGN: u64 = 1 << 63;
    if v.is_nan() {
        return 0;
    }
    // Makes zero of minus zero.
    let bits = (v + 0.0).to_bits();
    if bits & SIGN == 0 { bits | SIGN } else { !bits }
}

/// Samples in order of their values, by digits from the lowest up.
fn sorted(values: &[f64]) -> Vec<u32> {
    let mut from: Vec<(u64, u32)> =
        values.iter().enumerate().map(|(i, v)| (key(*v), i as u32)).collect();
    let Some((first, _)) = from.first().copied() else { return Vec::new() };
    let differ = from.iter().fold(0, |bits, (k, _)| bits | (k ^ first));
    if differ != 0 {
        let low = differ.trailing_zeros();
        let width = 64 - differ.leading_zeros() - low;
        let digits = width.div_ceil(DIGIT_BITS);
        let bits = width.div_ceil(digits);
        let mut to = vec![(0, 0); from.len()];
        for digit in 0..digits {
            let at = |k: u64| (k >> (low + digit * bits)) as usize & ((1 << bits) - 1);
            let mut starts = [0u32; 1 << DIGIT_BITS];
            from.iter().for_each(|(k, _)| starts[at(*k)] += 1);
            let mut next = 0;
            for start in &mut starts[..1 << bits] {
                next += std::mem::replace(start, next);
            }
            for entry in &from {
                let start = &mut starts[at(entry.0)];
                to[*start as usize] = *entry;
                *start += 1;
            }
            std::mem::swap(&mut from, &mut to);
        }
    }
    from.into_iter().map(|(_, i)| i).collect()
}

impl Ranks {
    /// The ranks of `values`, with an empty window.
    pub(crate) fn new(values: &[f64]) -> Ranks {
        let order = sorted(values);
        let mut ranks = vec![0; values.len()];
        let mut ordered = Vec::with_capacity(values.len());
        for (rank, i) in order.iter().enumerate() {
            ranks[*i as usize] = rank as u32;
            ordered.push(values[*i as usize]);
        }
        let words = values.len().div_ceil(64);
        Ranks {
            ranks,
            ordered,
            words: vec![0; words],
            word_counts: vec![0; words],
            block_counts: vec![0; words.div_ceil(BLOCK_WORDS)],
            lo: 0,
            hi: 0,
        }
    }

    /// Moves the window to the samples `lo..hi`; neither bound goes back.
    pub(crate) fn slide(&mut self, lo: usize, hi: usize) {
        if lo >= self.hi {
            self.change(self.lo..self.hi);
            self.change(lo..hi);
        } else {
            self.change(self.lo..lo);
            self.change(self.hi..hi);
        }
        (self.lo, self.hi) = (lo, hi);
    }

    /// Puts in the samples that are outside, takes out those that are inside: all of them are one
    /// or the other.
    fn change(&mut self, samples: std::ops::Range<usize>) {
        for rank in &self.ranks[samples] {
            let (at, bit) = (*rank as usize / 64, 1 << (rank % 64));
            let word = &mut self.words[at];
            *word ^= bit;
            let entered = *word & bit != 0;
            let more = if entered { 1u16 } else { u16::MAX };
            let count = &mut self.word_counts[at];
            *count = count.wrapping_add(more as u8);
            let count = &mut self.block_counts[at / BLOCK_WORDS];
            *count = count.wrapping_add(more);
        }
    }

    /// The φ-quantile of the window.
    pub(crate) fn quantile(&self, q: f64) -> f64 {
        let n = self.hi - self.lo;
        let position = match Position::of(q, n) {
            Ok(position) => position,
            Err(value) => return value,
        };
        let (low, high) = self.neighbours(position.lower);
        position.between(low, high)
    }

    /// The values at place `k` of the window in order and behind it; the last one twice.
    fn neighbours(&self, k: usize) -> (f64, f64) {
        let (mut left, mut block) = (k, 0);
        while let Some(count) = self.block_counts.get(block).map(|n| usize::from(*n))
            && left >= count
        {
            left -= count;
            block += 1;
        }
        let mut at = block * BLOCK_WORDS;
        while let Some(count) = self.word_counts.get(at).map(|n| usize::from(*n))
            && left >= count
        {
            left -= count;
            at += 1;
        }
        let Some(mut word) = self.words.get(at).copied() else { return (f64::NAN, f64::NAN) };
        for _ in 0..left {
            word &= word.wrapping_sub(1);
        }
        let value = |at: usize, word: u64| self.ordered[at * 64 + word.trailing_zeros() as usize];
        let low = value(at, word);
        word &= word - 1;
        if k + 1 >= self.hi - self.lo {
            return (low, low);
        }
        while word == 0 {
            at += 1;
            match self.words.get(at) {
                Some(next) => word = *next,
                None => return (low, low),
            }
        }
        (low, value(at, word))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::functions::quantile::of_values;

    fn value() -> impl Strategy<Value = f64> {
        prop_oneof![
            6 => any::<f64>(),
            4 => (-20..20i32).prop_map(f64::from),
            1 => prop_oneof![Just(f64::NAN), Just(f64::INFINITY), Just(-f64::INFINITY)],
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100))]

        #[test]
        fn windows_have_the_quantiles_of_their_values(
            values in prop::collection::vec(value(), 1..400),
            moves in prop::collection::vec((0..60usize, 0..60usize), 1..40),
            q in -0.1..1.1f64,
        ) {
            let mut ranks = Ranks::new(&values);
            let (mut lo, mut hi) = (0, 0);
            for (more_lo, more_hi) in moves {
                hi = (hi + more_hi).min(values.len());
                lo = (lo + more_lo).min(hi);
                if lo == hi {
                    continue;
                }
                ranks.slide(lo, hi);
                let (got, want) = (ranks.quantile(q), of_values(q, &mut values[lo..hi].to_vec()));
                // Which of two zeros comes first is not settled.
                let same = got == want || got.is_nan() && want.is_nan();
                prop_assert!(same, "{lo}..{hi}: {got}, not {want}");
            }
        }
    }
}
