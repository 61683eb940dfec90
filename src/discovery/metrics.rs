//! What service discovery counts: plain structs that telemetry reads.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

/// Counts of one manager, `prometheus_sd_*{name="…"}`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ManagerMetrics {
    /// `prometheus_sd_failed_configs`
    pub failed_configs: u64,
    /// `prometheus_sd_received_updates_total`
    pub received_updates: u64,
    /// `prometheus_sd_updates_delayed_total`: stays 0, because publishing never waits for readers.
    pub delayed_updates: u64,
    /// `prometheus_sd_updates_total`
    pub sent_updates: u64,
    /// By job.
    pub jobs: BTreeMap<String, JobMetrics>,
}

/// Counts of one job of a manager.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct JobMetrics {
    /// `prometheus_sd_discovered_targets{config="…"}`
    pub discovered_targets: u64,
    /// `prometheus_sd_last_update_timestamp_seconds{config="…"}`; `None` before the first one.
    pub last_update_seconds: Option<f64>,
}

/// Counts of all file discovery, `prometheus_sd_file_*`.
#[derive(Clone, Debug, Default)]
pub struct FileMetrics {
    /// `prometheus_sd_file_read_errors_total`
    pub read_errors: u64,
    /// `prometheus_sd_file_watcher_errors_total`
    pub watcher_errors: u64,
    /// `prometheus_sd_file_scan_duration_seconds`
    pub scan_durations: Durations,
    /// `prometheus_sd_file_mtime_seconds{filename="…"}`, by the provider that read it.
    pub mtimes: BTreeMap<(u64, String), f64>,
}

impl FileMetrics {
    /// When each file was last changed, in seconds since 1970, as of when it was last read.
    pub fn mtime_seconds(&self) -> BTreeMap<&str, f64> {
        self.mtimes.iter().map(|((_, path), seconds)| (path.as_str(), *seconds)).collect()
    }
}

/// How long something took: count and sum of all times, quantiles of those of the last ten minutes.
#[derive(Clone, Debug, Default)]
pub struct Durations {
    /// Number of times.
    pub count: u64,
    /// Sum in seconds.
    pub sum_seconds: f64,
    recent: VecDeque<(Instant, f64)>,
}

/// How far back quantiles look.
const WINDOW: Duration = Duration::from_secs(600);
/// Most times kept for quantiles.
const MAX_RECENT: usize = 1000;

impl Durations {
    /// Adds what was measured up to `now`.
    pub fn observe(&mut self, now: Instant, took: Duration) {
        let seconds = took.as_secs_f64();
        self.count += 1;
        self.sum_seconds += seconds;
        if self.recent.len() >= MAX_RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back((now, seconds));
    }

    /// The `q`-quantile in seconds; NaN when nothing was measured lately.
    pub fn quantile(&self, q: f64, now: Instant) -> f64 {
        let mut recent: Vec<f64> = self
            .recent
            .iter()
            .filter(|(at, _)| now.duration_since(*at) < WINDOW)
            .map(|(_, seconds)| *seconds)
            .collect();
        recent.sort_by(f64::total_cmp);
        let rank = (q.clamp(0.0, 1.0) * recent.len() as f64).ceil() as usize;
        recent.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_the_last_minutes() {
        let start = Instant::now();
        let mut durations = Durations::default();
        assert!(durations.quantile(0.5, start).is_nan());
        durations.observe(start, Duration::from_secs(100));
        let later = start + Duration::from_secs(700);
        for seconds in 1..=10 {
            durations.observe(later, Duration::from_secs(seconds));
        }
        assert_eq!(durations.quantile(0.5, later), 5.0);
        assert_eq!(durations.quantile(0.9, later), 9.0);
        assert_eq!(durations.quantile(0.99, later), 10.0);
        assert_eq!((durations.count, durations.sum_seconds), (11, 155.0));
    }
}
