//! Db: a data directory, open. Blocks, head, log, and what moves samples from one to the other.

mod admin;
mod block_writer;
mod closed;
mod env;
mod maintain;
mod metrics;
mod open;
mod options;
mod read_only;
mod reload;
mod stale;
#[cfg(test)]
mod tests;
mod view;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use model::{
    AppendOptions, Appendable, Appender, Exemplar, Labels, Matcher, Querier, QueryError, Queryable,
    TimeRange,
};

pub use block_writer::BlockWriter;
pub use env::{Env, Job, Level, LogFn, ReplayProgress, SpawnFn};
pub use metrics::DbMetrics;
pub use options::{
    DEFAULT_BLOCK_RANGE_MS, FloatEncoding, HeadSnapshot, HoldBlock, Options, RuntimeOptions,
    WalCompression, WalFsync,
};
pub use read_only::{ReadOnlyDb, ReadOnlyView};

use self::maintain::Maintenance;
use self::view::CurrentView;
use crate::block::BlockMeta;
use crate::fs::DirLock;
use crate::head::Head;
pub use crate::head::limits::{LimitStats, Refusals};
pub use crate::head::metrics::{Distribution, HeadMetrics};
pub use crate::head::stats::{HeadGauges, HeadStats, NameCount};
use crate::read::MergeQuerier;
use crate::source::BlockReader;
use crate::wal::Wal;

/// Why an operation on the directory failed.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// Another process has the directory.
    #[error("{0}")]
    Locked(String),
    /// The operating system said no; names the file.
    #[error("{0}")]
    Io(String),
    /// Stored bytes are not what they should be; names file and offset.
    #[error("{0}")]
    Corrupt(String),
    /// The database is closed.
    #[error("db already closed")]
    Closed,
    /// The caller asked for something that makes no sense.
    #[error("{0}")]
    Invalid(String),
}

/// An open data directory.
pub struct Db {
    dir: PathBuf,
    options: Options,
    runtime: RwLock<RuntimeOptions>,
    env: Env,
    metrics: DbMetrics,
    head: Arc<Head>,
    view: CurrentView,
    maintenance: Mutex<Maintenance>,
    lock: Mutex<Option<DirLock>>,
    /// What was last said of overlapping blocks.
    overlaps: Mutex<String>,
    closed: AtomicBool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Db {
    /// The data directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What it was opened with.
    pub fn options(&self) -> &Options {
        &self.options
    }

    fn runtime(&self) -> RuntimeOptions {
        *self.runtime.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn log(&self, level: Level, message: &str, fields: &[(&str, String)]) {
        (self.env.log)(level, message, fields);
    }

    fn io(&self, path: &Path, error: &std::io::Error) -> DbError {
        DbError::Io(format!("{}: {error}", path.display()))
    }

    fn check_open(&self) -> Result<(), DbError> {
        if self.closed.load(Ordering::Acquire) { Err(DbError::Closed) } else { Ok(()) }
    }

    /// Takes over what a configuration reload changed.
    pub fn apply(&self, runtime: RuntimeOptions) -> Result<(), DbError> {
        self.check_open()?;
        let mut runtime = runtime;
        runtime.out_of_order_window_ms = runtime.out_of_order_window_ms.max(0);
        if runtime.out_of_order_window_ms > 0 && self.head.wbl().is_none() {
            self.head.set_wbl(Arc::new(self.open_log("wbl")?));
        }
        *self.runtime.write().unwrap_or_else(PoisonError::into_inner) = runtime;
        self.head.apply_runtime(runtime);
        Ok(())
    }

    /// The write-ahead log, for readers that follow it (remote write).
    pub fn wal(&self) -> Option<Arc<Wal>> {
        self.head.wal()
    }

    /// The log of late samples, if there is one.
    pub fn wbl(&self) -> Option<Arc<Wal>> {
        self.head.wbl()
    }

    /// The limits of retention in force: milliseconds, bytes and percent; 0 = none.
    pub fn retention_limits(&self) -> (i64, u64, f64) {
        let runtime = self.runtime();
        (runtime.retention_time_ms, runtime.retention_bytes, runtime.retention_percentage)
    }

    /// First time of any sample stored; `None` when there is none.
    pub fn start_time(&self) -> Option<i64> {
        let first_block = self.view.get().blocks.first().map(|b| b.meta().min_time);
        first_block.or_else(|| self.head.time_range().map(|r| r.min))
    }

    /// First and last time of in-order samples in the head; `None` when it is empty.
    pub fn head_range(&self) -> Option<TimeRange> {
        self.head.time_range()
    }

    /// The blocks, in order of time.
    pub fn block_metas(&self) -> Vec<BlockMeta> {
        self.view.get().blocks.iter().map(|b| b.meta().clone()).collect()
    }

    /// Bytes of the blocks' files.
    pub fn blocks_bytes(&self) -> u64 {
        self.view.get().blocks.iter().map(|b| b.size_bytes()).sum()
    }

    /// What `/api/v1/status/tsdb` shows of the head; `limit` entries a list.
    pub fn head_stats(&self, limit: usize) -> HeadStats {
        self.head.stats(limit)
    }

    /// The limits of the head, how far off they are, and the `most` refused.
    pub fn head_limits(&self, most: usize) -> LimitStats {
        self.head.limit_stats(most)
    }

    /// Bytes of memory that series of the head take, counted by walking over all of them.
    pub fn head_memory_bytes(&self) -> u64 {
        self.head.memory_bytes()
    }

    /// What the head has right now, beside its counters.
    pub fn head_gauges(&self) -> HeadGauges {
        self.head.gauges()
    }

    /// Exemplars inside `range` of series that satisfy one of the matcher sets, in label order.
    pub fn exemplars(
        &self,
        range: TimeRange,
        matcher_sets: &[Vec<Matcher>],
    ) -> Result<Vec<(Labels, Vec<Exemplar>)>, QueryError> {
        Ok(self.head.exemplars(range, matcher_sets))
    }

    /// What a query of `range` reads from, head first: each source for itself.
    pub fn readers(&self, range: TimeRange) -> Vec<Arc<dyn BlockReader>> {
        self.view.sources(&self.head, range)
    }

    /// Forgets what the head's matchers found before. For measuring.
    pub fn forget_postings(&self) {
        self.head.forget_postings();
    }

    /// Counters of the database.
    pub fn metrics(&self) -> &DbMetrics {
        &self.metrics
    }

    /// Counters of the head.
    pub fn head_metrics(&self) -> &HeadMetrics {
        &self.head.metrics
    }
}

impl Queryable for Db {
    fn querier(&self, range: TimeRange) -> Result<Arc<dyn Querier>, QueryError> {
        let sources = self.view.sources(&self.head, range);
        let xor2 = self.runtime().float_encoding == FloatEncoding::Xor2;
        Ok(Arc::new(MergeQuerier::new(sources, range, xor2)))
    }
}

impl Appendable for Db {
    fn appender(&self, options: AppendOptions) -> Box<dyn Appender> {
        if self.closed.load(Ordering::Acquire) {
            return Box::new(closed::ClosedAppender);
        }
        self.head.appender(options)
    }
}
