//! Maintain: one round of housekeeping.
//!
//! Cut blocks off the head while it spans more than one and a half ranges, then blocks of what came
//! late; publish the view that has them; let the head forget; shorten the log; merge blocks; apply
//! retention. What must hold: a view is published before the head forgets what its new block holds,
//! and the log is shortened only by what blocks hold durably.

use std::sync::Arc;

use model::{CancelToken, TimeRange};

use super::{Db, DbError, Level};
use crate::block::{self, Block, BlockMeta, HINT_OUT_OF_ORDER};
use crate::chunk::cut::range_end;
use crate::compact::{WriteOptions, plan, write_block};
use crate::fs::Caching;
use crate::head::{Floor, Garbage, HeadView};
use crate::source::BlockReader;

/// What rounds hand on to each other.
#[derive(Default)]
pub(super) struct Maintenance {
    pub(super) garbage: Garbage,
    /// In-order samples before this are in blocks and out of memory: the log may forget them.
    truncate_wal: Option<i64>,
    /// Segments of the log of late samples before this are in blocks.
    truncate_wbl: Option<u64>,
    /// What appenders have to keep to before the next block is cut.
    floor: Option<Floor>,
    /// When a block was last cut off the head, well or not.
    pub(super) last_cut: Option<i64>,
}

impl Db {
    /// Whether the head spans enough for a block to be cut: time to call [`Db::maintain`].
    pub fn wants_maintenance(&self) -> bool {
        self.next_cut().is_some()
    }

    /// One round of housekeeping: cut blocks off the head, forget what they hold, shorten the log,
    /// merge blocks, apply retention. Blocks while it works; call it about once a minute and when
    /// [`Db::wants_maintenance`] says so. A second caller waits.
    pub fn maintain(&self) -> Result<(), DbError> {
        let mut state = super::lock(&self.maintenance);
        self.check_open()?;
        self.metrics.compactions_triggered.add(1);
        let done = self.round(&mut state);
        if done.is_err() {
            self.metrics.compactions_failed.add(1);
        }
        done
    }

    fn round(&self, state: &mut Maintenance) -> Result<(), DbError> {
        let compacted = self.compact(state);
        // Whatever failed: retention may be what makes room again.
        let reloaded = self.reload(self.view.get().head_min);
        self.compact_stale_if_due(state);
        compacted.and(reloaded)
    }

    fn compact(&self, state: &mut Maintenance) -> Result<(), DbError> {
        self.head.write_waiting_chunks();
        let mut cut = false;
        while let Some(range) = self.next_cut() {
            let Some(floor) = self.settled_floor(state, range.max + 1) else { break };
            self.cut(state, range, floor)?;
            cut = true;
        }
        if cut || self.runtime().out_of_order_window_ms == 0 {
            self.cut_late(state)?;
        }
        self.collect(state)?;
        self.head.settle_limits();
        self.head.count_histograms();
        self.merge_blocks()
    }

    /// The next range to cut: from the head's first sample to the end of its block range.
    fn next_cut(&self) -> Option<TimeRange> {
        let head = self.head.time_range()?;
        let range = self.options.min_block_range_ms;
        let span = head.max.checked_sub(head.min)?;
        (span > range / 2 * 3)
            .then(|| TimeRange { min: head.min, max: range_end(head.min, range) - 1 })
    }

    /// A floor from `end` on that all appenders keep to: nobody has a sample that a block up to
    /// there would lack. `None` when one from before still may; a later round asks again.
    fn settled_floor(&self, state: &mut Maintenance, end: i64) -> Option<Floor> {
        let marked = state.floor.filter(|floor| floor.time >= end);
        let floor = *state.floor.insert(marked.unwrap_or_else(|| self.head.floor()));
        (floor.time >= end && self.head.keeps(floor)).then_some(floor)
    }

    /// Writes a block of the in-order samples of `range` and publishes it.
    fn cut(&self, state: &mut Maintenance, range: TimeRange, floor: Floor) -> Result<(), DbError> {
        let end = range.max + 1;
        state.last_cut = Some((self.env.clock)());
        let source: Arc<dyn BlockReader> = Arc::new(HeadView::in_order(self.head.clone(), range));
        let meta = BlockMeta::new(self.new_ulid(), range.min, end, None);
        self.write(&[source], meta)?;
        self.reload(end)?;
        self.head.begin_from(end, floor);
        state.garbage.truncate(&self.head, end, None);
        Ok(())
    }

    /// Writes blocks of what came late, one for each range it touches.
    pub(super) fn cut_late(&self, state: &mut Maintenance) -> Result<(), DbError> {
        let Some(late) = self.head.spill_late() else { return Ok(()) };
        let range = self.options.min_block_range_ms;
        for start in self.head.late_ranges(range) {
            let end = start.saturating_add(range);
            let span = TimeRange { min: start, max: end - 1 };
            let source: Arc<dyn BlockReader> = Arc::new(HeadView::late(self.head.clone(), span));
            let mut meta = BlockMeta::new(self.new_ulid(), start, end, None);
            meta.compaction.set_hint(HINT_OUT_OF_ORDER);
            self.write(&[source], meta)?;
        }
        let head_min = self.view.get().head_min;
        self.reload(head_min)?;
        state.garbage.truncate(&self.head, head_min, Some(late.last_chunk));
        state.truncate_wbl = state.truncate_wbl.max(late.first_segment);
        Ok(())
    }

    /// Lets the head forget what it can, and shortens the logs by that.
    pub(super) fn collect(&self, state: &mut Maintenance) -> Result<(), DbError> {
        let started = (self.env.clock)();
        let (truncated, evicted) = state.garbage.collect(&self.head);
        if truncated.is_some() {
            let took = (self.env.clock)().saturating_sub(started).max(0) as u64;
            self.head.metrics.gc_runs.add(1);
            self.head.metrics.gc_ms.add(took);
        }
        state.truncate_wal = state.truncate_wal.max(truncated);
        if !state.garbage.is_truncating() {
            if let Some(segment) = state.truncate_wbl.take()
                && let Some(wbl) = self.head.wbl()
            {
                wbl.truncate(segment).map_err(|e| DbError::Io(e.to_string()))?;
            }
            if let Some(mint) = state.truncate_wal.take() {
                let done = self.head.truncate_wal(&self.env, mint);
                done.map_err(|e| DbError::Io(format!("WAL truncation: {e}")))?;
            }
        }
        evicted
    }

    /// Merges blocks until the plan is empty. Blocks that end behind the head's lower bound stay out:
    /// they hold what came late only, a merge would not say so any more, and the next start would
    /// take the in-order samples of that time, which only the log has, for stored.
    fn merge_blocks(&self) -> Result<(), DbError> {
        let ranges = self.options.block_ranges();
        loop {
            let view = self.view.get();
            let mut blocks = view.blocks.clone();
            blocks.retain(|b| b.meta().max_time <= view.head_min);
            if let Some(hold) = &self.options.hold {
                // Merging later ones would leave this one behind on its own.
                let held = blocks.iter().position(|b| (hold.0)(b.meta()));
                blocks.truncate(held.unwrap_or(blocks.len()));
            }
            let metas: Vec<BlockMeta> = blocks.iter().map(|b| b.meta().clone()).collect();
            let chosen = plan(&metas, &ranges, self.options.allow_overlapping_compaction);
            if chosen.is_empty() {
                return Ok(());
            }
            let chosen: Vec<Arc<Block>> =
                chosen.into_iter().filter_map(|at| blocks.get(at).cloned()).collect();
            self.merge(&chosen)?;
        }
    }

    fn merge(&self, blocks: &[Arc<Block>]) -> Result<(), DbError> {
        let metas: Vec<&BlockMeta> = blocks.iter().map(|b| b.meta()).collect();
        let overlapping = metas.windows(2).any(|w| w[1].min_time < w[0].max_time);
        let meta = BlockMeta::merge(self.new_ulid(), &metas);
        // What was merged before was written past the page cache, and is read so.
        let source = |block: &Arc<Block>| -> Arc<dyn BlockReader> {
            let caching = match block.meta().compaction.level {
                ..=1 => Caching::Cached,
                _ => Caching::Uncached,
            };
            Arc::new(block.read_ahead(&self.env.fs, caching))
        };
        let sources: Vec<Arc<dyn BlockReader>> = blocks.iter().map(source).collect();
        let fs = self.env.fs.as_ref();
        match self.write(&sources, meta) {
            Ok(true) => {}
            Ok(false) => {
                // Nothing is left of them.
                for block in blocks {
                    self.change_meta(block.with_meta(fs, |m| m.compaction.deletable = true))?;
                }
            }
            // What the system refuses it may allow later; damage stays.
            Err(error @ DbError::Corrupt(_)) => {
                for block in blocks {
                    self.change_meta(block.with_meta(fs, |m| m.compaction.failed = true))?;
                }
                return Err(error);
            }
            Err(error) => return Err(error),
        }
        self.metrics.vertical_compactions.add(u64::from(overlapping));
        self.reload(self.view.get().head_min)
    }

    /// Puts a block whose meta changed in place of the old one.
    pub(super) fn change_meta(
        &self,
        changed: Result<Block, model::QueryError>,
    ) -> Result<(), DbError> {
        let block = Arc::new(changed.map_err(|e| DbError::Io(e.to_string()))?);
        let view = self.view.get();
        let mut blocks = view.blocks.clone();
        for old in &mut blocks {
            if old.meta().ulid == block.meta().ulid {
                *old = block.clone();
            }
        }
        self.view.publish(super::view::DbView { blocks, head_min: view.head_min });
        Ok(())
    }

    /// Writes a block; `false` when there was nothing to write.
    pub(super) fn write(
        &self,
        sources: &[Arc<dyn BlockReader>],
        meta: BlockMeta,
    ) -> Result<bool, DbError> {
        self.write_to(&self.dir, sources, meta)
    }

    /// Writes a block below any directory.
    pub(super) fn write_to(
        &self,
        dir: &std::path::Path,
        sources: &[Arc<dyn BlockReader>],
        meta: BlockMeta,
    ) -> Result<bool, DbError> {
        let started = (self.env.clock)();
        let fields = vec![
            ("mint", meta.min_time.to_string()),
            ("maxt", meta.max_time.to_string()),
            ("ulid", meta.ulid.to_string()),
        ];
        // As in Prometheus, chunks are looked at when they leave the head.
        let first_level = meta.compaction.level <= 1;
        let observe = |chunk: &model::EncodedChunk, samples: usize| {
            self.metrics.chunk_bytes.observe(chunk.data.len() as f64);
            self.metrics.chunk_samples.observe(samples as f64);
            self.metrics.chunk_range.observe(chunk.range.max.abs_diff(chunk.range.min) as f64);
        };
        let options = WriteOptions {
            segment_bytes: self.options.max_block_chunk_segment_bytes,
            xor2: self.runtime().float_encoding == super::FloatEncoding::Xor2,
            // What leaves the head is what queries ask for most.
            caching: if first_level { Caching::Cached } else { Caching::Uncached },
            // Two of the usual length in a head, and a bit.
            join_samples: usize::from(self.options.samples_per_chunk) * 7 / 4,
            on_chunk: first_level.then_some(&observe),
        };
        let cancel = CancelToken::default();
        self.metrics.populating_block.set(1);
        let written = write_block(&self.env.fs, dir, sources, meta, &options, &cancel);
        self.metrics.populating_block.set(0);
        let written = written.map_err(|e| {
            let text = e.to_string();
            if e.is_corruption() { DbError::Corrupt(text) } else { DbError::Io(text) }
        })?;
        self.metrics.compactions.add(1);
        let took = (self.env.clock)().saturating_sub(started);
        self.metrics.compaction_seconds.observe(took as f64 / 1000.0);
        let mut fields = fields;
        fields.push(("duration", format!("{took}ms")));
        self.log(Level::Info, "write block", &fields);
        Ok(written.is_some())
    }

    pub(super) fn new_ulid(&self) -> ulid::Ulid {
        block::new_ulid((self.env.clock)(), (self.env.random)())
    }
}
