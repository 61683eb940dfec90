//! PostingsCache: results of costly matchers, so that a dashboard's regex is evaluated once per
//! state of the index and not once per panel and refresh.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use model::{MatchOp, Matcher};

use super::set::Postings;

/// Matcher → the ids its value scan found and the generation of the index at that time, bounded in
/// bytes. Who gets an old result brings it up to date or does without.
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
    op: MatchOp,
    name: String,
    value: String,
}

#[derive(Debug)]
struct Entry {
    generation: u64,
    used: u64,
    size_bytes: usize,
    postings: Arc<Postings>,
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

    /// What was stored for `matcher`, with its generation.
    pub fn get(&self, matcher: &Matcher) -> Option<(u64, Arc<Postings>)> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.clock += 1;
        let clock = state.clock;
        let entry = state.entries.get_mut(&Key::of(matcher))?;
        entry.used = clock;
        Some((entry.generation, entry.postings.clone()))
    }

    /// Stores the result of `matcher`; the least recently used ones make room. Results larger than
    /// a quarter of the cache are not kept.
    pub fn put(&self, matcher: &Matcher, generation: u64, postings: Arc<Postings>) {
        let key = Key::of(matcher);
        let size_bytes = postings.size_bytes() + key.name.len() + key.value.len() + ENTRY_OVERHEAD;
        if size_bytes > self.capacity_bytes / 4 {
            return;
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.clock += 1;
        let used = state.clock;
        let entry = Entry { generation, used, size_bytes, postings };
        if let Some(old) = state.entries.insert(key, entry) {
            state.size_bytes -= old.size_bytes;
        }
        state.size_bytes += size_bytes;
        while state.size_bytes > self.capacity_bytes {
            let oldest = state.entries.iter().min_by_key(|(_, e)| e.used).map(|(k, _)| k.clone());
            let Some(gone) = oldest.and_then(|k| state.entries.remove(&k)) else { break };
            state.size_bytes -= gone.size_bytes;
        }
    }
}

impl Key {
    fn of(matcher: &Matcher) -> Key {
        Key { op: matcher.op, name: matcher.name.clone(), value: matcher.value.clone() }
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
    fn stays_inside_its_budget() {
        let cache = PostingsCache::new(10_000);
        for i in 0..100 {
            cache.put(&regex(&format!("x{i}.*")), 1, ids(100));
        }
        assert!(cache.get(&regex("x0.*")).is_none());
        assert!(cache.get(&regex("x99.*")).is_some());
        assert!(cache.state.lock().unwrap().size_bytes <= 10_000);
        cache.put(&regex("big.*"), 1, ids(1000));
        assert!(cache.get(&regex("big.*")).is_none());
    }
}
