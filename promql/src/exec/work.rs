//! Work: what one thread of an evaluation carries: counts, annotations, buffers, and the question
//! whether to go on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use model::cancel::CancelReason;
use model::{CancelToken, Columns, QueryError};
use rayon::ThreadPool;

use super::column::Column;
use super::notes::Notes;
use super::tally::Tally;
use super::window::Samples;
use crate::engine::{EngineError, Features};

/// Where Prometheus says evaluation was when it stopped.
const EVALUATION: &str = "expression evaluation";

/// What all threads of one evaluation share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub cancel: CancelToken,
    pub lookback_ms: i64,
    pub features: Features,
    pub budget: Budget,
    pub pool: Arc<ThreadPool>,
}

/// Samples a query holds at once, against its limit.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: u64,
    held: AtomicU64,
    peak: AtomicU64,
}

impl Budget {
    /// A budget of `limit` samples.
    pub(crate) fn new(limit: u64) -> Budget {
        Budget { limit, held: AtomicU64::new(0), peak: AtomicU64::new(0) }
    }

    /// Takes room for `samples` more.
    pub(crate) fn hold(&self, samples: u64) -> Result<(), EngineError> {
        let held = self.held.fetch_add(samples, Ordering::Relaxed).saturating_add(samples);
        self.peak.fetch_max(held, Ordering::Relaxed);
        if held > self.limit { Err(too_many_samples()) } else { Ok(()) }
    }

    /// Samples held now.
    pub(crate) fn held(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }

    /// Says how many samples are left once an operator has let go of its input.
    pub(crate) fn settle(&self, held: u64) {
        self.held.store(held, Ordering::Relaxed);
    }

    /// Checks that `samples` more would fit, without keeping them.
    pub(crate) fn pass(&self, samples: u64) -> Result<(), EngineError> {
        let held = self.held.load(Ordering::Relaxed).saturating_add(samples);
        self.peak.fetch_max(held, Ordering::Relaxed);
        if held > self.limit { Err(too_many_samples()) } else { Ok(()) }
    }

    /// The limit.
    pub(crate) fn limit(&self) -> u64 {
        self.limit
    }

    /// Most samples held at once.
    pub(crate) fn peak(&self) -> u64 {
        self.peak.load(Ordering::Relaxed)
    }
}

/// The error of a query over its limit.
pub(crate) fn too_many_samples() -> EngineError {
    EngineError::Execution(
        "query processing would load too many samples into memory in query execution".to_owned(),
    )
}

/// An evaluation error with the given text.
pub(crate) fn failed<T>(text: impl Into<String>) -> Result<T, EngineError> {
    Err(EngineError::Execution(text.into()))
}

/// The error of two series that ended up with the same labels.
pub(crate) fn same_labelset() -> EngineError {
    EngineError::Execution("vector cannot contain metrics with the same labelset".to_owned())
}

impl Shared {
    /// The threads queries run on.
    pub(crate) fn pool(&self) -> &ThreadPool {
        &self.pool
    }

    /// How many there are.
    pub(crate) fn threads(&self) -> usize {
        self.pool.current_num_threads()
    }

    /// The error of a query told to stop before it began.
    pub(crate) fn check_before_start(&self) -> Result<(), EngineError> {
        match self.cancel.reason() {
            None => Ok(()),
            Some(CancelReason::Canceled) => Err(EngineError::Canceled("query execution")),
            Some(CancelReason::TimedOut) => Err(EngineError::Timeout("query execution")),
        }
    }

    /// The error to stop with, once the query was told to.
    pub(crate) fn check(&self) -> Result<(), EngineError> {
        match self.cancel.reason() {
            None => Ok(()),
            Some(CancelReason::Canceled) => Err(EngineError::Canceled(EVALUATION)),
            Some(CancelReason::TimedOut) => Err(EngineError::Timeout(EVALUATION)),
        }
    }

    /// An error of the store while selecting series.
    pub(crate) fn expanding(&self, error: QueryError) -> EngineError {
        match error {
            QueryError::Cancelled(_) => self.reading(error),
            other => EngineError::Execution(format!("expanding series: {other}")),
        }
    }

    /// An error of the store while reading samples.
    pub(crate) fn reading(&self, error: QueryError) -> EngineError {
        match error {
            QueryError::Cancelled(CancelReason::Canceled) => EngineError::Canceled(EVALUATION),
            QueryError::Cancelled(CancelReason::TimedOut) => EngineError::Timeout(EVALUATION),
            other => EngineError::Execution(other.to_string()),
        }
    }
}

/// One thread's part of an evaluation.
#[derive(Debug)]
pub(crate) struct Work<'a> {
    pub shared: &'a Shared,
    pub notes: Notes,
    pub tally: Tally,
    columns: Vec<Column>,
    reads: Vec<Columns>,
    samples: Vec<Samples>,
}

impl<'a> Work<'a> {
    /// Work that counts into `tally`.
    pub(crate) fn new(shared: &'a Shared, tally: Tally) -> Work<'a> {
        Work {
            shared,
            notes: Notes::default(),
            tally,
            columns: Vec::new(),
            reads: Vec::new(),
            samples: Vec::new(),
        }
    }

    /// Work for another thread.
    pub(crate) fn fork(&self) -> Work<'a> {
        Work::new(self.shared, self.tally.fork())
    }

    /// Takes over what a fork counted and noted.
    pub(crate) fn join(&mut self, fork: Work<'a>) {
        self.notes.merge(fork.notes);
        self.tally.join(&fork.tally);
    }

    /// A column to write to; give it back with [`Work::give`].
    pub(crate) fn take(&mut self) -> Column {
        self.columns.pop().unwrap_or_default()
    }

    /// Keeps a column's memory for the next [`Work::take`].
    pub(crate) fn give(&mut self, column: Column) {
        self.columns.push(column);
    }

    /// Sample columns to read into; give them back with [`Work::give_read`].
    pub(crate) fn take_read(&mut self) -> Columns {
        self.reads.pop().unwrap_or_default()
    }

    /// Keeps the memory of sample columns.
    pub(crate) fn give_read(&mut self, mut columns: Columns) {
        columns.clear();
        self.reads.push(columns);
    }

    /// Window samples to fill; give them back with [`Work::give_samples`].
    pub(crate) fn take_samples(&mut self) -> Samples {
        self.samples.pop().unwrap_or_default()
    }

    /// Keeps the memory of window samples.
    pub(crate) fn give_samples(&mut self, samples: Samples) {
        self.samples.push(samples);
    }

    /// Runs `inner` counting into `tally`, and hands back its result with the filled tally.
    pub(crate) fn counting<T>(
        &mut self,
        tally: Tally,
        inner: impl FnOnce(&mut Work<'a>) -> Result<T, EngineError>,
    ) -> Result<(T, Tally), EngineError> {
        let outer = std::mem::replace(&mut self.tally, tally);
        let result = inner(self);
        let tally = std::mem::replace(&mut self.tally, outer);
        Ok((result?, tally))
    }
}
