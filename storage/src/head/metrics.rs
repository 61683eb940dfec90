//! Metrics of the head: plain atomics under Prometheus's names, which whoever exports them reads.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

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

/// Observations by upper bounds, as a classic histogram counts them.
#[derive(Debug)]
pub struct Distribution {
    bounds: Vec<f64>,
    counts: Mutex<Counts>,
}

#[derive(Clone, Debug, Default)]
struct Counts {
    /// By bound, not cumulative; one more for what is above all.
    buckets: Vec<u64>,
    sum: f64,
}

impl Distribution {
    /// Without observations; `bounds` ascend.
    pub fn new(bounds: Vec<f64>) -> Distribution {
        let counts = Counts { buckets: vec![0; bounds.len() + 1], sum: 0.0 };
        Distribution { bounds, counts: Mutex::new(counts) }
    }

    /// Bounds that begin with `first` and grow by `factor`.
    pub fn exponential(first: f64, factor: f64, bounds: usize) -> Distribution {
        Distribution::new(
            std::iter::successors(Some(first), |b| Some(b * factor)).take(bounds).collect(),
        )
    }

    /// Adds an observation.
    pub fn observe(&self, value: f64) {
        let at = self.bounds.partition_point(|bound| *bound < value);
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.buckets[at] += 1;
        counts.sum += value;
    }

    /// Bounds with cumulative counts, the sum and the number of observations.
    pub fn get(&self) -> (Vec<(f64, u64)>, f64, u64) {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut total = 0;
        let mut cumulate = |n: &u64| {
            total += n;
            total
        };
        let buckets: Vec<u64> = counts.buckets.iter().map(&mut cumulate).collect();
        let pairs = self.bounds.iter().copied().zip(buckets).collect();
        (pairs, counts.sum, total)
    }
}

/// A counter split by the label `type`: `float` and `histogram`.
#[derive(Debug, Default)]
pub struct ByType {
    pub float: Count,
    pub histogram: Count,
}

/// How many seconds late samples were behind the newest of the head.
#[derive(Debug)]
pub struct LateBy(pub Distribution);

impl Default for LateBy {
    fn default() -> LateBy {
        let hours = [1.0, 2.0, 3.0, 6.0, 12.0].map(|h| h * 3600.0);
        LateBy(Distribution::new([&[600.0, 1800.0], &hours[..]].concat()))
    }
}

/// Everything the head counts. Names without their prefix `prometheus_tsdb_`.
#[derive(Debug, Default)]
pub struct HeadMetrics {
    /// `head_series`
    pub series: Count,
    /// `head_stale_series`
    pub stale_series: Count,
    /// `head_native_histogram_series`: series whose last sample is a native histogram, as of the
    /// last round of maintenance.
    pub histogram_series: Count,
    /// `head_native_histogram_buckets`: the buckets of those samples.
    pub histogram_buckets: Count,
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
    /// `sample_ooo_delta`, seconds
    pub late_by: LateBy,
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
    /// Snapshots that a start used. An addition.
    pub snapshot_loads: Count,
    /// `snapshot_replay_error_total`
    pub snapshot_errors: Count,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distributions_cumulate() {
        let d = Distribution::exponential(1.0, 2.0, 3);
        [0.5, 1.0, 1.5, 4.0, 100.0].iter().for_each(|v| d.observe(*v));
        assert_eq!(d.get(), (vec![(1.0, 2), (2.0, 3), (4.0, 4)], 107.0, 5));
    }
}
