//! Symbols: every label string of the head once, and every (name, value) pair as a 32-bit id.
//!
//! Strings stand one after another in arena segments; a pair is a name id and a place in the arena.
//! What must hold: a pair id in use means the same text until it is freed; ids are freed only by
//! [`Symbols::free`], when no series and no view needs them, and may then be reused. Segments of
//! which less than half is still used are rewritten by [`Symbols::compact`].

use std::collections::HashMap;

use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Names a (name, value) pair.
pub(crate) type PairId = u32;
/// Names a label name.
pub(crate) type NameId = u32;

const SEGMENT_BYTES: usize = 64 << 10;

/// A place in the arena.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    segment: u32,
    offset: u32,
    len: u32,
}

#[derive(Debug, Default)]
struct Segment {
    text: String,
    /// Bytes that pairs still point to.
    live: usize,
}

#[derive(Clone, Copy, Debug)]
struct Pair {
    name: NameId,
    value: Place,
}

#[derive(Debug)]
struct Name {
    text: Box<str>,
    pairs: Vec<PairId>,
}

const FREE: NameId = NameId::MAX;

/// The tables of names and pairs.
#[derive(Debug, Default)]
pub(crate) struct Symbols {
    segments: Vec<Segment>,
    /// Segments that were emptied and can be filled again.
    spare: Vec<u32>,
    /// The segment that is being filled.
    current: Option<u32>,
    names: Vec<Name>,
    name_ids: HashMap<Box<str>, NameId>,
    pairs: Vec<Pair>,
    pair_ids: HashTable<PairId>,
    free: Vec<PairId>,
}

fn hash(name: NameId, value: &str) -> u64 {
    xxh3_64_with_seed(value.as_bytes(), u64::from(name))
}

fn text_at(segments: &[Segment], place: Place) -> &str {
    let at = place.offset as usize;
    segments
        .get(place.segment as usize)
        .and_then(|s| s.text.get(at..at + place.len as usize))
        .unwrap_or_default()
}

impl Symbols {
    /// The id of a label name, if any pair ever had it.
    pub fn name_id(&self, name: &str) -> Option<NameId> {
        self.name_ids.get(name).copied()
    }

    /// The id of a pair in use.
    pub fn pair_id(&self, name: NameId, value: &str) -> Option<PairId> {
        self.pair_ids.find(hash(name, value), |&id| self.is(id, name, value)).copied()
    }

    fn is(&self, id: PairId, name: NameId, value: &str) -> bool {
        let pair = self.pairs[id as usize];
        pair.name == name && text_at(&self.segments, pair.value) == value
    }

    /// Whether `id` is that of this name.
    pub fn is_name(&self, id: NameId, name: &str) -> bool {
        self.names.get(id as usize).is_some_and(|n| &*n.text == name)
    }

    /// The id of a name, which is created if need be.
    pub fn intern_name(&mut self, name: &str) -> NameId {
        if let Some(&id) = self.name_ids.get(name) {
            return id;
        }
        let id = self.names.len() as NameId;
        self.names.push(Name { text: name.into(), pairs: Vec::new() });
        self.name_ids.insert(name.into(), id);
        id
    }

    /// The id of a pair, which is created if need be.
    pub fn intern(&mut self, name: &str, value: &str) -> PairId {
        let name_id = self.intern_name(name);
        self.intern_value(name_id, value)
    }

    /// The same for a name that has its id.
    pub fn intern_value(&mut self, name_id: NameId, value: &str) -> PairId {
        if let Some(id) = self.pair_id(name_id, value) {
            return id;
        }
        let pair = Pair { name: name_id, value: self.store(value) };
        let id = match self.free.pop() {
            Some(id) => {
                self.pairs[id as usize] = pair;
                id
            }
            None => {
                self.pairs.push(pair);
                (self.pairs.len() - 1) as PairId
            }
        };
        self.names[name_id as usize].pairs.push(id);
        let (segments, pairs) = (&self.segments, &self.pairs);
        self.pair_ids.insert_unique(hash(name_id, value), id, |&other| {
            let pair = pairs[other as usize];
            hash(pair.name, text_at(segments, pair.value))
        });
        id
    }

    /// Copies `value` into the arena.
    fn store(&mut self, value: &str) -> Place {
        let fits = |s: &Segment| s.text.len() + value.len() <= s.text.capacity();
        let at = match self.current {
            Some(at) if fits(&self.segments[at as usize]) => at,
            _ => {
                let text = String::with_capacity(SEGMENT_BYTES.max(value.len()));
                let fresh = Segment { text, live: 0 };
                let at = match self.spare.pop() {
                    Some(at) => {
                        self.segments[at as usize] = fresh;
                        at
                    }
                    None => {
                        self.segments.push(fresh);
                        (self.segments.len() - 1) as u32
                    }
                };
                self.current = Some(at);
                at
            }
        };
        let segment = &mut self.segments[at as usize];
        let offset = segment.text.len() as u32;
        segment.text.push_str(value);
        segment.live += value.len();
        Place { segment: at, offset, len: value.len() as u32 }
    }

    /// Name and value of a pair in use.
    pub fn pair(&self, id: PairId) -> (&str, &str) {
        let Some(pair) = self.pairs.get(id as usize).filter(|p| p.name != FREE) else {
            return ("", "");
        };
        (&self.names[pair.name as usize].text, text_at(&self.segments, pair.value))
    }

    /// Name id of a pair in use.
    pub fn pair_name(&self, id: PairId) -> NameId {
        self.pairs.get(id as usize).map_or(FREE, |p| p.name)
    }

    /// The text of a name.
    pub fn name(&self, id: NameId) -> &str {
        self.names.get(id as usize).map_or("", |n| &n.text)
    }

    /// Ids of all names, those without a pair in use included.
    pub fn names(&self) -> impl Iterator<Item = NameId> + '_ {
        0..self.names.len() as NameId
    }

    /// The pairs of a name, in no order.
    pub fn pairs_of(&self, name: NameId) -> &[PairId] {
        self.names.get(name as usize).map_or(&[], |n| &n.pairs)
    }

    /// Upper bound of pair ids.
    pub fn pair_bound(&self) -> usize {
        self.pairs.len()
    }

    /// Number of pairs in use.
    #[cfg(test)]
    pub fn pair_count(&self) -> usize {
        self.pairs.len() - self.free.len()
    }

    /// Frees pairs that nothing refers to any more.
    pub fn free(&mut self, ids: &[PairId]) {
        let mut touched: Vec<NameId> = Vec::new();
        for &id in ids {
            let Some(&pair) = self.pairs.get(id as usize).filter(|p| p.name != FREE) else {
                continue;
            };
            let value = text_at(&self.segments, pair.value);
            if let Ok(entry) =
                self.pair_ids.find_entry(hash(pair.name, value), |&other| other == id)
            {
                entry.remove();
            }
            self.segments[pair.value.segment as usize].live -= pair.value.len as usize;
            self.pairs[id as usize].name = FREE;
            self.free.push(id);
            touched.push(pair.name);
        }
        touched.sort_unstable();
        touched.dedup();
        let pairs = &self.pairs;
        for name in touched {
            let list = &mut self.names[name as usize].pairs;
            list.retain(|&id| pairs[id as usize].name == name);
            if list.len() < list.capacity() / 2 {
                list.shrink_to_fit();
            }
        }
    }

    /// Rewrites segments that are less than half used.
    pub fn compact(&mut self) {
        let sparse: Vec<bool> = (self.segments.iter().enumerate())
            .map(|(at, s)| {
                !s.text.is_empty() && self.current != Some(at as u32) && s.live * 2 < s.text.len()
            })
            .collect();
        if !sparse.contains(&true) {
            return;
        }
        for id in 0..self.pairs.len() {
            let pair = self.pairs[id];
            if pair.name != FREE && sparse[pair.value.segment as usize] {
                let value = text_at(&self.segments, pair.value).to_owned();
                self.pairs[id].value = self.store_outside(&value, &sparse);
            }
        }
        for (at, _) in sparse.iter().enumerate().filter(|(_, s)| **s) {
            self.segments[at] = Segment::default();
            self.spare.push(at as u32);
        }
    }

    /// Like `store`; the segments being emptied are never filled, because `current` is none of
    /// them and spare ones are empty.
    fn store_outside(&mut self, value: &str, sparse: &[bool]) -> Place {
        let place = self.store(value);
        debug_assert!(sparse.get(place.segment as usize) != Some(&true));
        place
    }

    /// Bytes outside the structure.
    pub fn heap_bytes(&self) -> usize {
        let names: usize = (self.names.iter())
            .map(|n| 3 * n.text.len() + n.pairs.capacity() * size_of::<PairId>())
            .sum();
        self.string_bytes().0
            + names
            + self.segments.capacity() * size_of::<Segment>()
            + self.names.capacity() * size_of::<Name>()
            + self.pairs.capacity() * size_of::<Pair>()
            + self.pair_ids.allocation_size()
            + self.free.capacity() * size_of::<PairId>()
    }

    /// Bytes of strings held, and bytes of them in use.
    pub fn string_bytes(&self) -> (usize, usize) {
        let held = self.segments.iter().map(|s| s.text.capacity()).sum();
        (held, self.segments.iter().map(|s| s.live).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_has_one_id() {
        let mut s = Symbols::default();
        let a = s.intern("a", "1");
        let b = s.intern("b", "1");
        assert_ne!(a, b);
        assert_eq!(s.intern("a", "1"), a);
        assert_eq!(s.pair(a), ("a", "1"));
        assert_eq!(s.pair_id(s.name_id("b").unwrap(), "1"), Some(b));
    }

    #[test]
    fn churn_does_not_grow_the_arena() {
        let mut s = Symbols::default();
        let keep = s.intern("keep", "me");
        let mut last = Vec::new();
        for round in 0..50 {
            let ids: Vec<_> =
                (0..2000).map(|i| s.intern("pod", &format!("pod-{round}-{i}-{:032}", i))).collect();
            s.free(&last);
            s.compact();
            last = ids;
        }
        let (held, live) = s.string_bytes();
        assert!(held < 4 * live, "{held} bytes held for {live}");
        assert!(s.pair_bound() <= 4001);
        assert_eq!(s.pair(keep), ("keep", "me"));
        assert_eq!(s.pair(last[7]).1, format!("pod-49-7-{:032}", 7));
    }
}
