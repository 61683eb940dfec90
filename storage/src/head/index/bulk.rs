//! Bulk: many series enter the index at once, as a start does it.
//!
//! Series that come one after the other mostly share labels, and at the same position: a label is
//! compared with that of the series before first, and slots of a shared pair are entered as a run.

use hashbrown::hash_table::Entry;
use model::labels::LabelsIter;

use super::{HeadIndex, SlotList, spread};
use crate::head::series::Slot;
use crate::head::symbols::{NameId, PairId};

/// A label position: the pair the last series had there, and the slots with it that are not in its
/// list yet.
#[derive(Debug, Default)]
struct Position {
    /// Name and value as [`model::Labels::as_bytes`] has them.
    label: Vec<u8>,
    name: NameId,
    pair: PairId,
    first: Slot,
    /// Behind the last slot of the run; `first` when there is none.
    next: Slot,
}

/// What is remembered from series to series.
#[derive(Debug, Default)]
pub(crate) struct BulkMemory {
    positions: Vec<Position>,
    pairs: Vec<PairId>,
}

/// An index open for many series; [`Bulk::finish`] must be called before anybody reads the lists.
pub(crate) struct Bulk<'i> {
    index: &'i mut HeadIndex,
    memory: &'i mut BulkMemory,
}

impl<'i> Bulk<'i> {
    /// Opens the index.
    pub fn new(index: &'i mut HeadIndex, memory: &'i mut BulkMemory) -> Bulk<'i> {
        Bulk { index, memory }
    }

    /// The slot of the series with these labels (in the form of [`model::Labels::as_bytes`]) if
    /// there is one, else the series is entered under `slot`, if that gives one.
    pub fn find_or_add(
        &mut self,
        hash: u64,
        labels: &[u8],
        slot: impl FnOnce() -> Option<Slot>,
    ) -> Found {
        self.intern(labels);
        let index = &mut *self.index;
        let pairs = &self.memory.pairs;
        let short = (hash >> 32) as u32;
        let known = &index.labels;
        let is = |&(h, s): &(u32, Slot)| h == short && known.get(s) == pairs.as_slice();
        match index.by_hash.entry(spread(short), is, |&(h, _)| spread(h)) {
            Entry::Occupied(found) => Found::Known(found.get().1),
            Entry::Vacant(place) => {
                let Some(slot) = slot() else { return Found::Full };
                place.insert((short, slot));
                self.enter(slot);
                Found::Added(slot)
            }
        }
    }

    /// Enters a series whose labels nobody has, by the upper half of their hash and its pairs in
    /// order of name.
    pub fn add(&mut self, slot: Slot, short_hash: u32, pairs: &[PairId]) {
        self.memory.pairs.clear();
        self.memory.pairs.extend_from_slice(pairs);
        let entry = (short_hash, slot);
        self.index.by_hash.insert_unique(spread(short_hash), entry, |&(h, _)| spread(h));
        self.enter(slot);
    }

    /// The pair ids of `labels`, into `memory.pairs`.
    fn intern(&mut self, labels: &[u8]) {
        let BulkMemory { positions, pairs } = &mut *self.memory;
        pairs.clear();
        let mut rest = LabelsIter::new(labels);
        let mut at = 0;
        while let Some(label) = rest.next_bytes() {
            if at == positions.len() {
                positions.push(Position::default());
            }
            let position = &mut positions[at];
            if position.label != label {
                let mut one = LabelsIter::new(label);
                let Some((name, value)) = one.next() else { break };
                // It nearly always is the value that changes.
                let symbols = &mut self.index.symbols;
                if !symbols.is_name(position.name, name) {
                    position.name = symbols.intern_name(name);
                }
                let pair = symbols.intern_value(position.name, value);
                self.index.end_run(position);
                position.label.clear();
                position.label.extend_from_slice(label);
                position.pair = pair;
            }
            pairs.push(position.pair);
            at += 1;
        }
    }

    fn enter(&mut self, slot: Slot) {
        let index = &mut *self.index;
        let BulkMemory { positions, pairs } = &mut *self.memory;
        index.labels.set(slot, pairs);
        if index.lists.len() < index.symbols.pair_bound() {
            index.lists.resize(index.symbols.pair_bound(), SlotList::None);
            index.uses.resize(index.symbols.pair_bound(), 0);
        }
        while positions.len() < pairs.len() {
            positions.push(Position::default());
        }
        for (position, &pair) in positions.iter_mut().zip(pairs.iter()) {
            if position.pair != pair {
                index.end_run(position);
                position.label.clear();
                position.pair = pair;
            }
            if position.first == position.next || position.next != slot {
                index.end_run(position);
                position.first = slot;
            }
            position.next = slot + 1;
        }
        index.all.insert(slot);
        index.note_change(slot);
    }

    /// Brings the lists up to date.
    pub fn finish(self) {
        for position in &mut self.memory.positions {
            self.index.end_run(position);
        }
    }
}

/// What became of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Known(Slot),
    Added(Slot),
    /// There is no slot left.
    Full,
}

impl HeadIndex {
    /// By slot, the upper half of the hash of its labels.
    pub fn short_hashes(&self) -> Vec<u32> {
        let mut hashes = vec![0; self.all.max().map_or(0, |slot| slot as usize + 1)];
        for &(hash, slot) in &self.by_hash {
            if let Some(at) = hashes.get_mut(slot as usize) {
                *at = hash;
            }
        }
        hashes
    }

    /// The pairs of a slot, in order of label name.
    pub fn pairs_of_slot(&self, slot: Slot) -> &[PairId] {
        self.labels.get(slot)
    }

    /// Enters the run of a position in its pair's list.
    fn end_run(&mut self, position: &mut Position) {
        let (first, next) = (position.first, position.next);
        position.first = next;
        if first >= next {
            return;
        }
        let at = position.pair as usize;
        if let (Some(list), Some(uses)) = (self.lists.get_mut(at), self.uses.get_mut(at)) {
            list.insert_run(first, next);
            *uses += next - first;
        }
    }
}

impl SlotList {
    /// Adds the slots from `first` to before `next`.
    fn insert_run(&mut self, first: Slot, next: Slot) {
        let run = (next - first) as usize;
        match self {
            // Slots mostly come in order, and a look at the last container is cheap.
            SlotList::Many(map) if run == 1 => {
                if map.try_push(first).is_err() {
                    map.insert(first);
                }
            }
            SlotList::Many(map) => {
                map.insert_range(first..next);
            }
            _ if self.len() + run > super::list::FEW => {
                let mut map: roaring::RoaringBitmap = match &*self {
                    SlotList::One(slot) => [*slot].into(),
                    SlotList::Few(list) => list.iter().copied().collect(),
                    _ => roaring::RoaringBitmap::new(),
                };
                map.insert_range(first..next);
                *self = SlotList::Many(Box::new(map));
            }
            _ => (first..next).for_each(|slot| self.insert(slot)),
        }
    }
}

#[cfg(test)]
mod tests {
    use model::{Labels, QueryError};
    use proptest::prelude::*;

    use super::*;
    use crate::postings::PostingsSource;

    fn lists(index: &HeadIndex) -> Result<Vec<(String, Vec<Slot>)>, QueryError> {
        let mut all = Vec::new();
        for name in index.symbols.names() {
            for &pair in index.symbols.pairs_of(name) {
                let mut slots = Vec::new();
                index.with_list(pair, &mut |list| list.append_to(&mut slots))?;
                all.push((format!("{:?}", index.symbols.pair(pair)), slots));
            }
        }
        all.sort();
        Ok(all)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        /// In bulk as one by one, whatever repeats, in several rounds.
        #[test]
        fn the_same_index(
            series in proptest::collection::vec((0u8..3, 0u8..40, proptest::option::of(0u8..200)), 0..400),
            rounds in 1usize..5,
        ) {
            let labels = |(a, b, c): (u8, u8, Option<u8>)| {
                let mut pairs = vec![("a", a.to_string()), ("b", b.to_string())];
                pairs.extend(c.map(|c| ("c", c.to_string())));
                Labels::from_pairs(pairs)
            };
            let (mut bulk, mut single) = (HeadIndex::default(), HeadIndex::default());
            let mut memory = BulkMemory::default();
            let mut next = 0;
            for round in series.chunks(series.len().div_ceil(rounds).max(1)) {
                let mut open = Bulk::new(&mut bulk, &mut memory);
                for &s in round {
                    let labels = labels(s);
                    let hash = labels.hash64();
                    let found = open.find_or_add(hash, labels.as_bytes(), || Some(next));
                    match single.find(hash, &labels) {
                        Some(slot) => prop_assert_eq!(found, Found::Known(slot)),
                        None => {
                            prop_assert_eq!(found, Found::Added(next));
                            single.add(next, hash, &labels);
                            next += 1;
                        }
                    }
                }
                open.finish();
            }
            prop_assert_eq!(lists(&bulk).unwrap(), lists(&single).unwrap());
            prop_assert_eq!(bulk.all(), single.all());
            prop_assert_eq!(&bulk.uses, &single.uses);
            for slot in 0..next {
                prop_assert_eq!(bulk.labels(slot), single.labels(slot));
                prop_assert_eq!(bulk.find(bulk.labels(slot).hash64(), &bulk.labels(slot)), Some(slot));
            }
        }
    }
}
