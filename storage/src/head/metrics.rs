//! Metrics of the head: plain atomics under Prometheus's names, which whoever exports them reads.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// A counter or an unsigned gauge.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// The value.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Adds `n`.
    pub fn add(&self, n: u64) {
        if n > 0 {
            self.0.fetch_add(n, Ordering::Relaxed);
        }
    }

    /// Subtracts `n`.
    pub fn sub(&self, n: u64) {
        if n > 0 {
            self.0.fetch_sub(n, Ordering::Relaxed);
        }
    }

    /// Replaces the value.
    pub fn set(&self, n: u64) {
        self.0.store(n, Ordering::Relaxed);
    }
}

/// A signed gauge, milliseconds where it is a time.
#[derive(Debug, Default)]
pub struct Gauge(AtomicI64);

impl Gauge {
    /// The value.
    pub fn get(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Replaces the value.
    pub fn set(&self, v: i64) {
        self.0.store(v, Ordering::Relaxed);
    }
}

/// A counter split by the label `type`: `float` and `histogram`.
#[derive(Debug, Default)]
pub struct ByType {
    pub float: Count,
    pub histogram: Count,
}

/// Everything the head counts. Names without their prefix `prometheus_tsdb_`.
#[derive(Debug, Default)]
pub struct HeadMetrics {
    /// `head_series`
    pub series: Count,
    /// `head_stale_series`
    pub stale_series: Count,
    /// `head_series_created_total`
    pub series_created: Count,
    /// `head_series_removed_total`
    pub series_removed: Count,
    /// `head_series_not_found_total`
    pub series_not_found: Count,
    /// `head_chunks`
    pub chunks: Count,
    /// `head_chunks_created_total`
    pub chunks_created: Count,
    /// `head_chunks_removed_total`
    pub chunks_removed: Count,
    /// `mmap_chunks_total`
    pub mmap_chunks: Count,
    /// `mmap_chunk_corruptions_total`
    pub mmap_chunk_corruptions: Count,
    /// `head_samples_appended_total`
    pub samples_appended: ByType,
    /// `head_out_of_order_samples_appended_total`
    pub out_of_order_appended: ByType,
    /// `out_of_order_samples_total`
    pub out_of_order: ByType,
    /// `out_of_bound_samples_total`
    pub out_of_bound: ByType,
    /// `too_old_samples_total`
    pub too_old: ByType,
    /// `head_active_appenders`
    pub active_appenders: Count,
    /// `head_appenders_created_total` has no name upstream; commits that were rolled back are in it.
    pub appenders_created: Count,
    /// `head_truncations_total`
    pub truncations: Count,
    /// `head_truncations_failed_total`
    pub truncations_failed: Count,
    /// `wal_corruptions_total`
    pub wal_corruptions: Count,
    /// `checkpoint_creations_total`
    pub checkpoint_creations: Count,
    /// `checkpoint_creations_failed_total`
    pub checkpoint_creations_failed: Count,
    /// `checkpoint_deletions_total`
    pub checkpoint_deletions: Count,
    /// `checkpoint_deletions_failed_total`
    pub checkpoint_deletions_failed: Count,
    /// `head_gc_duration_seconds`: runs and milliseconds.
    pub gc_runs: Count,
    pub gc_ms: Count,
    /// `wal_truncate_duration_seconds`: runs and milliseconds.
    pub wal_truncate_runs: Count,
    pub wal_truncate_ms: Count,
    /// `data_replay_duration_seconds`, in milliseconds.
    pub replay_ms: Gauge,
    /// `wal_replay_unknown_refs_total{type}`
    pub unknown_series_refs: Count,
    pub unknown_sample_refs: Count,
    pub unknown_histogram_refs: Count,
    pub unknown_exemplar_refs: Count,
    pub unknown_metadata_refs: Count,
    pub unknown_tombstone_refs: Count,
    /// Commits whose late samples could not be logged. An addition.
    pub wbl_writes_failed: Count,
    /// `exemplar_exemplars_appended_total`
    pub exemplars_appended: Count,
    /// `exemplar_out_of_order_exemplars_total`
    pub exemplars_out_of_order: Count,
}
