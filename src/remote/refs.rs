//! RefCache: which series the bytes of a sender's labels name, so that a known series is neither
//! parsed nor looked up by label.
//!
//! Keys are 128-bit hashes with a secret seed, of label bytes as they came: two orders of the same
//! labels are two entries. A series only gets in once the batch that made it is committed, for the
//! reference of a rolled-back series may be given to another. Two generations: what no sender named
//! for an hour or two is forgotten, so churn does not grow it.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher};
use std::sync::{RwLock, RwLockReadGuard};

use model::SeriesRef;
use xxhash_rust::xxh3::xxh3_128_with_seed;

/// A generation lasts this long, in milliseconds.
const GENERATION_MS: i64 = 3_600_000;

/// The hash of a label set as sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LabelKey(u128);

/// Keys are hashes already.
#[derive(Clone, Copy, Debug, Default)]
struct AsIs;

#[derive(Debug, Default)]
struct AsIsHasher(u64);

impl Hasher for AsIsHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |h, b| h.rotate_left(8) ^ u64::from(*b));
    }

    fn write_u128(&mut self, key: u128) {
        self.0 = key as u64;
    }
}

impl BuildHasher for AsIs {
    type Hasher = AsIsHasher;

    fn build_hasher(&self) -> AsIsHasher {
        AsIsHasher::default()
    }
}

impl std::hash::Hash for LabelKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u128(self.0);
    }
}

/// The two generations.
#[derive(Debug, Default)]
pub struct Generations {
    young: HashMap<LabelKey, SeriesRef, AsIs>,
    old: HashMap<LabelKey, SeriesRef, AsIs>,
    /// When the young generation began.
    since_ms: i64,
}

/// What is known of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    Young(SeriesRef),
    /// Known, but to be learned again to stay.
    Old(SeriesRef),
    No,
}

impl Generations {
    /// Looks `key` up.
    #[inline]
    pub fn get(&self, key: LabelKey) -> Known {
        if let Some(series) = self.young.get(&key) {
            return Known::Young(*series);
        }
        self.old.get(&key).map_or(Known::No, |series| Known::Old(*series))
    }
}

/// The cache.
#[derive(Debug)]
pub struct RefCache {
    seed: u64,
    generations: RwLock<Generations>,
}

impl RefCache {
    /// An empty cache; `seed` is secret and differs between processes.
    pub fn new(seed: u64) -> RefCache {
        RefCache { seed, generations: RwLock::default() }
    }

    /// The key of label bytes.
    #[inline]
    pub fn key(&self, labels: &[u8]) -> LabelKey {
        LabelKey(xxh3_128_with_seed(labels, self.seed))
    }

    /// The generations, to look many keys up.
    pub fn read(&self) -> RwLockReadGuard<'_, Generations> {
        self.generations.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Learns what a committed batch found out.
    pub fn learn(&self, found: &[(LabelKey, SeriesRef)], now_ms: i64) {
        let aged = now_ms.saturating_sub(self.read().since_ms) > GENERATION_MS;
        if found.is_empty() && !aged {
            return;
        }
        let mut generations =
            self.generations.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        if aged {
            generations.old = std::mem::take(&mut generations.young);
            generations.since_ms = now_ms;
        }
        generations.young.extend(found.iter().copied());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forgets_after_two_generations() {
        let cache = RefCache::new(7);
        let (a, b) = (cache.key(b"a"), cache.key(b"b"));
        cache.learn(&[(a, SeriesRef(1)), (b, SeriesRef(2))], 10_000_000);
        assert_eq!(cache.read().get(a), Known::Young(SeriesRef(1)));
        cache.learn(&[], 10_000_000 + GENERATION_MS + 1);
        assert_eq!(cache.read().get(a), Known::Old(SeriesRef(1)));
        cache.learn(&[(a, SeriesRef(1))], 10_000_000 + GENERATION_MS + 2);
        cache.learn(&[], 10_000_000 + 2 * GENERATION_MS + 2);
        assert_eq!(cache.read().get(a), Known::Old(SeriesRef(1)));
        assert_eq!(cache.read().get(b), Known::No);
    }
}
