//! WalMetrics: what a log counts. Names in the comments are Prometheus's, behind
//! `prometheus_tsdb_wal_` or `prometheus_tsdb_out_of_order_wbl_`.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How many of the latest syncs quantiles are taken over: ten minutes of one a second.
const RECENT_SYNCS: usize = 600;

/// Counters of one log.
#[derive(Debug, Default)]
pub struct WalMetrics {
    /// `fsync_duration_seconds`
    pub syncs: SyncTimes,
    /// Syncs that failed. An addition.
    pub syncs_failed: AtomicU64,
    /// `page_flushes_total`: here, writes.
    pub page_flushes: AtomicU64,
    /// `completed_pages_total`
    pub completed_pages: AtomicU64,
    /// `truncations_failed_total`
    pub truncations_failed: AtomicU64,
    /// `truncations_total`
    pub truncations: AtomicU64,
    /// `segment_current`
    pub current_segment: AtomicU64,
    /// `writes_failed_total`
    pub writes_failed: AtomicU64,
    /// `record_part_writes_total`
    pub record_part_writes: AtomicU64,
    /// `record_parts_bytes_written_total`
    pub record_part_bytes: AtomicU64,
    /// `record_bytes_saved_total{compression}`
    pub record_bytes_saved: AtomicU64,
}

/// Adds to a counter.
pub(super) fn add(counter: &AtomicU64, n: u64) {
    counter.fetch_add(n, Ordering::Relaxed);
}

/// Durations of syncs: all of them counted, the latest kept for quantiles.
#[derive(Debug, Default)]
pub struct SyncTimes {
    times: Mutex<Times>,
}

#[derive(Debug, Default)]
struct Times {
    count: u64,
    sum: Duration,
    recent: VecDeque<Duration>,
}

impl SyncTimes {
    pub(super) fn observe(&self, took: Duration) {
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        times.count += 1;
        times.sum += took;
        if times.recent.len() == RECENT_SYNCS {
            times.recent.pop_front();
        }
        times.recent.push_back(took);
    }

    /// Number of syncs and their duration in all.
    pub fn total(&self) -> (u64, Duration) {
        let times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        (times.count, times.sum)
    }

    /// Quantiles of the latest durations; empty when there was none.
    pub fn quantiles<const N: usize>(&self, quantiles: [f64; N]) -> Option<[Duration; N]> {
        let times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sorted: Vec<Duration> = times.recent.iter().copied().collect();
        drop(times);
        sorted.sort_unstable();
        let last = sorted.len().checked_sub(1)?;
        Some(quantiles.map(|q| sorted[((last as f64 * q).round() as usize).min(last)]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_the_latest() {
        let times = SyncTimes::default();
        assert_eq!(times.quantiles([0.5]), None);
        for ms in 0..700 {
            times.observe(Duration::from_millis(ms));
        }
        let [low, half, high] = times.quantiles([0.0, 0.5, 1.0]).unwrap();
        assert_eq!([low, half, high].map(|d| d.as_millis()), [100, 400, 699]);
        assert_eq!(times.total().0, 700);
    }
}
