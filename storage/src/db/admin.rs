//! Admin: what an operator asks for: deleting series, cleaning up after it, snapshots.

use std::path::Path;
use std::sync::Arc;

use model::{CancelToken, Matcher, TimeRange};

use super::{Db, DbError};
use crate::block::{Block, BlockMeta};
use crate::head::HeadView;
use crate::source::BlockReader;

impl Db {
    /// Deletes the samples of `range` of series that satisfy one of the matcher sets.
    pub fn delete_series(
        &self,
        range: TimeRange,
        matcher_sets: &[Vec<Matcher>],
    ) -> Result<(), DbError> {
        let mut maintenance = super::lock(&self.maintenance);
        self.check_open()?;
        let cancel = CancelToken::default();
        if self.head.has_late(range) {
            // A block cut from them later would know nothing of the deletion.
            self.cut_late(&mut maintenance)?;
        }
        for matchers in matcher_sets {
            for block in &self.view.get().blocks {
                if !block.range().overlaps(range) {
                    continue;
                }
                let deleted = block.delete(self.env.fs.as_ref(), range, matchers, &cancel);
                if let Some(block) = deleted.map_err(|e| DbError::Io(e.to_string()))? {
                    self.change_meta(Ok(block))?;
                }
            }
            self.head.delete(range, matchers)?;
        }
        // Where nobody looks at it any more, what was cut leaves memory at once.
        self.collect(&mut maintenance)
    }

    /// Rewrites blocks so that deleted samples are gone from disk.
    pub fn clean_tombstones(&self) -> Result<(), DbError> {
        let _maintenance = super::lock(&self.maintenance);
        self.check_open()?;
        let started = (self.env.clock)();
        let dirty: Vec<Arc<Block>> =
            self.view.get().blocks.iter().filter(|b| !b.tombstones().is_empty()).cloned().collect();
        for block in dirty {
            let old = block.meta();
            let ulid = self.new_ulid();
            let mut meta = BlockMeta::new(ulid, old.min_time, old.max_time, Some(old));
            meta.compaction.parents = vec![old.desc()];
            let source: Arc<dyn BlockReader> = block.clone();
            if !self.write(&[source], meta)? {
                let fs = self.env.fs.as_ref();
                self.change_meta(block.with_meta(fs, |m| m.compaction.deletable = true))?;
            }
            self.reload(self.view.get().head_min)?;
        }
        let took = (self.env.clock)().saturating_sub(started).max(0);
        self.metrics.tombstone_cleanup_seconds.observe(took as f64 / 1000.0);
        Ok(())
    }

    /// Hard-links all blocks into `dir`, and writes the head as a block there if `with_head`.
    pub fn snapshot(&self, dir: &Path, with_head: bool) -> Result<(), DbError> {
        let _maintenance = super::lock(&self.maintenance);
        self.check_open()?;
        if dir == self.dir {
            return Err(DbError::Invalid("cannot snapshot into base directory".into()));
        }
        self.env.fs.create_dir_all(dir).map_err(|e| self.io(dir, &e))?;
        let view = self.view.get();
        for block in &view.blocks {
            block.link_into(self.env.fs.as_ref(), dir).map_err(|e| DbError::Io(e.to_string()))?;
        }
        if with_head && let Some(range) = self.head.time_range() {
            let range = TimeRange { min: range.min.max(view.head_min), max: range.max };
            let source: Arc<dyn BlockReader> =
                Arc::new(HeadView::in_order(self.head.clone(), range));
            let end = range.max.saturating_add(1);
            let meta = BlockMeta::new(self.new_ulid(), range.min, end, None);
            self.write_to(dir, &[source], meta)?;
        }
        Ok(())
    }
}
