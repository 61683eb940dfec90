//! Metrics of the database beside the head's: plain atomics under Prometheus's names.

use crate::head::metrics::{Count, Distribution, Gauge};

/// Everything the database counts. Names without their prefix `prometheus_tsdb_`.
#[derive(Debug)]
pub struct DbMetrics {
    /// `reloads_total`
    pub reloads: Count,
    /// `reloads_failures_total`
    pub reloads_failed: Count,
    /// `compactions_total`
    pub compactions: Count,
    /// `compactions_triggered_total`
    pub compactions_triggered: Count,
    /// `compactions_failed_total`
    pub compactions_failed: Count,
    /// `vertical_compactions_total`
    pub vertical_compactions: Count,
    /// `time_retentions_total`
    pub time_retentions: Count,
    /// `size_retentions_total`
    pub size_retentions: Count,
    /// `blocks_loaded`
    pub blocks_loaded: Count,
    /// `storage_blocks_bytes`
    pub blocks_bytes: Count,
    /// `symbol_table_size_bytes`
    pub symbol_table_bytes: Count,
    /// `lowest_timestamp`, milliseconds
    pub lowest_timestamp: Gauge,
    /// `clean_start`: -1 without a lock file, 0 when a lock was left behind, else 1.
    pub clean_start: Gauge,
    /// `tombstone_cleanup_seconds`
    pub tombstone_cleanup_seconds: Distribution,
    /// `compaction_duration_seconds`
    pub compaction_seconds: Distribution,
    /// `compaction_populating_block`
    pub populating_block: Gauge,
    /// `compaction_chunk_size_bytes`; like the next two, of blocks cut from the head only.
    pub chunk_bytes: Distribution,
    /// `compaction_chunk_samples`
    pub chunk_samples: Distribution,
    /// `compaction_chunk_range_seconds`, which are milliseconds in Prometheus, too.
    pub chunk_range: Distribution,
    /// `stale_series_compactions_triggered_total`
    pub stale_compactions: Count,
    /// `stale_series_compactions_failed_total`
    pub stale_compactions_failed: Count,
    /// `stale_series_compaction_duration_seconds`
    pub stale_compaction_seconds: Distribution,
}

impl Default for DbMetrics {
    fn default() -> DbMetrics {
        DbMetrics {
            reloads: Count::default(),
            reloads_failed: Count::default(),
            compactions: Count::default(),
            compactions_triggered: Count::default(),
            compactions_failed: Count::default(),
            vertical_compactions: Count::default(),
            time_retentions: Count::default(),
            size_retentions: Count::default(),
            blocks_loaded: Count::default(),
            blocks_bytes: Count::default(),
            symbol_table_bytes: Count::default(),
            lowest_timestamp: Gauge::default(),
            clean_start: Gauge::default(),
            tombstone_cleanup_seconds: Distribution::new(Vec::new()),
            compaction_seconds: Distribution::exponential(1.0, 2.0, 14),
            populating_block: Gauge::default(),
            chunk_bytes: Distribution::exponential(32.0, 1.5, 12),
            chunk_samples: Distribution::exponential(4.0, 1.5, 12),
            chunk_range: Distribution::exponential(100.0, 4.0, 10),
            stale_compactions: Count::default(),
            stale_compactions_failed: Count::default(),
            stale_compaction_seconds: Distribution::exponential(1.0, 2.0, 14),
        }
    }
}
