//! Options of a database: what flags and the `storage.tsdb` part of the configuration decide.
//!
//! Times are milliseconds, sizes bytes. Names and defaults are Prometheus's; what it does not have
//! says so.

use std::fmt;
use std::sync::Arc;

use crate::block::BlockMeta;

/// Block ranges grow by this factor from one compaction level to the next.
const RANGE_FACTOR: i64 = 3;
/// Two hours: the range of the smallest block.
pub const DEFAULT_BLOCK_RANGE_MS: i64 = 2 * 60 * 60 * 1000;

/// Compression of WAL records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WalCompression {
    None,
    #[default]
    Snappy,
    Zstd,
}

/// Encoding of float chunks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FloatEncoding {
    #[default]
    Xor,
    /// `chunk_encoding.floats: xor2`; the only one that keeps start timestamps.
    Xor2,
}

/// What a clean stop leaves so that the next start is quick.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HeadSnapshot {
    /// Nothing: every start replays the log.
    Off,
    /// Our own snapshot. An addition.
    #[default]
    Own,
    /// Prometheus's (feature `memory-snapshot-on-shutdown`); its snapshots are read as well.
    Prometheus,
}

/// When the write-ahead log reaches the disk. An addition: Prometheus is always `Off`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WalFsync {
    /// At segment end, checkpoint and close only.
    Off,
    /// Before each commit is acknowledged.
    EachCommit,
    /// At most this many milliseconds after the write, on a thread of the log's own.
    Interval(u64),
}

/// Says of a block whether it must stay as it is for now.
#[derive(Clone)]
pub struct HoldBlock(pub Arc<dyn Fn(&BlockMeta) -> bool + Send + Sync>);

impl fmt::Debug for HoldBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HoldBlock")
    }
}

/// What is fixed while the database is open.
#[derive(Clone, Debug)]
pub struct Options {
    /// Range of the smallest block.
    pub min_block_range_ms: i64,
    /// No merged block spans more than this.
    pub max_block_range_ms: i64,
    /// Do not take the directory lock.
    pub no_lockfile: bool,
    pub wal_segment_bytes: u64,
    pub wal_compression: WalCompression,
    pub wal_fsync: WalFsync,
    pub snapshot: HeadSnapshot,
    /// Target number of samples in a float chunk.
    pub samples_per_chunk: u16,
    pub max_block_chunk_segment_bytes: u64,
    /// Merge blocks that overlap in time.
    pub allow_overlapping_compaction: bool,
    /// Keep exemplars (feature `exemplar-storage`).
    pub exemplar_storage: bool,
    /// Write metadata to the log (feature `metadata-wal-records`).
    pub metadata_wal_records: bool,
    /// Keep start timestamps of samples (feature `st-storage`).
    pub start_timestamps: bool,
    /// Store a zero at the start timestamp of a sample (feature `created-timestamp-zero-ingestion`).
    pub start_times_as_zeros: bool,
    /// Histogram chunks of the encodings that hold start timestamps (feature
    /// `histograms-st-encoding`).
    pub histogram_st: bool,
    /// Most series in the head; 0 = no limit. An addition.
    pub max_head_series: u64,
    /// Most bytes of memory that series of the head take before new ones are refused; 0 = no
    /// limit. An addition.
    pub max_head_bytes: u64,
    /// Neither a block that this holds nor a later one is merged.
    pub hold: Option<HoldBlock>,
    /// What can change while running.
    pub runtime: RuntimeOptions,
}

/// What a configuration reload may change.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RuntimeOptions {
    /// Delete blocks that ended this long before the newest one did; 0 = no limit.
    pub retention_time_ms: i64,
    /// Delete the oldest blocks while the directory is larger; 0 = no limit.
    pub retention_bytes: u64,
    /// Like `retention_bytes`, in percent of the file system; replaces it unless 0.
    pub retention_percentage: f64,
    /// Accept samples this much older than the newest of the head; 0 = in order only.
    pub out_of_order_window_ms: i64,
    /// Most exemplars kept; 0 = none.
    pub max_exemplars: usize,
    pub float_encoding: FloatEncoding,
    /// Share of the head's series, above 0 to 1, that must be stale for them to be moved to blocks
    /// before their time; 0 = never.
    pub stale_series_threshold: f64,
}

impl Default for RuntimeOptions {
    fn default() -> RuntimeOptions {
        RuntimeOptions {
            retention_time_ms: 15 * 24 * 60 * 60 * 1000,
            retention_bytes: 0,
            retention_percentage: 0.0,
            out_of_order_window_ms: 0,
            max_exemplars: 100_000,
            float_encoding: FloatEncoding::Xor,
            stale_series_threshold: 0.0,
        }
    }
}

impl Default for Options {
    fn default() -> Options {
        Options {
            min_block_range_ms: DEFAULT_BLOCK_RANGE_MS,
            max_block_range_ms: 36 * 60 * 60 * 1000,
            no_lockfile: false,
            wal_segment_bytes: 128 << 20,
            wal_compression: WalCompression::Snappy,
            wal_fsync: WalFsync::Interval(1000),
            snapshot: HeadSnapshot::Own,
            samples_per_chunk: 120,
            max_block_chunk_segment_bytes: 512 << 20,
            allow_overlapping_compaction: true,
            exemplar_storage: false,
            metadata_wal_records: false,
            start_timestamps: false,
            start_times_as_zeros: false,
            histogram_st: false,
            max_head_series: 0,
            max_head_bytes: 0,
            hold: None,
            runtime: RuntimeOptions::default(),
        }
    }
}

impl Options {
    /// Replaces values that cannot be worked with, as Prometheus does at open.
    pub fn normalized(mut self) -> Options {
        if self.min_block_range_ms <= 0 {
            self.min_block_range_ms = DEFAULT_BLOCK_RANGE_MS;
        }
        self.max_block_range_ms = self.max_block_range_ms.max(self.min_block_range_ms);
        if self.samples_per_chunk == 0 {
            self.samples_per_chunk = 120;
        }
        self.runtime.out_of_order_window_ms = self.runtime.out_of_order_window_ms.max(0);
        self
    }

    /// Ranges of the compaction levels, ascending: the smallest times powers of three.
    pub fn block_ranges(&self) -> Vec<i64> {
        let mut ranges = vec![self.min_block_range_ms];
        while ranges.len() < 10 {
            let Some(next) = ranges.last().and_then(|r| r.checked_mul(RANGE_FACTOR)) else { break };
            if next > self.max_block_range_ms {
                break;
            }
            ranges.push(next);
        }
        ranges
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_stop_at_the_maximum() {
        let hours = |h: i64| h * 60 * 60 * 1000;
        let ranges =
            |max: i64| Options { max_block_range_ms: max, ..Options::default() }.block_ranges();
        assert_eq!(ranges(hours(36)), [hours(2), hours(6), hours(18)]);
        assert_eq!(ranges(hours(2)), [hours(2)]);
        assert_eq!(ranges(hours(1)), [hours(2)]);
    }
}
