//! Garbage collection: what blocks hold now leaves memory, in steps that never wait.
//!
//! 1. `truncate`: once every view that may read below the new lower bound is gone, chunks before it
//!    are dropped. Series without anything left are marked as dying.
//! 2. `bury`: once every appender that may have judged a sample before the mark is gone, series still
//!    dying leave lookups and lists. An append in between takes the mark off.
//! 3. `recycle`: once every view and appender that may know a buried series' slot is gone, its labels
//!    are released and the slot can be used again.
//!
//! Series that a block holds whole go the same way without a bound in time (`evict`): `end` waits for
//! views as `truncate` does and marks, `evict` drops samples and series as one.
//!
//! The records of buried series stay in log and checkpoint while the log has samples of them.

use std::sync::Arc;

use super::Head;
use super::evict::{Ended, chunks_of};
use super::series::{DYING, Hot, OpenKind, Page, Records, Slot, page_number, place};
use crate::chunk::ChunkRef;
use crate::db::DbError;

/// Series handled under one hold of a lock.
const PIECE: usize = 512;

/// Series on their way out, with the refs they had.
type Slots = Vec<(Slot, u64)>;

/// A step that waits for views or appenders to go.
#[derive(Debug)]
enum Step {
    /// Drop what is before `mint`, and of late samples the chunks up to `late` in `chunks_head`.
    Truncate {
        mint: i64,
        late: Option<u64>,
        views: u64,
    },
    Bury {
        slots: Slots,
        mint: i64,
        appenders: u64,
    },
    /// Mark the series that a block of `views` on has, as of `watermark`.
    End {
        slots: Slots,
        watermark: u64,
        views: u64,
    },
    /// Series still marked leave memory with all of their samples.
    Evict {
        slots: Slots,
        watermark: u64,
        appenders: u64,
    },
    Recycle {
        slots: Vec<Slot>,
        views: u64,
        appenders: u64,
    },
}

/// What has to be done yet, in order.
#[derive(Debug, Default)]
pub(crate) struct Garbage {
    steps: Vec<Step>,
}

/// What one pass over all series found.
#[derive(Debug)]
struct Pass {
    dying: Slots,
    chunks_removed: u64,
    /// Bounds of late samples left.
    late: (i64, i64),
    /// Lowest `chunks_head` file still needed.
    file: u32,
}

impl Garbage {
    /// Everything before `mint` is in blocks of a view that has been published; with `late`, so are
    /// late samples in chunks of `chunks_head` up to that place.
    pub fn truncate(&mut self, head: &Head, mint: i64, late: Option<u64>) {
        self.steps.push(Step::Truncate { mint, late, views: head.isolation.mark() });
    }

    /// All samples of these series are in blocks of a view that has been published.
    pub fn evict(&mut self, head: &Head, ended: &Ended) {
        let (slots, watermark) = (ended.series(), ended.watermark());
        self.steps.push(Step::End { slots, watermark, views: head.isolation.mark() });
    }

    /// Whether series that have ended wait for their turn.
    pub fn is_evicting(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Step::End { .. } | Step::Evict { .. }))
    }

    /// Whether something that blocks hold is still in memory.
    pub fn is_truncating(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Step::Truncate { .. }))
    }

    /// Does what can be done now. Returns the highest bound that was truncated to, and the first
    /// error of evicting.
    pub fn collect(&mut self, head: &Arc<Head>) -> (Option<i64>, Result<(), DbError>) {
        let mut truncated = None;
        let mut evicted = Ok(());
        let mut waiting = Vec::new();
        let mut steps = std::mem::take(&mut self.steps);
        while !steps.is_empty() {
            for step in std::mem::take(&mut steps) {
                match head.collect_step(step) {
                    Outcome::Waits(step) => waiting.push(step),
                    Outcome::Done { next, mint } => {
                        steps.extend(next);
                        truncated = truncated.max(mint);
                    }
                    Outcome::Evicted { next, done } => {
                        steps.extend(next);
                        evicted = evicted.and(done);
                    }
                }
            }
        }
        self.steps = waiting;
        (truncated, evicted)
    }
}

enum Outcome {
    Waits(Step),
    Done { next: Option<Step>, mint: Option<i64> },
    Evicted { next: Option<Step>, done: Result<(), DbError> },
}

impl Head {
    fn collect_step(&self, step: Step) -> Outcome {
        let views_gone = |mark: u64| self.isolation.gone_before(mark);
        let appenders_gone = |mark: u64| self.appenders.gone_before(mark);
        match step {
            Step::Truncate { mint, late, views } if views_gone(views) => {
                let slots = self.truncate_memory(mint, late);
                let appenders = self.appenders.mark();
                let next = (!slots.is_empty()).then_some(Step::Bury { slots, mint, appenders });
                Outcome::Done { next, mint: Some(mint) }
            }
            Step::Bury { slots, mint, appenders } if appenders_gone(appenders) => {
                let slots = self.bury(slots, mint);
                Outcome::Done { next: self.recycle_later(slots), mint: None }
            }
            Step::End { slots, watermark, views } if views_gone(views) => {
                let slots = self.mark_ended(&slots, watermark);
                let appenders = self.appenders.mark();
                let next =
                    (!slots.is_empty()).then_some(Step::Evict { slots, watermark, appenders });
                Outcome::Done { next, mint: None }
            }
            Step::Evict { slots, watermark, appenders } if appenders_gone(appenders) => {
                let (slots, done) = self.evict(&slots, watermark);
                Outcome::Evicted { next: self.recycle_later(slots), done }
            }
            Step::Recycle { slots, views, appenders }
                if views_gone(views) && appenders_gone(appenders) =>
            {
                self.recycle(&slots);
                Outcome::Done { next: None, mint: None }
            }
            waits => Outcome::Waits(waits),
        }
    }

    fn recycle_later(&self, slots: Vec<Slot>) -> Option<Step> {
        let (views, appenders) = (self.isolation.mark(), self.appenders.mark());
        (!slots.is_empty()).then_some(Step::Recycle { slots, views, appenders })
    }

    /// Drops chunks and returns the series that have nothing left, marked.
    fn truncate_memory(&self, mint: i64, late: Option<u64>) -> Slots {
        self.metrics.truncations.add(1);
        self.begin_late();
        let mut pass = Pass {
            dying: Vec::new(),
            chunks_removed: 0,
            late: (i64::MAX, i64::MIN),
            file: u32::MAX,
        };
        for (first_slot, page) in self.pages.iter() {
            // One page at a time, so that commits go on in between.
            let _commits = self.lock_commit();
            let mut records = page.lock();
            for at in 0..records.cold.len() {
                if records.cold[at].series_ref != 0 {
                    pass.series(page, &mut records, at, first_slot, mint, late);
                }
            }
        }
        self.metrics.chunks.sub(pass.chunks_removed);
        self.metrics.chunks_removed.add(pass.chunks_removed);
        self.tombstones_truncate(mint);
        self.set_late(pass.late);
        // A file that cannot be removed now is removed in a later round.
        let _ = self.chunks.files().truncate(pass.file);
        pass.dying
    }

    /// Takes series that nobody revived out of lookups, a few at a time so that commits go on.
    fn bury(&self, slots: Slots, mint: i64) -> Vec<Slot> {
        let mut buried = Vec::with_capacity(slots.len());
        for piece in slots.chunks(PIECE) {
            self.bury_piece(piece, mint, &mut buried);
        }
        buried
    }

    fn bury_piece(&self, slots: &[(Slot, u64)], mint: i64, buried: &mut Vec<Slot>) {
        let _commits = self.lock_commit();
        let before = buried.len();
        let mut refs = Vec::with_capacity(slots.len());
        let mut stale = 0;
        for &(slot, series_ref) in slots {
            let Some(page) = self.pages.get(page_number(slot)) else { continue };
            let mut records = page.lock();
            let at = place(slot);
            let unchanged = page.last_t(at) == DYING
                && records.cold[at].series_ref == series_ref
                && chunks_of(&records, at) == 0
                && records.cold[at].ooo().is_none_or(|o| o.is_empty());
            if unchanged {
                records.cold[at].series_ref = 0;
                stale += u64::from(records.hot[at].stale);
                buried.push(slot);
                refs.push(series_ref);
            }
        }
        self.index_mut().unlink(&buried[before..]);
        self.refs.remove(&refs);
        refs.iter().for_each(|r| self.keep_in_log(*r, mint));
        self.tombstones_remove(&refs);
        self.metrics.series.sub(refs.len() as u64);
        self.metrics.series_removed.add(refs.len() as u64);
        self.metrics.stale_series.sub(stale);
    }

    /// Makes buried series' slots free. Nobody knows them any more, so commits need not wait until
    /// they are handed out again.
    fn recycle(&self, slots: &[Slot]) {
        for piece in slots.chunks(PIECE) {
            self.index_mut().release(piece);
            for &slot in piece {
                if let Some(page) = self.pages.get(page_number(slot)) {
                    page.reset(place(slot), 0);
                }
            }
        }
        self.index_mut().tidy();
        let mut freed = slots.to_vec();
        freed.sort_unstable_by(|a, b| b.cmp(a));
        let mut state = self.lock_commit();
        state.free_slots.extend(freed);
        // Stable, because it merges the two runs.
        state.free_slots.sort_by(|a, b| b.cmp(a));
    }
}

impl Pass {
    /// Drops what one series does not need any more.
    fn series(
        &mut self,
        page: &Page,
        records: &mut Records,
        at: usize,
        first_slot: Slot,
        mint: i64,
        late: Option<u64>,
    ) {
        let Records { hot, cold, slab, .. } = records;
        let (hot, cold): (&mut Hot, _) = (&mut hot[at], &mut cold[at]);
        let mut removed = cold.chunks.retain(|c| c.max_t() >= mint);
        if let Some(extra) = &mut cold.extra {
            let before = extra.unwritten.len();
            extra.unwritten.retain(|c| c.range.max >= mint);
            removed += before - extra.unwritten.len();
            if let (Some(ooo), Some(upto)) = (&mut extra.ooo, late) {
                let before = ooo.chunks.len();
                ooo.chunks.retain(|c| c.chunk_ref > upto);
                removed += before - ooo.chunks.len();
                if ooo.is_empty() {
                    extra.ooo = None;
                }
            }
        }
        let open_last = match hot.open {
            OpenKind::None => None,
            OpenKind::Xor => Some(hot.xor.last_t()),
            OpenKind::Boxed => cold.boxed().map(|o| o.last_t()),
        };
        if open_last.is_some_and(|last| last < mint) {
            hot.tail.clear(slab);
            hot.open = OpenKind::None;
            if let Some(extra) = &mut cold.extra {
                extra.open = None;
            }
            removed += 1;
        }
        self.chunks_removed += removed as u64;
        let in_order = cold.chunks.first().is_some()
            || !cold.unwritten().is_empty()
            || hot.open != OpenKind::None;
        let needed = cold.chunks.first().map(|c| ChunkRef(c.chunk_ref).file());
        self.file = self.file.min(needed.unwrap_or(u32::MAX));
        if let Some(ooo) = cold.ooo().filter(|o| !o.is_empty()) {
            let (min, max) = ooo.bounds();
            self.late = (self.late.0.min(min), self.late.1.max(max));
            let files = ooo.chunks.iter().map(|c| ChunkRef(c.chunk_ref).file());
            self.file = files.fold(self.file, u32::min);
        } else if !in_order {
            page.set_last_t(at, DYING);
            self.dying.push((first_slot + at as Slot, cold.series_ref));
        }
    }
}
