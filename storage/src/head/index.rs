//! HeadIndex: who is in the head. Labels → slot, pair → slots, slot → labels.
//!
//! What must hold: a slot is in `by_hash` and in the lists of its pairs from `add` to `unlink`; its
//! labels can be read until `release`, which views that may have selected it must not outlive.

mod bulk;
mod list;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::ops::ControlFlow;

use hashbrown::HashTable;
use model::{Labels, QueryError};
use roaring::RoaringBitmap;

pub(crate) use self::bulk::{Bulk, BulkMemory, Found};
use self::list::SlotList;
use super::labels::SlotLabels;
use super::series::Slot;
use super::symbols::{PairId, Symbols};
use crate::postings::{ListRef, PostingsSource};

/// Changes that are remembered at most: more are not worth looking at one by one.
const MOST_CHANGES: usize = 8192;

/// The index of the head.
#[derive(Debug, Default)]
pub(crate) struct HeadIndex {
    pub symbols: Symbols,
    labels: SlotLabels,
    lists: Vec<SlotList>,
    /// By pair: series that have it, unlinked ones that are not released yet included.
    uses: Vec<u32>,
    all: RoaringBitmap,
    /// Upper half of the labels' hash, slot.
    by_hash: HashTable<(u32, Slot)>,
    /// The slots whose series came or went last, in order, so that remembered results can be brought
    /// up to date; and how many changes came before them.
    changes: Vec<Slot>,
    forgotten_changes: u64,
    /// Buffer of `add`.
    pairs: Vec<PairId>,
}

fn spread(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl HeadIndex {
    /// Bytes outside the structure.
    pub fn heap_bytes(&self) -> usize {
        self.symbols.heap_bytes()
            + self.labels.heap_bytes()
            + self.lists.capacity() * size_of::<SlotList>()
            + self.lists.iter().map(SlotList::heap_bytes).sum::<usize>()
            + self.uses.capacity() * size_of::<u32>()
            + self.all.serialized_size()
            + self.by_hash.allocation_size()
    }

    /// The slot of the series with these labels; `hash` is their `hash64`.
    pub fn find(&self, hash: u64, labels: &Labels) -> Option<Slot> {
        let short = (hash >> 32) as u32;
        let is = |&(h, slot): &(u32, Slot)| h == short && self.labels_equal(slot, labels);
        self.by_hash.find(spread(short), is).map(|&(_, slot)| slot)
    }

    fn labels_equal(&self, slot: Slot, labels: &Labels) -> bool {
        let pairs = self.labels.get(slot);
        let mut wanted = labels.iter();
        pairs.iter().all(|&id| wanted.next() == Some(self.symbols.pair(id)))
            && wanted.next().is_none()
    }

    /// Enters a series; the labels are not in the index yet.
    pub fn add(&mut self, slot: Slot, hash: u64, labels: &Labels) {
        let mut pairs = std::mem::take(&mut self.pairs);
        pairs.clear();
        pairs.extend(labels.iter().map(|(name, value)| self.symbols.intern(name, value)));
        self.labels.set(slot, &pairs);
        if self.lists.len() < self.symbols.pair_bound() {
            self.lists.resize(self.symbols.pair_bound(), SlotList::None);
            self.uses.resize(self.symbols.pair_bound(), 0);
        }
        for &id in &pairs {
            self.lists[id as usize].insert(slot);
            self.uses[id as usize] += 1;
        }
        self.pairs = pairs;
        self.all.insert(slot);
        let short = (hash >> 32) as u32;
        self.by_hash.insert_unique(spread(short), (short, slot), |&(h, _)| spread(h));
        self.note_change(slot);
    }

    fn note_change(&mut self, slot: Slot) {
        if self.changes.len() == MOST_CHANGES {
            self.forgotten_changes += MOST_CHANGES as u64 / 2;
            self.changes.drain(..MOST_CHANGES / 2);
        }
        self.changes.push(slot);
    }

    /// Takes series out of lookups and lists; their labels stay readable.
    pub fn unlink(&mut self, slots: &[Slot]) {
        for &slot in slots {
            let labels = self.labels(slot);
            let short = (labels.hash64() >> 32) as u32;
            if let Ok(entry) = self.by_hash.find_entry(spread(short), |e| *e == (short, slot)) {
                entry.remove();
            }
            for &id in self.labels.get(slot) {
                self.lists[id as usize].remove(slot);
            }
            self.all.remove(slot);
            self.note_change(slot);
        }
    }

    /// Forgets the labels of unlinked series and frees pairs nobody has any more; `tidy` follows.
    pub fn release(&mut self, slots: &[Slot]) {
        let mut unused: Vec<PairId> = Vec::new();
        for &slot in slots {
            for &id in self.labels.get(slot) {
                let uses = &mut self.uses[id as usize];
                *uses = uses.saturating_sub(1);
                if *uses == 0 {
                    unused.push(id);
                }
            }
            self.labels.clear(slot);
        }
        self.symbols.free(&unused);
    }

    /// Gives back memory that released series had.
    pub fn tidy(&mut self) {
        self.symbols.compact();
        if self.by_hash.len() < self.by_hash.capacity() / 4 {
            self.by_hash.shrink_to_fit(|&(h, _)| spread(h));
        }
    }

    /// Builds the labels of a slot; empty when it has no series.
    pub fn labels(&self, slot: Slot) -> Labels {
        Labels::from_sorted(self.labels.get(slot).iter().map(|&id| self.symbols.pair(id)))
    }

    /// How the labels of two slots compare. Pairs that are the same have the same id, so that only
    /// the first two that differ are looked at.
    pub fn compare(&self, a: Slot, b: Slot) -> Ordering {
        let (a, b) = (self.labels.get(a), self.labels.get(b));
        match a.iter().zip(b).find(|(a, b)| a != b) {
            Some((&a, &b)) => self.symbols.pair(a).cmp(&self.symbols.pair(b)),
            None => a.len().cmp(&b.len()),
        }
    }

    /// The value of one label of a slot.
    pub fn value(&self, slot: Slot, name: &str) -> &str {
        let Some(name) = self.symbols.name_id(name) else { return "" };
        let has = |id: &&PairId| self.symbols.pair_name(**id) == name;
        self.labels.get(slot).iter().find(has).map_or("", |&id| self.symbols.pair(id).1)
    }

    /// Appends the pair that each of `slots` has of a label name; a number that no pair has where
    /// there is none.
    pub fn pairs_named(&self, slots: &[Slot], name: &str, out: &mut Vec<PairId>) {
        let Some(name) = self.symbols.name_id(name) else {
            out.resize(out.len() + slots.len(), PairId::MAX);
            return;
        };
        let has = |id: &&PairId| self.symbols.pair_name(**id) == name;
        let pair = |slot: &Slot| self.labels.get(*slot).iter().find(has).copied();
        out.extend(slots.iter().map(|slot| pair(slot).unwrap_or(PairId::MAX)));
    }

    /// Whether a pair has one of `slots`.
    pub fn list_meets(&self, id: PairId, slots: &RoaringBitmap) -> bool {
        match self.lists.get(id as usize) {
            None | Some(SlotList::None) => false,
            Some(SlotList::One(slot)) => slots.contains(*slot),
            Some(SlotList::Few(list)) => list.iter().any(|slot| slots.contains(*slot)),
            Some(SlotList::Many(map)) => !map.is_disjoint(slots),
        }
    }

    /// Every series.
    pub fn all(&self) -> &RoaringBitmap {
        &self.all
    }

    /// Number of series that have a pair.
    pub fn list_len(&self, id: PairId) -> usize {
        self.lists.get(id as usize).map_or(0, SlotList::len)
    }
}

impl PostingsSource for HeadIndex {
    type Pair = PairId;

    fn pair(&self, name: &str, value: &str) -> Result<Option<PairId>, QueryError> {
        let id = self.symbols.name_id(name).and_then(|name| self.symbols.pair_id(name, value));
        Ok(id.filter(|&id| self.list_len(id) > 0))
    }

    fn pairs(
        &self,
        name: &str,
        prefix: &str,
        visit: &mut dyn FnMut(&str, PairId) -> ControlFlow<()>,
    ) -> Result<(), QueryError> {
        let Some(name) = self.symbols.name_id(name) else { return Ok(()) };
        for &id in self.symbols.pairs_of(name) {
            let value = self.symbols.pair(id).1;
            if value.starts_with(prefix) && self.list_len(id) > 0 && visit(value, id).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn sorted_values(&self) -> bool {
        false
    }

    fn value_count(&self, name: &str) -> usize {
        self.symbols.name_id(name).map_or(0, |name| self.symbols.pairs_of(name).len())
    }

    fn list_len(&self, pair: PairId) -> Result<usize, QueryError> {
        Ok(HeadIndex::list_len(self, pair))
    }

    fn with_list(&self, pair: PairId, with: &mut dyn FnMut(ListRef<'_>)) -> Result<(), QueryError> {
        with(self.lists.get(pair as usize).unwrap_or(&SlotList::None).as_list());
        Ok(())
    }

    fn with_all(&self, with: &mut dyn FnMut(ListRef<'_>)) -> Result<(), QueryError> {
        with(ListRef::Bitmap(&self.all));
        Ok(())
    }

    fn label_value(
        &self,
        id: u32,
        name: &str,
        with: &mut dyn FnMut(&str),
    ) -> Result<(), QueryError> {
        with(self.value(id, name));
        Ok(())
    }

    fn generation(&self) -> Option<u64> {
        Some(self.forgotten_changes + self.changes.len() as u64)
    }

    fn changed_since(&self, generation: u64) -> Option<&[u32]> {
        let from = generation.checked_sub(self.forgotten_changes)?;
        self.changes.get(from as usize..)
    }

    fn has(&self, id: u32) -> bool {
        self.all.contains(id)
    }
}
