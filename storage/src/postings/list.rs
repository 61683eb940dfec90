//! Operations on sorted, duplicate-free id lists. They work in place on a `Vec<u32>` and read the
//! other side where it lies, so a list of a block index is never copied to be intersected.

/// Random access to ascending, distinct ids.
pub trait SortedIds: Copy {
    /// Number of ids.
    fn len(self) -> usize;

    /// The id at `i`, which must be below `len`.
    fn at(self, i: usize) -> u32;

    /// Whether there is no id.
    fn is_empty(self) -> bool {
        self.len() == 0
    }
}

impl SortedIds for &[u32] {
    #[inline]
    fn len(self) -> usize {
        <[u32]>::len(self)
    }

    #[inline]
    fn at(self, i: usize) -> u32 {
        self[i]
    }
}

/// Ids as a block index holds them: four bytes each, big-endian. Trailing bytes are ignored.
#[derive(Clone, Copy, Debug)]
pub struct BigEndian<'a>(&'a [[u8; 4]]);

impl<'a> BigEndian<'a> {
    /// A view of the ids in `bytes`.
    pub fn new(bytes: &'a [u8]) -> BigEndian<'a> {
        BigEndian(bytes.as_chunks().0)
    }

    /// The lowest id.
    pub fn first(self) -> Option<u32> {
        self.0.first().map(|b| u32::from_be_bytes(*b))
    }

    /// The highest id.
    pub fn last(self) -> Option<u32> {
        self.0.last().map(|b| u32::from_be_bytes(*b))
    }

    /// First position whose id is not below `id`.
    pub fn position(self, id: u32) -> usize {
        self.0.partition_point(|b| u32::from_be_bytes(*b) < id)
    }

    /// First position whose id is above `id`.
    pub fn position_after(self, id: u32) -> usize {
        self.0.partition_point(|b| u32::from_be_bytes(*b) <= id)
    }

    /// The ids at positions from `from` up to, not including, `to`.
    pub fn slice(self, from: usize, to: usize) -> BigEndian<'a> {
        BigEndian(self.0.get(from..to).unwrap_or_default())
    }

    /// The ids in order.
    pub fn iter(self) -> impl ExactSizeIterator<Item = u32> + Clone + 'a {
        self.0.iter().map(|b| u32::from_be_bytes(*b))
    }
}

impl SortedIds for BigEndian<'_> {
    #[inline]
    fn len(self) -> usize {
        self.0.len()
    }

    #[inline]
    fn at(self, i: usize) -> u32 {
        u32::from_be_bytes(self.0[i])
    }
}

/// From this ratio of lengths on, jumping through the longer list beats walking it.
const GALLOP_RATIO: usize = 12;

/// First position at or after `from` whose id is not below `id`: doubling steps, then bisection,
/// so a run of near hits costs little and a far one only its logarithm.
#[inline]
fn seek(list: impl SortedIds, from: usize, id: u32) -> usize {
    let len = list.len();
    let mut low = from;
    let mut step = 1;
    while low + step < len && list.at(low + step) < id {
        low += step;
        step *= 2;
    }
    let mut high = (low + step).min(len);
    while low < high {
        let mid = low + (high - low) / 2;
        if list.at(mid) < id {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    low
}

/// Keeps of `ids` what is also in `other`.
pub fn intersect(ids: &mut Vec<u32>, other: impl SortedIds) {
    if other.len() / GALLOP_RATIO >= ids.len() {
        let mut at = 0;
        ids.retain(|id| {
            at = seek(other, at, *id);
            at < other.len() && other.at(at) == *id
        });
    } else if ids.len() / GALLOP_RATIO >= other.len() {
        let mut kept = 0;
        let mut from = 0;
        for i in 0..other.len() {
            let id = other.at(i);
            from = seek(ids.as_slice(), from, id);
            if from < ids.len() && ids[from] == id {
                ids[kept] = id;
                kept += 1;
            }
        }
        ids.truncate(kept);
    } else {
        intersect_merge(ids, other);
    }
}

/// The merge keeps its branches out of the way of the predictor: both cursors and the write
/// position advance by comparisons used as numbers.
fn intersect_merge(ids: &mut Vec<u32>, other: impl SortedIds) {
    let (mut i, mut j, mut kept) = (0, 0, 0);
    while i < ids.len() && j < other.len() {
        let (a, b) = (ids[i], other.at(j));
        ids[kept] = a;
        kept += usize::from(a == b);
        i += usize::from(a <= b);
        j += usize::from(b <= a);
    }
    ids.truncate(kept);
}

/// Removes from `ids` what is in `other`.
pub fn subtract(ids: &mut Vec<u32>, other: impl SortedIds) {
    let mut at = 0;
    if other.len() / GALLOP_RATIO >= ids.len() {
        ids.retain(|id| {
            at = seek(other, at, *id);
            at >= other.len() || other.at(at) != *id
        });
    } else {
        ids.retain(|id| {
            while at < other.len() && other.at(at) < *id {
                at += 1;
            }
            at >= other.len() || other.at(at) != *id
        });
    }
}

/// Whether the two lists share an id.
pub fn intersects(a: impl SortedIds, b: impl SortedIds) -> bool {
    let (mut i, mut j) = (0, 0);
    while i < a.len() && j < b.len() {
        let (x, y) = (a.at(i), b.at(j));
        if x == y {
            return true;
        }
        if x < y {
            i = seek(a, i, y);
        } else {
            j = seek(b, j, x);
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn ids() -> impl Strategy<Value = BTreeSet<u32>> {
        prop_oneof![
            proptest::collection::btree_set(0u32..64, 0..40),
            proptest::collection::btree_set(0u32..2000, 0..400),
            proptest::collection::btree_set(any::<u32>(), 0..6),
        ]
    }

    fn bytes(set: &BTreeSet<u32>) -> Vec<u8> {
        set.iter().flat_map(|id| id.to_be_bytes()).collect()
    }

    proptest! {
        #[test]
        fn lists_behave_like_sets(a in ids(), b in ids()) {
            let (mapped, plain) = (bytes(&b), b.iter().copied().collect::<Vec<u32>>());
            let start: Vec<u32> = a.iter().copied().collect();
            let both: Vec<u32> = a.intersection(&b).copied().collect();
            let only: Vec<u32> = a.difference(&b).copied().collect();

            let mut got = start.clone();
            intersect(&mut got, BigEndian::new(&mapped));
            prop_assert_eq!(&got, &both);
            let mut got = start.clone();
            intersect(&mut got, plain.as_slice());
            prop_assert_eq!(&got, &both);
            let mut got = start.clone();
            subtract(&mut got, BigEndian::new(&mapped));
            prop_assert_eq!(&got, &only);
            prop_assert_eq!(intersects(start.as_slice(), BigEndian::new(&mapped)), !both.is_empty());
        }
    }
}
