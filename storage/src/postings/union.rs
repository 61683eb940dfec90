//! Union of many lists: gathered into one array, then put in order in the cheapest way its shape
//! allows.

use roaring::RoaringBitmap;

use super::set::Postings;

/// Fewer runs than this are merged by the standard sort, which finds the runs itself.
const FEW_RUNS: usize = 8;
/// Results from about this many ids on stay a bitmap.
const LARGE: usize = 1 << 16;
/// A bit set may hold up to this many 64-bit words for each gathered id.
const WORDS_PER_ID: usize = 1;

/// The union of the ascending runs that lie one after the other in `gathered`; `runs` of them.
pub fn union(mut gathered: Vec<u32>, runs: usize) -> Postings {
    if gathered.is_sorted_by(|a, b| a < b) {
        return Postings::List(gathered);
    }
    // Whole words from 0 on, as a bitmap wants them.
    let lowest = gathered.iter().copied().min().unwrap_or(0) & !63;
    let highest = gathered.iter().copied().max().unwrap_or(0);
    let words = (highest - lowest) as usize / 64 + 1;
    if runs < FEW_RUNS || words > gathered.len().saturating_mul(WORDS_PER_ID) {
        gathered.sort();
        gathered.dedup();
        return Postings::List(gathered);
    }
    // Dense enough: set bits, then read them back in order. The id array is reused, as there are
    // never more distinct ids than gathered ones.
    let mut bits = vec![0u64; words];
    for id in &gathered {
        let at = id - lowest;
        bits[(at / 64) as usize] |= 1 << (at % 64);
    }
    if gathered.len() >= LARGE {
        let bytes: Vec<u8> = bits.iter().flat_map(|word| word.to_le_bytes()).collect();
        return Postings::Bitmap(RoaringBitmap::from_lsb0_bytes(lowest, &bytes));
    }
    gathered.clear();
    for (i, word) in bits.into_iter().enumerate() {
        let mut rest = word;
        while rest != 0 {
            gathered.push(lowest + (i as u32) * 64 + rest.trailing_zeros());
            rest &= rest - 1;
        }
    }
    Postings::List(gathered)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn unites_like_sets(
            lists in proptest::collection::vec(
                proptest::collection::btree_set(
                    prop_oneof![0u32..500, 4_000_000_000u32..=u32::MAX], 0..60), 0..20)
        ) {
            let want: BTreeSet<u32> = lists.iter().flatten().copied().collect();
            let gathered: Vec<u32> = lists.iter().flatten().copied().collect();
            let got = union(gathered, lists.len()).into_vec();
            prop_assert_eq!(got, want.into_iter().collect::<Vec<_>>());
        }
    }

    #[test]
    fn dense_runs_use_the_bit_set() {
        let gathered: Vec<u32> =
            (0..20).flat_map(|r| (0..100).map(move |i| i * 20 + r + 7)).collect();
        assert_eq!(union(gathered, 20).into_vec(), (7..2007).collect::<Vec<u32>>());
    }

    #[test]
    fn large_ones_stay_bitmaps() {
        let top = u32::MAX - 140_000;
        let gathered: Vec<u32> =
            (0..10).flat_map(|r| (0..14_000).map(move |i| top + i * 10 + r)).collect();
        let got = union(gathered, 10);
        assert!(matches!(got, Postings::Bitmap(_)));
        assert_eq!(got.into_vec(), (top..top + 140_000).collect::<Vec<u32>>());
    }
}
