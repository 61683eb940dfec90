//! Series records in log order: who is new, whose labels had a ref already, who is gone.

use std::collections::HashSet;

use super::Replay;
use super::shards::Shards;
use crate::head::apply::Series;
use crate::head::evict::chunks_of;
use crate::head::index::{Bulk, Found};
use crate::head::ooo::OooSeries;
use crate::head::refs::RefSnapshot;
use crate::head::series::{MAX_SLOTS, Slot, page_number, place};
use crate::record::SeriesBatch;

/// A ref that the log uses beside the series' own.
#[derive(Clone, Copy)]
pub(super) struct Redirect {
    series_ref: u64,
    slot: Slot,
    /// Time of the newest record under the ref: until then log and checkpoint must keep its series
    /// record.
    pub until: Option<i64>,
}

impl Replay<'_> {
    pub(super) fn series(&mut self, entries: &SeriesBatch, shards: &mut Shards<'_>) {
        let mut created: Vec<(Slot, u64)> = Vec::with_capacity(entries.len());
        let mut known: Vec<(Slot, u64)> = Vec::new();
        let mut last_ref = 0;
        {
            let mut index = self.head.index_mut();
            let mut bulk = Bulk::new(&mut index, &mut self.memory);
            let (next_slot, free_slots) = (&mut self.next_slot, &mut self.free_slots);
            for entry in entries.iter() {
                last_ref = last_ref.max(entry.series.0);
                if entry.labels.is_empty() || entry.series.0 == 0 {
                    continue;
                }
                let found = bulk.find_or_add(entry.hash, entry.labels, || {
                    free_slots.pop().or_else(|| {
                        let slot = *next_slot;
                        ((slot as usize) < MAX_SLOTS).then(|| *next_slot = slot + 1)?;
                        Some(slot)
                    })
                });
                match found {
                    Found::Added(slot) => created.push((slot, entry.series.0)),
                    Found::Known(slot) => known.push((slot, entry.series.0)),
                    Found::Full => {}
                }
            }
            bulk.finish();
        }
        self.head.reserve_ref(last_ref);
        // Or the list of runs would be copied whenever it grows; the next look-up asks again.
        self.refs = RefSnapshot::default();
        self.head.count_created(&created);
        shards.create(created, &mut self.found);
        if !known.is_empty() {
            shards.settle();
        }
        for (slot, series_ref) in known {
            self.repeated(slot, series_ref, shards);
        }
    }

    /// A series record for labels that are there. Usually a ref of an earlier life of the series.
    fn repeated(&mut self, slot: Slot, series_ref: u64, shards: &mut Shards<'_>) {
        let Some(known) = self.head.series_ref(slot).filter(|known| *known != series_ref) else {
            return;
        };
        self.redirect.insert(series_ref, Redirect { series_ref: known, slot, until: None });
        if let Some(attached) = self.found.take(series_ref) {
            shards.attach(slot, attached);
        }
    }

    /// The series a ref of the log means; its records must outlive what still uses the other ref.
    /// One that nobody knows (a power cut took its series record) is never given out again, or a
    /// later series would be taken for it.
    #[inline]
    pub(super) fn resolve(&mut self, series_ref: u64, t: i64) -> Option<(u64, Slot)> {
        if !self.redirect.is_empty()
            && let Some(redirect) = self.redirect.get_mut(&series_ref)
        {
            redirect.until = redirect.until.max(Some(t));
            return Some((redirect.series_ref, redirect.slot));
        }
        let Some(slot) = self.head.refs.lookup(&mut self.refs, series_ref) else {
            self.head.reserve_ref(series_ref);
            return None;
        };
        Some((series_ref, slot))
    }

    /// Takes series out of the head. Nobody reads yet, and the shards rest.
    pub(super) fn remove(&mut self, series: &[(u64, Slot)]) {
        let slots: Vec<Slot> = series.iter().map(|(_, slot)| *slot).collect();
        let refs: Vec<u64> = series.iter().map(|(series_ref, _)| *series_ref).collect();
        let mut index = self.head.index_mut();
        index.unlink(&slots);
        index.release(&slots);
        index.tidy();
        drop(index);
        // What it remembers of pairs may be free now.
        self.memory = Default::default();
        let gone: HashSet<Slot> = slots.iter().copied().collect();
        let head = self.head;
        self.redirect.retain(|series_ref, redirect| {
            let stays = !gone.contains(&redirect.slot);
            if let Some(until) = redirect.until.filter(|_| !stays) {
                head.keep_in_log(*series_ref, until);
            }
            stays
        });
        head.refs.remove(&refs);
        self.refs = RefSnapshot::default();
        let (mut stale, mut chunks) = (0, 0);
        for &slot in &slots {
            let Some(page) = head.pages.get(page_number(slot)) else { continue };
            let mut records = page.lock();
            stale += u64::from(records.hot[place(slot)].stale);
            chunks += chunks_of(&records, place(slot));
            chunks += records.cold[place(slot)].ooo().map_or(0, OooSeries::chunk_count);
            let series_ref = records.cold[place(slot)].series_ref;
            // The ref must not be given out again while the log has samples of it.
            let series = Series { page, records: &mut records, place: place(slot) };
            if let Some(last) = series.last_t() {
                head.keep_in_log(series_ref, last);
            }
        }
        head.clear_slots(&slots);
        // What the shards did is added when they are through; until then the figures may wrap.
        head.metrics.stale_series.sub(stale);
        head.metrics.chunks.sub(chunks);
        head.metrics.series.sub(slots.len() as u64);
        self.free_slots.extend(slots);
    }
}
