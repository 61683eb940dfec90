//! PostingsCache: results of costly matchers and of whole sets of them, so that a dashboard's selector
//! is evaluated once per state of the index and not once per panel and refresh.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use model::{MatchOp, Matcher};

use super::set::Postings;

/// Matcher → the ids its value scan found, matchers → the ids that satisfy them all, each with the
/// generation of the index at that time, bounded in bytes. Who gets an old result brings it up to
/// date or does without.
#[derive(Debug)]
pub struct PostingsCache {
    capacity_bytes: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    entries: HashMap<Key, Entry>,
    size_bytes: usize,
    clock: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    kind: Kind,
    matchers: Vec<(MatchOp, String, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Scan,
    Answer,
}

#[derive(Clone, Debug)]
enum Found {
    Scan(Arc<Postings>),
    Answer(Arc<Vec<u32>>),
}

#[derive(Debug)]
struct Entry {
    generation: u64,
    used: u64,
    size_bytes: usize,
    found: Found,
}

/// What an entry costs beside its ids and texts.
const ENTRY_OVERHEAD: usize = 160;

impl PostingsCache {
    /// A cache that holds about `capacity_bytes`; 0 holds nothing.
    pub fn new(capacity_bytes: usize) -> PostingsCache {
        PostingsCache { capacity_bytes, state: Mutex::default() }
    }

    /// Forgets everything.
    pub fn clear(&self) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = State::default();
    }

    /// What the scan of `matcher` found, with its generation.
    pub fn get(&self, matcher: &Matcher) -> Option<(u64, Arc<Postings>)> {
        match self.fetch(&Key::of(Kind::Scan, std::slice::from_ref(matcher)))? {
            (generation, Found::Scan(postings)) => Some((generation, postings)),
            _ => None,
        }
    }

    /// The ids that satisfied all of `matchers`, with their generation.
    pub fn answer(&self, matchers: &[Matcher]) -> Option<(u64, Arc<Vec<u32>>)> {
        match self.fetch(&Key::of(Kind::Answer, matchers))? {
            (generation, Found::Answer(ids)) => Some((generation, ids)),
            _ => None,
        }
    }

    fn fetch(&self, key: &Key) -> Option<(u64, Found)> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.clock += 1;
        let clock = state.clock;
        let entry = state.entries.get_mut(key)?;
        entry.used = clock;
        Some((entry.generation, entry.found.clone()))
    }

    /// Stores what the scan of `matcher` found.
    pub fn put(&self, matcher: &Matcher, generation: u64, postings: Arc<Postings>) {
        let size_bytes = postings.size_bytes();
        let key = Key::of(Kind::Scan, std::slice::from_ref(matcher));
        self.store(key, generation, size_bytes, Found::Scan(postings));
    }

    /// Stores the ids that satisfy all of `matchers`.
    pub fn put_answer(&self, matchers: &[Matcher], generation: u64, ids: Arc<Vec<u32>>) {
        let size_bytes = ids.capacity() * size_of::<u32>();
        let key = Key::of(Kind::Answer, matchers);
        self.store(key, generation, size_bytes, Found::Answer(ids));
    }

    /// The least recently used results make room; for one that is larger than a quarter of the cache,
    /// others of that size do first. What is larger than three quarters is not kept.
    fn store(&self, key: Key, generation: u64, found_bytes: usize, found: Found) {
        let size_bytes = found_bytes + key.size_bytes() + ENTRY_OVERHEAD;
        if size_bytes > self.capacity_bytes / 4 * 3 {
            return;
        }
        let is_large = |size_bytes: usize| size_bytes > self.capacity_bytes / 4;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.clock += 1;
        let used = state.clock;
        let entry = Entry { generation, used, size_bytes, found };
        if let Some(old) = state.entries.insert(key, entry) {
            state.size_bytes -= old.size_bytes;
        }
        state.size_bytes += size_bytes;
        while state.size_bytes > self.capacity_bytes {
            let last = |e: &Entry| (!(is_large(size_bytes) && is_large(e.size_bytes)), e.used);
            let others = state.entries.iter().filter(|(_, e)| e.used != used);
            let oldest = others.min_by_key(|(_, e)| last(e)).map(|(k, _)| k.clone());
            let Some(gone) = oldest.and_then(|k| state.entries.remove(&k)) else { break };
            state.size_bytes -= gone.size_bytes;
        }
    }
}

impl Key {
    fn of(kind: Kind, matchers: &[Matcher]) -> Key {
        let matchers = matchers.iter().map(|m| (m.op, m.name.clone(), m.value.clone())).collect();
        Key { kind, matchers }
    }

    fn size_bytes(&self) -> usize {
        let texts = self.matchers.iter().map(|(_, name, value)| name.len() + value.len());
        texts.sum::<usize>() + size_of_val(self.matchers.as_slice())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn regex(pattern: &str) -> Matcher {
        Matcher::new(MatchOp::Regex, "a", pattern).unwrap()
    }

    fn ids(n: u32) -> Arc<Postings> {
        Arc::new(Postings::List((0..n).collect()))
    }

    #[test]
    fn keeps_the_last_result_of_each_matcher() {
        let cache = PostingsCache::new(1 << 20);
        let known = |pattern| cache.get(&regex(pattern)).map(|(at, ids)| (at, ids.len()));
        cache.put(&regex("x.*"), 1, ids(3));
        assert_eq!(known("x.*"), Some((1, 3)));
        assert_eq!(known("y.*"), None);
        cache.put(&regex("x.*"), 2, ids(4));
        assert_eq!(known("x.*"), Some((2, 4)));
        cache.clear();
        assert_eq!(known("x.*"), None);
    }

    #[test]
    fn a_scan_is_not_an_answer() {
        let cache = PostingsCache::new(1 << 20);
        cache.put(&regex("x.*"), 1, ids(3));
        assert_eq!(cache.answer(&[regex("x.*")]), None);
        let both = [regex("x.*"), regex("y.*")];
        cache.put_answer(&both, 2, Arc::new(vec![7]));
        assert_eq!(cache.answer(&both), Some((2, Arc::new(vec![7]))));
        assert_eq!(cache.answer(&both[..1]), None);
        assert!(cache.get(&both[0]).is_some() && cache.get(&both[1]).is_none());
    }

    #[test]
    fn stays_inside_its_budget() {
        let cache = PostingsCache::new(10_000);
        for i in 0..100 {
            cache.put(&regex(&format!("x{i}.*")), 1, ids(100));
        }
        assert!(cache.get(&regex("x0.*")).is_none());
        assert!(cache.get(&regex("x99.*")).is_some());
        assert!(cache.state.lock().unwrap().size_bytes <= 10_000);
        cache.put(&regex("big.*"), 1, ids(2000));
        assert!(cache.get(&regex("big.*")).is_none());
    }

    #[test]
    fn large_results_do_not_take_the_place_of_all_others() {
        let cache = PostingsCache::new(10_000);
        let known = |pattern: &str| cache.get(&regex(pattern)).is_some();
        for i in 0..3 {
            cache.put(&regex(&format!("x{i}.*")), 1, ids(100));
        }
        for i in 0..3 {
            cache.put(&regex(&format!("big{i}.*")), 1, ids(1600));
            assert!(known(&format!("big{i}.*")));
        }
        assert!(!known("big1.*"));
        assert!((0..3).all(|i| known(&format!("x{i}.*"))));
        assert!(cache.state.lock().unwrap().size_bytes <= 10_000);
    }
}
