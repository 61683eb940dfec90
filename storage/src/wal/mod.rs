//! The write-ahead log (WAL) and, in another directory, the write-behind log (WBL): records in
//! numbered segment files, in Prometheus's format (`docs/format/wal.md`).
//!
//! What must hold:
//!
//! - [`Wal::log`] returns after write(2): a killed process loses nothing acknowledged. How much a
//!   power cut can take is the [`SyncPolicy`].
//! - Records are whole or absent: a write that fails part-way is cut back before anything later is
//!   acknowledged, and records never span segments.
//! - Every segment but the current one is durable (unless the policy is `Off`), so a power cut
//!   takes a tail of the log, never something from its middle.
//! - A failed sync is never taken for a later success: what it covered is logged again, in a new
//!   segment, before anything else is.
//!
//! Reading comes first at start ([`Reader`], then [`repair`] if it found corruption), opening for
//! writing after it; writing always begins a new segment.

pub mod checkpoint;
mod compression;
mod error;
mod metrics;
mod page;
mod prepared;
mod reader;
mod repair;
mod salvage;
mod segment;
mod segment_reader;
mod segment_writer;
mod state;
mod sync;
pub mod tail;
mod writer;

#[cfg(test)]
mod crash_tests;
#[cfg(test)]
mod golden_tests;
#[cfg(test)]
mod log_tests;

use std::sync::Arc;
use std::time::Duration;

pub use compression::{Compression, Decompressor};
pub use error::{CorruptionError, WalError};
pub use metrics::{SyncTimes, WalMetrics};
pub use page::PAGE_SIZE;
pub use prepared::Prepared;
pub use reader::{Reader, SegmentRange};
pub use repair::repair;
pub use salvage::salvage;
pub use segment::{SegmentRef, segment_name, segment_path, segments};
pub use segment_reader::{Entry, Position, RawEntry};
pub use segment_writer::SegmentWriter;
pub use tail::TailReader;
pub use writer::Wal;

/// Size at which a segment ends, unless options say otherwise.
pub const DEFAULT_SEGMENT_SIZE: u64 = 128 << 20;

/// When what was logged is made durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncPolicy {
    /// Before each `log` returns; concurrent callers share a sync.
    Always,
    /// At most this long after it was logged (or earlier, when much is waiting), on a thread of
    /// its own.
    Interval(Duration),
    /// When a segment ends, at a checkpoint and at close: Prometheus's behaviour.
    Off,
}

/// Runs a task on a thread of the given name, not on the caller's.
pub type Spawn = Arc<dyn Fn(&str, Box<dyn FnOnce() + Send>) + Send + Sync>;

/// How a log is written.
#[derive(Clone)]
pub struct Options {
    /// A segment ends before the record that would make it larger than this (a record larger than
    /// that gets a segment of its own). A multiple of [`PAGE_SIZE`].
    pub segment_size: u64,
    /// Compression of records; one that does not become smaller stays as it is.
    pub compression: Compression,
    pub sync: SyncPolicy,
    /// Makes the thread that syncs. Without it, or when it runs the task at once because there is
    /// no thread to be had, nothing is synced in the background: whoever drives the log calls
    /// [`Wal::sync`].
    pub spawn: Option<Spawn>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            segment_size: DEFAULT_SEGMENT_SIZE,
            compression: Compression::Snappy,
            sync: SyncPolicy::Interval(Duration::from_secs(1)),
            spawn: None,
        }
    }
}

/// A place in the log: behind a whole record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogPosition {
    pub segment: u64,
    /// Bytes from the segment's start.
    pub offset: u64,
}
