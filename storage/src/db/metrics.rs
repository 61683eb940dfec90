//! Metrics of the database beside the head's: plain atomics under Prometheus's names.

use crate::head::metrics::{Count, Gauge};

/// Everything the database counts. Names without their prefix `prometheus_tsdb_`.
#[derive(Debug, Default)]
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
    /// `tombstone_cleanup_seconds`: runs and milliseconds.
    pub tombstone_cleanups: Count,
    pub tombstone_cleanup_ms: Count,
}
