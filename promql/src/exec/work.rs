//! Work: what one thread of an evaluation carries: counts, annotations, buffers, and the question
//! whether to go on.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use model::cancel::CancelReason;
use model::{CancelToken, Columns, QueryError};

use super::column::Column;
use super::notes::Notes;
use super::samples::Samples;
use super::shared::{Memo, Shift};
use super::tally::Tally;
use crate::engine::{EngineError, Features};
use crate::memory::QueryMemory;
use crate::threads::{Lease, Threads};

/// Where Prometheus says evaluation was when it stopped.
const EVALUATION: &str = "expression evaluation";

/// What all threads of one evaluation share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub cancel: CancelToken,
    pub lookback_ms: i64,
    pub features: Features,
    pub budget: Budget,
    pub threads: Arc<Threads>,
    /// Whether what has no part in the answer may stay unread, see [`crate::QueryOptions`].
    pub uncounted: bool,
}

/// Samples and bytes a query holds at once, against its limits.
#[derive(Debug)]
pub(crate) struct Budget {
    /// Most samples.
    limit: u64,
    memory: Arc<QueryMemory>,
}

/// What somebody holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Held {
    pub samples: u64,
    pub bytes: u64,
}

impl Held {
    /// Both.
    pub(crate) fn plus(self, other: Held) -> Held {
        let samples = self.samples.saturating_add(other.samples);
        Held { samples, bytes: self.bytes.saturating_add(other.bytes) }
    }

    /// What is left without `other`.
    pub(crate) fn less(self, other: Held) -> Held {
        let samples = self.samples.saturating_sub(other.samples);
        Held { samples, bytes: self.bytes.saturating_sub(other.bytes) }
    }
}

impl Budget {
    /// A budget of `limit` samples, its bytes on an account.
    pub(crate) fn new(limit: u64, memory: Arc<QueryMemory>) -> Budget {
        Budget { limit, memory }
    }

    /// Takes room for `samples` more.
    pub(crate) fn hold(&self, samples: u64) -> Result<(), EngineError> {
        let before = self.memory.samples.fetch_add(samples, Ordering::Relaxed);
        self.judge(before.saturating_add(samples))
    }

    fn judge(&self, held: u64) -> Result<(), EngineError> {
        self.memory.peak_samples.fetch_max(held, Ordering::Relaxed);
        if held > self.limit { Err(too_many_samples()) } else { Ok(()) }
    }

    /// Takes room for a column that is kept as a row of a table.
    pub(crate) fn hold_column(&self, column: &Column) -> Result<(), EngineError> {
        self.hold(column.weight())?;
        self.hold_bytes(column.bytes() + ROW_BYTES)
    }

    /// Takes room for `bytes` more.
    pub(crate) fn hold_bytes(&self, bytes: u64) -> Result<(), EngineError> {
        self.memory.hold(bytes).map_err(EngineError::Memory)
    }

    /// Whether `bytes` are a small part of what the query may hold.
    pub(crate) fn has_room(&self, bytes: u64) -> bool {
        self.memory.has_room(bytes)
    }

    /// Gives `bytes` back.
    pub(crate) fn release_bytes(&self, bytes: u64) {
        self.memory.release(bytes);
    }

    /// What is held now.
    pub(crate) fn held(&self) -> Held {
        Held { samples: self.memory.samples(), bytes: self.memory.bytes() }
    }

    /// Says what is left once an operator has let go of its input.
    pub(crate) fn settle(&self, held: Held) {
        self.memory.samples.store(held.samples, Ordering::Relaxed);
        self.memory.settle(held.bytes);
    }

    /// Checks that `samples` more would fit, without keeping them.
    pub(crate) fn pass(&self, samples: u64) -> Result<(), EngineError> {
        self.judge(self.memory.samples().saturating_add(samples))
    }

    /// The limit.
    pub(crate) fn limit(&self) -> u64 {
        self.limit
    }

    /// Most samples held at once.
    pub(crate) fn peak(&self) -> u64 {
        self.memory.peak_samples()
    }
}

/// What a row costs beside its values and the text of its labels.
pub(crate) const ROW_BYTES: u64 = 64;

/// Says what a query over its memory was doing, unless somebody below has said it.
pub(crate) fn named(error: EngineError, what: impl FnOnce() -> String) -> EngineError {
    match error {
        EngineError::Memory(mut error) if error.what.is_empty() => {
            error.what = what();
            EngineError::Memory(error)
        }
        other => other,
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
    /// How many threads may work for a query.
    pub(crate) fn threads(&self) -> usize {
        self.threads.count()
    }

    /// The threads, unless they work for another query.
    pub(crate) fn lease(&self) -> Option<Lease<'_>> {
        self.threads.lease()
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

/// What an evaluation counted and noted, kept apart.
#[derive(Debug, Default)]
pub(crate) struct Aside {
    pub tally: Tally,
    pub notes: Notes,
}

/// What finding and reading a series costs, in samples.
const SERIES_COST: usize = 200;
/// Samples to be gone through that are worth waking threads for: about half a millisecond.
const LEAST_SHARED: usize = 150_000;

/// One thread's part of an evaluation.
#[derive(Debug)]
pub(crate) struct Work<'a> {
    pub shared: &'a Shared,
    pub notes: Notes,
    pub tally: Tally,
    columns: Vec<Column>,
    reads: Vec<Columns>,
    samples: Vec<Samples>,
    /// Of parts that occur more than once.
    pub memos: Vec<Memo>,
    /// Bytes counted for the largest series decoded so far: its memory is used again.
    decoded: u64,
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
            memos: Vec::new(),
            decoded: 0,
        }
    }

    /// Work for another thread.
    pub(crate) fn fork(&self) -> Work<'a> {
        Work::new(self.shared, self.tally.fork())
    }

    /// Whether as many series of about the size of those read so far, with `steps` values each, are
    /// worth waking other threads.
    pub(crate) fn is_worth_sharing(&self, series: usize, steps: usize) -> bool {
        let samples = self.decoded as usize / 16;
        self.shared.threads() > 1 && series * (SERIES_COST + samples + steps) >= LEAST_SHARED
    }

    /// Takes over what a fork counted and noted.
    pub(crate) fn join(&mut self, fork: Work<'a>) {
        self.notes.merge(fork.notes);
        self.tally.join(&fork.tally);
        self.shared.budget.release_bytes(fork.decoded);
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

    /// Counts the samples of one series, decoded into memory of this work.
    pub(crate) fn hold_decoded(&mut self, bytes: u64) -> Result<(), EngineError> {
        if bytes > self.decoded {
            self.shared.budget.hold_bytes(bytes - self.decoded)?;
            self.decoded = bytes;
        }
        Ok(())
    }

    /// Settles what is held after an operator, see [`Budget::settle`]. What is decoded from now on
    /// counts anew.
    pub(crate) fn settle(&mut self, held: Held) {
        self.shared.budget.settle(held);
        self.decoded = 0;
    }

    /// Window samples to fill; give them back with [`Work::give_samples`].
    pub(crate) fn take_samples(&mut self) -> Samples {
        self.samples.pop().unwrap_or_default()
    }

    /// Keeps the memory of window samples.
    pub(crate) fn give_samples(&mut self, samples: Samples) {
        self.samples.push(samples);
    }

    /// Runs `inner` and hands back apart what it counted and noted.
    pub(crate) fn apart<T>(
        &mut self,
        inner: impl FnOnce(&mut Work<'a>) -> Result<T, EngineError>,
    ) -> Result<(T, Aside), EngineError> {
        let notes = std::mem::take(&mut self.notes);
        let result = self.counting(self.tally.fork(), inner);
        let notes = std::mem::replace(&mut self.notes, notes);
        let (value, tally) = result?;
        Ok((value, Aside { tally, notes }))
    }

    /// Counts and notes again what was kept apart, at another place.
    pub(crate) fn add(&mut self, aside: &Aside, shift: Shift) {
        self.tally.join(&aside.tally);
        self.notes.add_moved(&aside.notes, shift);
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
