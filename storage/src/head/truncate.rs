//! Shortening the logs, and the other services of the head to its maintenance.

use model::{CancelToken, Matcher, SeriesRef, TimeRange};

use super::apply::{Apply, Series};
use super::log::LoggedAt;
use super::series::{Slot, page_number, place};
use super::{Head, lock, write};
use crate::db::{DbError, Env};
use crate::postings::postings_for_matchers;
use crate::record::{RefTombstone, TombstonesEncoder};
use crate::wal::{WalError, checkpoint, segments};

/// Series deleted from under one hold of the commit lock.
const DELETE_PIECE: usize = 1024;

/// What came late, all of it in `chunks_head` now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Late {
    /// Everything up to this place of `chunks_head` is part of it.
    pub last_chunk: u64,
    /// The log of late samples is not needed before this segment.
    pub first_segment: Option<u64>,
}

/// A time before which appenders refuse in-order samples, once those from before the mark are gone.
/// Those may have staged some that are older: they are promised to their senders.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Floor {
    pub time: i64,
    appenders: u64,
}

impl Head {
    /// What appenders that open from now on judge by, or by something later.
    pub(crate) fn floor(&self) -> Floor {
        // In this order: who opens behind the mark sees this newest time or a newer one.
        let time = self.times.max().saturating_sub(self.options.min_block_range_ms / 2);
        Floor { time, appenders: self.appenders.mark() }
    }

    /// Whether all appenders keep to `floor`.
    pub(crate) fn keeps(&self, floor: Floor) -> bool {
        self.appenders.gone_before(floor.appenders)
    }

    /// Waits for a commit that is at work.
    pub(crate) fn rest(&self) {
        drop(self.lock_commit());
    }

    /// Chunks may reach below what blocks hold; the head begins behind them.
    pub(super) fn begin_behind_blocks(&self, min_valid: i64) {
        if self.times.is_set() && self.times.min() < min_valid {
            self.times.truncate(min_valid);
        }
    }

    /// Hands what `chunks_head` has in memory to the system.
    pub(crate) fn flush_chunks(&self) -> Result<(), crate::file_error::FileError> {
        self.chunks.files().sync()
    }

    /// Tries again to write chunks that had to stay in memory.
    pub(crate) fn write_waiting_chunks(&self) {
        if !self.chunks.take_failed() {
            return;
        }
        for (_, page) in self.pages.iter() {
            let _commits = self.lock_commit();
            let mut apply = self.apply(0);
            let mut records = page.lock();
            for place in 0..records.cold.len() {
                let mut series = Series { page, records: &mut records, place };
                series.write_waiting(&mut apply);
            }
            self.metrics.mmap_chunks.add(apply.done.chunks_mapped);
        }
    }

    /// Whether samples inside `range` may have come late and not be in a block.
    pub(crate) fn has_late(&self, range: TimeRange) -> bool {
        let (min, max) = self.late_bounds();
        min <= max && TimeRange { min, max }.overlaps(range)
    }

    /// Moves all late samples to `chunks_head`; `None` when there are none.
    pub(crate) fn spill_late(&self) -> Option<Late> {
        let (min, max) = self.late_bounds();
        if min > max {
            return None;
        }
        // What comes from here on is logged behind the new segment.
        let first_segment = self.wbl().and_then(|wbl| wbl.next_segment().ok());
        for (_, page) in self.pages.iter() {
            let _commits = self.lock_commit();
            let apply: Apply<'_> = self.apply(0);
            let mut more = 0;
            let mut records = page.lock();
            for cold in records.cold.iter_mut() {
                let series_ref = cold.series_ref;
                let ooo = cold.extra.as_mut().and_then(|e| e.ooo.as_mut());
                if let Some(ooo) = ooo.filter(|o| !o.samples.is_empty()) {
                    let before = ooo.chunk_count();
                    ooo.spill(series_ref, apply.chunks, apply.ooo_encoding());
                    more += ooo.chunk_count().saturating_sub(before);
                }
            }
            self.metrics.chunks.add(more);
            self.metrics.chunks_created.add(more);
        }
        Some(Late { last_chunk: self.chunks.last_written(), first_segment })
    }

    /// Drops from the log what blocks hold: nothing before `mint` is needed of the first two thirds
    /// of its segments.
    pub(crate) fn truncate_wal(&self, env: &Env, mint: i64) -> Result<(), WalError> {
        let Some(wal) = self.wal() else { return Ok(()) };
        let started = (env.clock)();
        let all = segments(env.fs.as_ref(), wal.dir())?;
        let (Some(first), Some(last)) = (all.first(), all.last()) else { return Ok(()) };
        let (first, last) = (first.index, last.index);
        // A quiet head would otherwise never end a segment.
        wal.next_segment()?;
        let Some(last) = last.checked_sub(1).filter(|last| *last >= first) else { return Ok(()) };
        let last = first + (last - first) * 2 / 3;
        if last <= first {
            return Ok(());
        }
        self.metrics.checkpoint_creations.add(1);
        let mut refs = self.refs.snapshot();
        let refs = std::cell::RefCell::new(&mut refs);
        let kept = lock(&self.kept_in_log).clone();
        let all = self.all_kept_in_log.load(std::sync::atomic::Ordering::Relaxed) >= mint;
        let keep = checkpoint::Keep {
            series: &|series| {
                all || self.refs.lookup(&mut refs.borrow_mut(), series.0).is_some()
                    || kept.get(&series.0).is_some_and(|until| *until >= mint)
            },
            min_t: mint,
        };
        let compression = wal.options().compression;
        let made = checkpoint::create(&env.fs, wal.dir(), (first, last), &keep, compression);
        if let Err(error) = made {
            self.metrics.checkpoint_creations_failed.add(1);
            if matches!(error, WalError::Corruption(_)) {
                self.metrics.wal_corruptions.add(1);
            }
            return Err(error);
        }
        // What is left behind here is superseded by the checkpoint and removed in a later round.
        let _ = wal.truncate(last + 1);
        lock(&self.kept_in_log).retain(|_, until| *until >= mint);
        self.metrics.checkpoint_deletions.add(1);
        if checkpoint::delete_before(env.fs.as_ref(), wal.dir(), last).is_err() {
            self.metrics.checkpoint_deletions_failed.add(1);
        }
        self.metrics.wal_truncate_runs.add(1);
        let took = (env.clock)().saturating_sub(started).max(0);
        self.metrics.wal_truncate_ms.add(took as u64);
        Ok(())
    }

    /// Deletes the samples inside `range` of the series that satisfy all matchers.
    pub(crate) fn delete(&self, range: TimeRange, matchers: &[Matcher]) -> Result<(), DbError> {
        let slots = {
            let index = self.index();
            let cache = Some(&self.postings_cache);
            postings_for_matchers(&*index, matchers, cache, &CancelToken::default())
                .map_err(|e| DbError::Io(e.to_string()))?
        };
        let mut last = None;
        let logged = slots.chunks(DELETE_PIECE).try_for_each(|slots| {
            last = self.delete_piece(range, slots)?.or(last.take());
            Ok(())
        });
        if let Some((wal, at)) = last {
            wal.settle(at).map_err(wal_failed)?;
        }
        logged
    }

    /// Deletes what a few series have at this moment. No commit comes in between, so log and memory
    /// agree on what was there.
    fn delete_piece(&self, range: TimeRange, slots: &[Slot]) -> Result<LoggedAt, DbError> {
        let _commits = self.lock_commit();
        let mut stones = Vec::new();
        for &slot in slots {
            let Some(page) = self.pages.get(page_number(slot)) else { continue };
            let mut records = page.lock();
            let series_ref = records.cold[place(slot)].series_ref;
            let series = Series { page, records: &mut records, place: place(slot) };
            let (first, last) = (series.first_t(), series.last_t());
            let late = series.records.cold[series.place].ooo().map(|late| late.bounds());
            let bounds = first.zip(last).into_iter().chain(late);
            let (first, last) = bounds.fold((i64::MAX, i64::MIN), |(min, max), (first, last)| {
                (min.min(first), max.max(last))
            });
            let range = TimeRange { min: range.min.max(first), max: range.max.min(last) };
            if series_ref != 0 && range.min <= range.max {
                stones.push((series_ref, range));
            }
        }
        if stones.is_empty() {
            return Ok(None);
        }
        let mut record = Vec::new();
        let mut encoder = TombstonesEncoder::new(&mut record);
        for (series_ref, range) in &stones {
            let series = SeriesRef(*series_ref);
            encoder.push(RefTombstone { series, min_t: range.min, max_t: range.max });
        }
        let logged = match self.wal() {
            Some(wal) => {
                let record = std::iter::once(record.as_slice());
                let at = wal.append(wal.prepare(record)).map_err(wal_failed)?;
                Some((wal, at))
            }
            None => None,
        };
        let mut tombstones = write(&self.tombstones);
        stones.into_iter().for_each(|(series_ref, range)| tombstones.add(series_ref, range));
        Ok(logged)
    }
}

pub(super) fn wal_failed(error: WalError) -> DbError {
    DbError::Io(error.to_string())
}
