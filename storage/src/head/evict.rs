//! Evict: series that a block holds whole leave the head before their time comes.
//!
//! Their samples stay readable in the head until every view from before the block is gone, and the
//! series can be used as long as an appender may know it: whoever adds to it takes the mark off. What
//! must hold: a removal is logged, and the series leaves lookups and memory, behind one hold of the
//! commit lock. So replay forgets exactly those samples that the block has; without the record (the
//! process ended before) it finds them a second time, with the same values.

use std::collections::BTreeSet;
use std::sync::Arc;

use model::{SeriesRef, TimeRange};

use super::apply::Series;
use super::series::{DYING, NO_SAMPLE, OpenKind, Records, Slot, page_number, place};
use super::truncate::wal_failed;
use super::{Head, HeadView};
use crate::db::DbError;
use crate::record::{RefTombstone, TombstonesEncoder};

/// Series handled under one hold of a lock.
const PIECE: usize = 512;

/// Series of the head that have ended, as they were at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Ended {
    /// Slots in ascending order.
    pub slots: Arc<[Slot]>,
    /// Starts of the block ranges in which they have samples.
    pub ranges: BTreeSet<i64>,
    /// The refs they had.
    refs: Vec<u64>,
    /// Samples of later commits may be missing in what was written.
    watermark: u64,
}

impl Ended {
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// The series, with their refs.
    pub(super) fn series(&self) -> Vec<(Slot, u64)> {
        self.slots.iter().copied().zip(self.refs.iter().copied()).collect()
    }

    pub(super) fn watermark(&self) -> u64 {
        self.watermark
    }
}

impl Head {
    /// The series whose last sample is a staleness marker and that have nothing late, with a view
    /// that keeps their slots from being used again. Block ranges are `width` wide.
    pub(crate) fn stale_series(self: &Arc<Head>, width: i64) -> (Ended, HeadView) {
        let view = HeadView::in_order(self.clone(), TimeRange::ALL);
        let watermark = view.watermark();
        let (mut slots, mut refs, mut ranges) = (Vec::new(), Vec::new(), BTreeSet::new());
        for (first_slot, page) in self.pages.iter() {
            let records = page.lock();
            for at in 0..records.cold.len() {
                let series_ref = records.cold[at].series_ref;
                let dying = page.last_t(at) == DYING;
                if series_ref != 0 && !dying && is_over(&records, at, watermark) {
                    slots.push(first_slot + at as Slot);
                    refs.push(series_ref);
                    add_ranges(&records, at, width, &mut ranges);
                }
            }
        }
        (Ended { slots: slots.into(), ranges, refs, watermark }, view)
    }

    /// Marks those of the series that are as they were; the others stay.
    pub(super) fn mark_ended(&self, series: &[(Slot, u64)], watermark: u64) -> Vec<(Slot, u64)> {
        let mut marked = Vec::with_capacity(series.len());
        for piece in series.chunks(PIECE) {
            let _commits = self.lock_commit();
            for &(slot, series_ref) in piece {
                let Some(page) = self.pages.get(page_number(slot)) else { continue };
                let records = page.lock();
                let at = place(slot);
                if records.cold[at].series_ref == series_ref
                    && page.last_t(at) != DYING
                    && is_over(&records, at, watermark)
                {
                    page.set_last_t(at, DYING);
                    marked.push((slot, series_ref));
                }
            }
        }
        marked
    }

    /// Takes series that still are marked out of log, lookups and memory. What could not be logged
    /// stays in the head.
    pub(super) fn evict(
        &self,
        series: &[(Slot, u64)],
        watermark: u64,
    ) -> (Vec<Slot>, Result<(), DbError>) {
        let mut evicted = Vec::with_capacity(series.len());
        let mut pieces = series.chunks(PIECE);
        while let Some(piece) = pieces.next() {
            if let Err(error) = self.evict_piece(piece, watermark, &mut evicted) {
                std::iter::once(piece).chain(pieces).for_each(|piece| self.unmark(piece));
                return (evicted, Err(error));
            }
        }
        (evicted, Ok(()))
    }

    fn evict_piece(
        &self,
        piece: &[(Slot, u64)],
        watermark: u64,
        evicted: &mut Vec<Slot>,
    ) -> Result<(), DbError> {
        let _commits = self.lock_commit();
        let over = |&&(slot, series_ref): &&(Slot, u64)| {
            self.pages.get(page_number(slot)).is_some_and(|page| {
                let (records, at) = (page.lock(), place(slot));
                records.cold[at].series_ref == series_ref
                    && page.last_t(at) == DYING
                    && is_over(&records, at, watermark)
            })
        };
        let going: Vec<(Slot, u64)> = piece.iter().filter(over).copied().collect();
        if going.is_empty() {
            return Ok(());
        }
        if let Some(wal) = self.wal() {
            let mut record = Vec::new();
            let mut encoder = TombstonesEncoder::new(&mut record);
            let TimeRange { min: min_t, max: max_t } = TimeRange::ALL;
            for &(_, series_ref) in &going {
                encoder.push(RefTombstone { series: SeriesRef(series_ref), min_t, max_t });
            }
            // Nothing is promised with it, so nobody waits until it is durable.
            let record = std::iter::once(record.as_slice());
            wal.append(wal.prepare(record)).map_err(wal_failed)?;
        }
        let slots: Vec<Slot> = going.iter().map(|(slot, _)| *slot).collect();
        let refs: Vec<u64> = going.iter().map(|(_, series_ref)| *series_ref).collect();
        self.index_mut().unlink(&slots);
        self.refs.remove(&refs);
        let mut chunks = 0;
        for &(slot, series_ref) in &going {
            let Some(page) = self.pages.get(page_number(slot)) else { continue };
            let mut records = page.lock();
            chunks += chunks_of(&records, place(slot));
            let series = Series { page, records: &mut records, place: place(slot) };
            self.keep_in_log(series_ref, series.last_t().unwrap_or(NO_SAMPLE));
            page.reset_locked(&mut records, place(slot), 0);
            // Until the slot is free nobody may take it for a series without samples.
            page.set_last_t(place(slot), DYING);
        }
        self.tombstones_remove(&refs);
        self.metrics.series.sub(refs.len() as u64);
        self.metrics.series_removed.add(refs.len() as u64);
        self.metrics.stale_series.sub(refs.len() as u64);
        self.metrics.chunks.sub(chunks);
        self.metrics.chunks_removed.add(chunks);
        evicted.extend(slots);
        Ok(())
    }

    /// Takes the mark off again.
    fn unmark(&self, piece: &[(Slot, u64)]) {
        let _commits = self.lock_commit();
        for &(slot, series_ref) in piece {
            let Some(page) = self.pages.get(page_number(slot)) else { continue };
            let (mut records, at) = (page.lock(), place(slot));
            if records.cold[at].series_ref == series_ref && page.last_t(at) == DYING {
                let last = Series { page, records: &mut records, place: at }.last_t();
                page.set_last_t(at, last.unwrap_or(NO_SAMPLE));
            }
        }
    }
}

/// Whether a series ends with a staleness marker, has samples, none of them late and none of a
/// commit behind the watermark.
fn is_over(records: &Records, at: usize, watermark: u64) -> bool {
    let (hot, cold) = (&records.hot[at], &records.cold[at]);
    hot.stale
        && hot.commit_id <= watermark
        && chunks_of(records, at) > 0
        && cold.ooo().is_none_or(|late| late.is_empty())
}

/// Adds the starts of the block ranges that a series' chunks touch: one each, unless the width was
/// another one when they were filled.
fn add_ranges(records: &Records, at: usize, width: i64, ranges: &mut BTreeSet<i64>) {
    let (hot, cold) = (&records.hot[at], &records.cold[at]);
    let open_end = match hot.open {
        OpenKind::None => None,
        OpenKind::Xor => Some(hot.xor.last_t()),
        OpenKind::Boxed => cold.boxed().map(|open| open.last_t()),
    };
    let mapped = cold.chunks.iter().map(|c| (c.min_t, c.max_t()));
    let waiting = cold.unwritten().iter().map(|c| (c.range.min, c.range.max));
    let open = open_end.map(|end| (hot.min_t, end));
    for (min, max) in mapped.chain(waiting).chain(open) {
        let mut start = min.div_euclid(width).saturating_mul(width);
        while start <= max {
            ranges.insert(start);
            let Some(next) = start.checked_add(width) else { break };
            start = next;
        }
    }
}

/// Chunks of in-order samples.
pub(super) fn chunks_of(records: &Records, at: usize) -> u64 {
    let cold = &records.cold[at];
    let open = usize::from(records.hot[at].open != OpenKind::None);
    (cold.chunks.len() + cold.unwritten().len() + open) as u64
}
