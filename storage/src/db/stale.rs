//! Stale: series that have ended go into blocks before their time, where the configuration asks for
//! it (`stale_series_compaction_threshold`), so that churn does not fill the head.
//!
//! The blocks overlap those that are cut later, and say in a hint that they hold a part of what the
//! head had. All of them are published at once; the series leave the head when every query from
//! before is gone.

use std::sync::Arc;

use model::TimeRange;

use super::maintain::Maintenance;
use super::{Db, DbError, Level};
use crate::block::{self, BlockMeta, HINT_STALE_SERIES};
use crate::head::{Ended, HeadView};
use crate::source::BlockReader;

/// No use in taking series out when a block is cut this soon.
const SOON_MS: i64 = 10 * 60 * 1000;

impl Db {
    /// Writes blocks of the series that have ended and takes those out of the head.
    pub fn compact_stale_series(&self) -> Result<(), DbError> {
        let mut state = super::lock(&self.maintenance);
        self.check_open()?;
        self.compact_stale(&mut state)
    }

    /// Does so when their share of the head is as large as the configuration says. What goes wrong
    /// is logged and counted: ingestion and other compactions go on, the next round tries again.
    pub(super) fn compact_stale_if_due(&self, state: &mut Maintenance) {
        let threshold = self.runtime().stale_series_threshold;
        let metrics = &self.head.metrics;
        let (stale, series) = (metrics.stale_series.get(), metrics.series.get());
        let due = threshold > 0.0 && series > 0 && stale as f64 / series as f64 >= threshold;
        // While queries keep the last ones in memory, more blocks of them are of no use.
        if !due || state.garbage.is_evicting() {
            return;
        }
        let next_cut = state.last_cut.map(|at| at.saturating_add(self.options.min_block_range_ms));
        if next_cut.is_some_and(|at| (self.env.clock)().saturating_add(SOON_MS) > at) {
            return;
        }
        if let Err(error) = self.compact_stale(state) {
            let fields = [("err", error.to_string())];
            self.log(Level::Error, "immediate stale series compaction failed", &fields);
        }
    }

    fn compact_stale(&self, state: &mut Maintenance) -> Result<(), DbError> {
        self.metrics.stale_compactions.add(1);
        self.log(Level::Info, "Starting stale series compaction", &[]);
        let started = (self.env.clock)();
        let (ended, view) = self.head.stale_series(self.options.min_block_range_ms);
        let done = self.write_stale(&ended);
        // It would keep the series where they are.
        drop(view);
        let done = done.and_then(|()| {
            if !ended.is_empty() {
                state.garbage.evict(&self.head, &ended);
            }
            self.collect(state)
        });
        if done.is_err() {
            self.metrics.stale_compactions_failed.add(1);
            return done;
        }
        let took = (self.env.clock)().saturating_sub(started).max(0);
        self.metrics.stale_compaction_seconds.observe(took as f64 / 1000.0);
        let fields =
            [("num_series", ended.slots.len().to_string()), ("duration", format!("{took}ms"))];
        self.log(Level::Info, "Ending stale series compaction", &fields);
        Ok(())
    }

    /// Writes and publishes a block for every block range in which the series have samples. After a
    /// failure none of them stays.
    fn write_stale(&self, ended: &Ended) -> Result<(), DbError> {
        let head_min = self.view.get().head_min;
        let mut written = Vec::new();
        let done = ended.ranges.iter().try_for_each(|&start| {
            let end = start.saturating_add(self.options.min_block_range_ms);
            // What lies before the head's lower bound is in blocks.
            let span = TimeRange { min: start.max(head_min), max: end - 1 };
            let only = ended.slots.clone();
            let source: Arc<dyn BlockReader> =
                Arc::new(HeadView::series(self.head.clone(), span, only));
            let mut meta = BlockMeta::new(self.new_ulid(), start, end, None);
            meta.compaction.set_hint(HINT_STALE_SERIES);
            let ulid = meta.ulid;
            if span.min <= span.max && self.write(&[source], meta)? {
                written.push(ulid);
            }
            Ok(())
        });
        let done =
            done.and_then(|()| if written.is_empty() { Ok(()) } else { self.reload(head_min) });
        if done.is_err() {
            let published = self.block_metas();
            written.retain(|ulid| published.iter().all(|meta| meta.ulid != *ulid));
            for ulid in written {
                // What stays is loaded by the next round, and is as good as what the head has.
                let _ = block::delete(self.env.fs.as_ref(), &self.dir, ulid);
            }
        }
        done
    }
}
