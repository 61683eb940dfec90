//! Db: a data directory, open. Blocks, head, log, and what moves samples from one to the other.

mod env;
mod metrics;
mod options;

use std::path::Path;
use std::sync::Arc;

use model::{
    AppendOptions, Appendable, Appender, Exemplar, Labels, Matcher, Querier, QueryError, Queryable,
    TimeRange,
};

pub use env::{Env, Job, Level, LogFn, ReplayProgress, SpawnFn};
pub use metrics::DbMetrics;
pub use options::{
    DEFAULT_BLOCK_RANGE_MS, FloatEncoding, Options, RuntimeOptions, WalCompression, WalFsync,
};

pub use crate::head::metrics::HeadMetrics;
pub use crate::head::stats::{HeadStats, NameCount};

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
    options: Options,
    env: Env,
    metrics: DbMetrics,
}

impl Db {
    /// Opens `dir`, making it when absent: takes the lock, removes what an interrupted run left
    /// half done, opens the blocks and replays the log. `progress` moves meanwhile.
    pub fn open(
        dir: &Path,
        options: Options,
        env: Env,
        progress: &ReplayProgress,
    ) -> Result<Arc<Db>, DbError> {
        let _ = (dir, options, env, progress);
        Err(DbError::Closed)
    }

    /// Whether the head spans enough for a block to be cut: time to call [`Db::maintain`].
    pub fn wants_maintenance(&self) -> bool {
        false
    }

    /// One round of housekeeping: cut blocks off the head, forget what they hold, shorten the log,
    /// merge blocks, apply retention. Blocks while it works; call it about once a minute and when
    /// [`Db::wants_maintenance`] says so, never on two threads at once (a second caller waits).
    pub fn maintain(&self) -> Result<(), DbError> {
        Ok(())
    }

    /// Makes everything logged so far durable (see [`WalFsync::Interval`]).
    pub fn sync_wal(&self) -> Result<(), DbError> {
        Ok(())
    }

    /// Takes over what a configuration reload changed.
    pub fn apply(&self, runtime: RuntimeOptions) -> Result<(), DbError> {
        let _ = runtime;
        Ok(())
    }

    /// First time of any sample stored; `None` when there is none.
    pub fn start_time(&self) -> Option<i64> {
        None
    }

    /// What `/api/v1/status/tsdb` shows of the head; `limit` entries a list.
    pub fn head_stats(&self, limit: usize) -> HeadStats {
        let _ = limit;
        HeadStats::default()
    }

    /// Exemplars inside `range` of series that satisfy one of the matcher sets, in label order.
    pub fn exemplars(
        &self,
        range: TimeRange,
        matcher_sets: &[Vec<Matcher>],
    ) -> Result<Vec<(Labels, Vec<Exemplar>)>, QueryError> {
        let _ = (range, matcher_sets);
        Ok(Vec::new())
    }

    /// Deletes the samples of `range` of series that satisfy one of the matcher sets.
    pub fn delete_series(
        &self,
        range: TimeRange,
        matcher_sets: &[Vec<Matcher>],
    ) -> Result<(), DbError> {
        let _ = (range, matcher_sets);
        Ok(())
    }

    /// Rewrites blocks so that deleted samples are gone from disk.
    pub fn clean_tombstones(&self) -> Result<(), DbError> {
        Ok(())
    }

    /// Hard-links all blocks into `dir`, and writes the head as a block there if `with_head`.
    pub fn snapshot(&self, dir: &Path, with_head: bool) -> Result<(), DbError> {
        let _ = (dir, with_head);
        Ok(())
    }

    /// Counters of the database; those of the head are in [`Db::head_metrics`].
    pub fn metrics(&self) -> &DbMetrics {
        &self.metrics
    }

    /// Flushes and closes; whoever still reads keeps what it has.
    pub fn close(&self) -> Result<(), DbError> {
        Ok(())
    }
}

impl Queryable for Db {
    fn querier(&self, range: TimeRange) -> Result<Arc<dyn Querier>, QueryError> {
        let _ = range;
        Err(QueryError::Io(DbError::Closed.to_string()))
    }
}

impl Appendable for Db {
    fn appender(&self, options: AppendOptions) -> Box<dyn Appender> {
        let _ = (options, &self.options, &self.env);
        Box::new(closed::ClosedAppender)
    }
}

mod closed;
