//! Reload: the blocks on disk become the blocks of the view; what is obsolete goes.
//!
//! Obsolete are the parents of loaded blocks, blocks a merge left nothing of, and what retention
//! takes. Directories go after the view without them is published.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use ulid::Ulid;

use super::view::DbView;
use super::{Db, DbError, Level};
use crate::block::{self, Block};
use crate::compact::{Limits, Retained, expired, overlaps, size_limit};

impl Db {
    /// Loads blocks that came, drops those that went, publishes the view with `head_min` as its
    /// lower bound of the head.
    pub(super) fn reload(&self, head_min: i64) -> Result<(), DbError> {
        self.metrics.reloads.add(1);
        let done = self.reload_blocks(head_min);
        if done.is_err() {
            self.metrics.reloads_failed.add(1);
        }
        done
    }

    fn reload_blocks(&self, head_min: i64) -> Result<(), DbError> {
        let (loaded, corrupted) = self.open_blocks()?;
        let mut gone: HashSet<Ulid> = HashSet::new();
        for block in &loaded {
            gone.extend(block.meta().compaction.parents.iter().map(|p| p.ulid));
        }
        if let Some((ulid, error)) = corrupted.iter().find(|(ulid, _)| !gone.contains(*ulid)) {
            return Err(DbError::Corrupt(format!("corrupted block {ulid}: {error}")));
        }
        let mut blocks: Vec<Arc<Block>> =
            loaded.into_iter().filter(|b| !gone.contains(&b.meta().ulid)).collect();
        gone.extend(self.expired(&blocks));
        blocks.retain(|b| !gone.contains(&b.meta().ulid));
        blocks.sort_by_key(|b| (b.meta().min_time, b.meta().max_time, b.meta().ulid));

        self.metrics.blocks_loaded.set(blocks.len() as u64);
        self.metrics.blocks_bytes.set(blocks.iter().map(|b| b.size_bytes()).sum());
        self.view.publish(DbView { blocks, head_min });
        self.warn_of_overlaps();
        self.metrics.lowest_timestamp.set(self.start_time().unwrap_or(0));
        for ulid in gone {
            if let Err(error) = block::delete(self.env.fs.as_ref(), &self.dir, ulid) {
                let fields = [("block", ulid.to_string()), ("err", error.to_string())];
                self.log(Level::Error, "Failed to delete block", &fields);
            } else {
                self.log(Level::Info, "Deleting obsolete block", &[("block", ulid.to_string())]);
            }
        }
        Ok(())
    }

    /// Says when blocks overlap that did not before, where it is our task to merge them.
    fn warn_of_overlaps(&self) {
        if !self.options.allow_overlapping_compaction {
            return;
        }
        let view = self.view.get();
        let found = overlaps(view.blocks.iter().map(|b| b.meta()));
        let detail: Vec<String> = found.iter().map(ToString::to_string).collect();
        let detail = detail.join("\n");
        let mut last = super::lock(&self.overlaps);
        if *last != detail && !detail.is_empty() {
            let text = "Overlapping blocks found during reloadBlocks";
            self.log(Level::Warn, text, &[("detail", detail.clone())]);
        }
        *last = detail;
    }

    /// Every block on disk; those of the view that did not change stay as they are.
    #[allow(clippy::type_complexity, reason = "two results of one walk")]
    fn open_blocks(&self) -> Result<(Vec<Arc<Block>>, HashMap<Ulid, String>), DbError> {
        let view = self.view.get();
        let known: HashMap<Ulid, &Arc<Block>> =
            view.blocks.iter().map(|b| (b.meta().ulid, b)).collect();
        let fs = self.env.fs.as_ref();
        let dirs = block::list(fs, &self.dir).map_err(|e| self.io(&self.dir, &e))?;
        let mut loaded = Vec::with_capacity(dirs.len());
        let mut corrupted = HashMap::new();
        for dir in dirs {
            let name = dir.file_name().and_then(|n| n.to_str()).unwrap_or_default();
            let Ok(ulid) = Ulid::from_string(name) else { continue };
            if let Some(block) = known.get(&ulid) {
                loaded.push((*block).clone());
                continue;
            }
            match Block::open(fs, &dir) {
                Ok(block) => loaded.push(Arc::new(block)),
                Err(error) => {
                    corrupted.insert(ulid, error.to_string());
                }
            }
        }
        Ok((loaded, corrupted))
    }

    /// What retention and emptied merges take.
    fn expired(&self, blocks: &[Arc<Block>]) -> Vec<Ulid> {
        let runtime = self.runtime();
        let retained: Vec<Retained> = (blocks.iter())
            .map(|b| Retained {
                ulid: b.meta().ulid,
                max_time: b.meta().max_time,
                size_bytes: b.size_bytes(),
                deletable: b.meta().compaction.deletable,
            })
            .collect();
        let space = self.env.fs.space(&self.dir).ok().map(|s| s.total_bytes);
        let limits = Limits {
            time_ms: runtime.retention_time_ms,
            size_bytes: size_limit(runtime.retention_bytes, runtime.retention_percentage, space),
        };
        let found = expired(&retained, self.head_bytes(), limits);
        self.metrics.time_retentions.add(u64::from(found.by_time));
        self.metrics.size_retentions.add(u64::from(found.by_size));
        found.ulids
    }

    /// Bytes of the log and of `chunks_head`.
    fn head_bytes(&self) -> u64 {
        let size = |name: &str| self.env.fs.dir_size(&self.dir.join(name)).unwrap_or(0);
        size("wal") + size("wbl") + size("chunks_head")
    }
}
