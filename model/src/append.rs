//! The writing seam: how scrapes, rules and receivers add samples to a store.

use crate::exemplar::Exemplar;
use crate::histogram::{FloatHistogram, Histogram};
use crate::labels::Labels;
use crate::metadata::Metadata;

/// Names a series in the store and its logs. 0 is never a series.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SeriesRef(pub u64);

/// The value of one sample.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    Float(f64),
    Histogram(&'a Histogram),
    FloatHistogram(&'a FloatHistogram),
}

/// Why a sample was refused. The texts are Prometheus's; senders match on them.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum AppendError {
    #[error("out of order sample")]
    OutOfOrder,
    #[error("out of bounds")]
    OutOfBounds,
    #[error("too old sample")]
    TooOld,
    #[error("duplicate sample for timestamp")]
    Duplicate,
    /// The reference is not (or no longer) known: resolve the labels again.
    #[error("unknown series ref")]
    UnknownSeries,
    #[error("invalid sample: {0}")]
    InvalidLabels(String),
    /// What is wrong with it, in Prometheus's words.
    #[error("{0}")]
    InvalidHistogram(String),
    #[error("out of order exemplar")]
    OutOfOrderExemplar,
    #[error("duplicate exemplar")]
    DuplicateExemplar,
    #[error("{0}")]
    InvalidExemplar(String),
    /// A limit of the store refuses new series; names the limit.
    #[error("{0}")]
    LimitExceeded(String),
    /// The store cannot take samples now (disk full, log failed); nothing of the batch was kept.
    #[error("{0}")]
    Storage(String),
}

/// How an appender judges samples.
#[derive(Clone, Copy, Debug, Default)]
pub struct AppendOptions {
    /// Refuse out-of-order samples even inside the out-of-order window (rules and scrapes that
    /// must not rewrite the past).
    pub reject_out_of_order: bool,
    /// New series are admitted beyond the limits of the store: what tells that something is wrong
    /// (`up` and its companions, `ALERTS`) must not be what is refused.
    pub exempt_from_limits: bool,
}

/// A store that can be written.
pub trait Appendable: Send + Sync {
    /// Starts a batch.
    fn appender(&self, options: AppendOptions) -> Box<dyn Appender>;
}

/// One batch. Readers see all of it or nothing: it becomes visible at `commit`. An error from an
/// append concerns that entry alone; the batch goes on. Dropping an appender rolls it back.
pub trait Appender: Send {
    /// Changes how the entries that follow are judged.
    fn set_options(&mut self, options: AppendOptions);

    /// Finds or creates the series of `labels` (non-empty, valid, no duplicate names). A series
    /// created here becomes real at commit; a rolled-back batch leaves none behind.
    fn series(&mut self, labels: &Labels) -> Result<SeriesRef, AppendError>;

    /// Stages a sample. `t` and `start_t` in milliseconds; `start_t` 0 = unknown.
    fn append(
        &mut self,
        series: SeriesRef,
        t: i64,
        start_t: i64,
        value: Value<'_>,
    ) -> Result<(), AppendError>;

    /// Stages an exemplar of a series.
    fn append_exemplar(
        &mut self,
        series: SeriesRef,
        exemplar: &Exemplar,
    ) -> Result<(), AppendError>;

    /// Stages a change of a series' metadata.
    fn update_metadata(
        &mut self,
        series: SeriesRef,
        metadata: &Metadata,
    ) -> Result<(), AppendError>;

    /// Logs and applies the batch; when this returns, a killed process loses nothing of it.
    fn commit(self: Box<Self>) -> Result<(), AppendError>;

    /// Forgets the batch.
    fn rollback(self: Box<Self>);
}
