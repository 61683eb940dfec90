//! The reading seam: what queries, compaction and the API may ask of a store.

use std::sync::Arc;

use crate::cancel::{CancelReason, CancelToken};
use crate::columns::Columns;
use crate::labels::Labels;
use crate::matcher::Matcher;

/// An inclusive range of milliseconds since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TimeRange {
    pub min: i64,
    pub max: i64,
}

impl TimeRange {
    /// Every representable time.
    pub const ALL: TimeRange = TimeRange { min: i64::MIN, max: i64::MAX };

    /// Whether `t` lies inside.
    pub fn contains(self, t: i64) -> bool {
        self.min <= t && t <= self.max
    }

    /// Whether the two ranges share a millisecond.
    pub fn overlaps(self, other: TimeRange) -> bool {
        self.min <= other.max && other.min <= self.max
    }
}

/// What the reader will do with a selection; never changes which samples exist.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SelectHints {
    /// First millisecond of interest.
    pub start: i64,
    /// Last millisecond of interest, inclusive.
    pub end: i64,
    /// Query resolution in milliseconds, 0 for an instant query.
    pub step: i64,
    /// Range of a matrix selector in milliseconds, 0 for an instant selector.
    pub range: i64,
    /// Surrounding function or aggregator, empty if none.
    pub func: String,
    /// Labels the surrounding aggregation groups by.
    pub grouping: Vec<String>,
    /// Whether `grouping` is a `by` list (else `without`).
    pub by: bool,
    /// Most series to return; 0 = all.
    pub limit: usize,
    /// Whether nothing but the newest sample of each series up to `end` is looked at.
    pub newest: bool,
}

/// The newest sample of a series, a float.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Newest {
    /// In milliseconds.
    pub t: i64,
    pub v: f64,
}

impl Newest {
    /// Stands where the sample has to be read.
    pub const UNKNOWN: Newest = Newest { t: i64::MIN, v: 0.0 };

    /// Whether this is a sample.
    pub fn is_known(&self) -> bool {
        self.t != Newest::UNKNOWN.t
    }
}

/// Why reading failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum QueryError {
    /// Told to stop.
    #[error("{}", match .0 { CancelReason::Canceled => "context canceled", CancelReason::TimedOut => "context deadline exceeded" })]
    Cancelled(CancelReason),
    /// Stored bytes are not what they should be; names file and offset.
    #[error("{0}")]
    Corrupt(String),
    /// The operating system said no; names the file.
    #[error("{0}")]
    Io(String),
}

/// A store that can be read.
pub trait Queryable: Send + Sync {
    /// A consistent view of the samples in `range`; it stays valid, and unchanged by cut,
    /// compaction and deletion of files, for as long as it is held.
    fn querier(&self, range: TimeRange) -> Result<Arc<dyn Querier>, QueryError>;
}

/// One consistent view of a store.
pub trait Querier: Send + Sync {
    /// The series that satisfy all `matchers` and may have samples in the view's range.
    fn select(
        &self,
        matchers: &[Matcher],
        hints: &SelectHints,
        cancel: &CancelToken,
    ) -> Result<Arc<dyn Selection>, QueryError>;

    /// Sorted, distinct label names of the series that satisfy all `matchers` (all series when
    /// empty); at most `limit` unless 0.
    fn label_names(&self, matchers: &[Matcher], limit: usize) -> Result<Vec<String>, QueryError>;

    /// Sorted, distinct values of `name` over the series that satisfy all `matchers`; at most
    /// `limit` unless 0.
    fn label_values(
        &self,
        name: &str,
        matchers: &[Matcher],
        limit: usize,
    ) -> Result<Vec<String>, QueryError>;
}

/// An indexable list of series, resolved without reading a sample.
///
/// Order: label order when sources were merged, else the order of the only source (creation order
/// for a head). Prometheus folds aggregations in this order, so it is part of the contract. Selections
/// from one querier over the same times agree on the order of the series they have in common.
pub trait Selection: Send + Sync {
    /// Number of series.
    fn len(&self) -> usize;

    /// Whether there is no series.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Labels of series `i`. Builds strings: call it for what is shown, not for what is scanned.
    fn labels(&self, i: usize) -> Labels;

    /// Hands the value of one label of series `i` to `with`; the empty string when absent.
    /// Cheaper than `labels`.
    fn label_value(&self, i: usize, name: &str, with: &mut dyn FnMut(&str)) {
        with(self.labels(i).get(name).unwrap_or(""));
    }

    /// Appends a number for the value every series has of a label: equal numbers mean equal values,
    /// but not the other way round. `false`, with nothing appended, where values are not numbered.
    fn label_ids(&self, _name: &str, _out: &mut Vec<u64>) -> bool {
        false
    }

    /// Appends the samples of series `i` inside `range` to `out`, in strictly ascending time:
    /// sources merged and deduplicated, deleted samples left out, staleness markers kept.
    fn read(&self, i: usize, range: TimeRange, out: &mut Columns) -> Result<(), QueryError>;

    /// Appends the newest sample of series `i` inside `range`, if there is one, and whatever comes
    /// with it: older samples may be left out. Of a histogram, what is known about a counter reset
    /// before it may differ from [`read`](Self::read).
    fn read_last(&self, i: usize, range: TimeRange, out: &mut Columns) -> Result<(), QueryError> {
        self.read(i, range, out)
    }

    /// The newest samples of all series inside the range selected for, where the hints asked for
    /// them and the store has them at hand; else nothing.
    fn newest(&self) -> &[Newest] {
        &[]
    }

    /// The encoded chunks of series `i` that overlap `range`, ascending, non-overlapping.
    fn chunks(&self, i: usize, range: TimeRange) -> Result<Vec<EncodedChunk>, QueryError>;
}

/// A chunk as it stands on disk or in remote read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedChunk {
    /// First and last sample time, inclusive.
    pub range: TimeRange,
    /// Chunk encoding byte of Prometheus: 1 XOR, 2 histogram, 3 float histogram, 4 XOR2, …
    pub encoding: u8,
    pub data: Vec<u8>,
}
