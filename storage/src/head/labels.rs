//! SlotLabels: the labels of every series as a slice of pair ids, page by page of slots.
//!
//! What must hold: the slice of a slot is stable from `set` to `clear`. Cleared slices are garbage
//! in their page until more than half of it is, then the page is written anew.

use super::series::{PAGE_SLOTS, Slot};
use super::symbols::PairId;

#[derive(Debug)]
struct Page {
    start: Box<[u32; PAGE_SLOTS]>,
    len: Box<[u16; PAGE_SLOTS]>,
    pairs: Vec<PairId>,
    garbage: usize,
}

/// Labels by slot.
#[derive(Debug, Default)]
pub(crate) struct SlotLabels {
    pages: Vec<Page>,
}

fn split(slot: Slot) -> (usize, usize) {
    (slot as usize / PAGE_SLOTS, slot as usize % PAGE_SLOTS)
}

impl SlotLabels {
    /// Bytes outside the structure.
    pub fn heap_bytes(&self) -> usize {
        let own = size_of::<[u32; PAGE_SLOTS]>() + size_of::<[u16; PAGE_SLOTS]>();
        let pairs: usize = self.pages.iter().map(|p| p.pairs.capacity()).sum();
        self.pages.capacity() * size_of::<Page>()
            + self.pages.len() * own
            + pairs * size_of::<PairId>()
    }

    /// The pair ids of a slot, in order of label name; empty for a slot without a series.
    pub fn get(&self, slot: Slot) -> &[PairId] {
        let (page, at) = split(slot);
        let Some(page) = self.pages.get(page) else { return &[] };
        let start = page.start[at] as usize;
        page.pairs.get(start..start + page.len[at] as usize).unwrap_or_default()
    }

    /// Gives a slot its labels; at most 65535 of them.
    pub fn set(&mut self, slot: Slot, pairs: &[PairId]) {
        let (page, at) = split(slot);
        while self.pages.len() <= page {
            let empty = Page {
                start: Box::new([0; PAGE_SLOTS]),
                len: Box::new([0; PAGE_SLOTS]),
                pairs: Vec::new(),
                garbage: 0,
            };
            self.pages.push(empty);
        }
        let page = &mut self.pages[page];
        if page.pairs.len() + pairs.len() > page.pairs.capacity() {
            // Pages fill evenly: grow by what the slots still to come will need at this rate.
            let left = (PAGE_SLOTS - at) * pairs.len();
            page.pairs.reserve_exact(left.clamp(pairs.len(), page.pairs.len().max(64)));
        }
        page.start[at] = page.pairs.len() as u32;
        page.len[at] = pairs.len() as u16;
        page.pairs.extend_from_slice(pairs);
    }

    /// Forgets the labels of a slot.
    pub fn clear(&mut self, slot: Slot) {
        let (page, at) = split(slot);
        let Some(page) = self.pages.get_mut(page) else { return };
        page.garbage += page.len[at] as usize;
        page.len[at] = 0;
        if page.garbage * 2 > page.pairs.len() {
            let mut pairs = Vec::with_capacity(page.pairs.len() - page.garbage);
            for (start, len) in page.start.iter_mut().zip(*page.len) {
                let old = *start as usize;
                *start = pairs.len() as u32;
                pairs.extend_from_slice(&page.pairs[old..old + len as usize]);
            }
            page.pairs = pairs;
            page.garbage = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_survive_rewrites() {
        let mut labels = SlotLabels::default();
        for slot in 0..600u32 {
            labels.set(slot, &[slot, slot + 1, slot + 2]);
        }
        for slot in (0..600).filter(|s| s % 3 != 0) {
            labels.clear(slot);
        }
        for slot in 0..600u32 {
            let want = if slot % 3 == 0 { vec![slot, slot + 1, slot + 2] } else { vec![] };
            assert_eq!(labels.get(slot), want);
        }
        labels.set(1, &[7]);
        assert_eq!(labels.get(1), [7]);
        assert!(labels.get(10_000).is_empty());
    }
}
