//! Metrics of scraping, under Prometheus's names.

use std::sync::Arc;
use std::time::Duration;

use super::snapshot::PublishedTargets;
use crate::telemetry::metrics::{
    Collect, Counter, CounterVec, Gathered, HistogramVec, Kind, Registry, SummaryVec, Value,
};

/// Bounds of the histograms of intervals and syncs, seconds.
const BOUNDS: &[f64] = &[0.01, 0.1, 1.0, 10.0];

/// Counted by managers, pools and loops.
pub struct ScrapeMetrics {
    pub pools: Arc<Counter>,
    pub pools_failed: Arc<Counter>,
    pub pool_reloads: Arc<Counter>,
    pub pool_reloads_failed: Arc<Counter>,
    pub exceeded_target_limit: Arc<Counter>,
    pub exceeded_sample_limit: Arc<Counter>,
    pub exceeded_label_limits: Arc<Counter>,
    pub exceeded_body_size_limit: Arc<Counter>,
    pub sample_duplicate_timestamp: Arc<Counter>,
    pub sample_out_of_order: Arc<Counter>,
    pub sample_out_of_bounds: Arc<Counter>,
    pub sync_failed: Arc<CounterVec<1>>,
    pub syncs: Arc<CounterVec<1>>,
    reload_length: Arc<SummaryVec<1>>,
    sync_length: Arc<SummaryVec<1>>,
    sync_length_histogram: Arc<HistogramVec<1>>,
    interval_length: Arc<SummaryVec<1>>,
    interval_length_histogram: Arc<HistogramVec<1>>,
}

impl ScrapeMetrics {
    /// Registers everything.
    pub fn new(registry: &Registry) -> ScrapeMetrics {
        let counter = |name, help| registry.counter(name, help);
        ScrapeMetrics {
            pools: counter(
                "prometheus_target_scrape_pools_total",
                "Total number of scrape pool creation attempts.",
            ),
            pools_failed: counter(
                "prometheus_target_scrape_pools_failed_total",
                "Total number of scrape pool creations that failed.",
            ),
            pool_reloads: counter(
                "prometheus_target_scrape_pool_reloads_total",
                "Total number of scrape pool reloads.",
            ),
            pool_reloads_failed: counter(
                "prometheus_target_scrape_pool_reloads_failed_total",
                "Total number of failed scrape pool reloads.",
            ),
            exceeded_target_limit: counter(
                "prometheus_target_scrape_pool_exceeded_target_limit_total",
                "Total number of times scrape pools hit the target limit, during sync or config reload.",
            ),
            exceeded_sample_limit: counter(
                "prometheus_target_scrapes_exceeded_sample_limit_total",
                "Total number of scrapes that hit the sample limit and were rejected.",
            ),
            exceeded_label_limits: counter(
                "prometheus_target_scrape_pool_exceeded_label_limits_total",
                "Total number of times scrape pools hit the label limits, during sync or config reload.",
            ),
            exceeded_body_size_limit: counter(
                "prometheus_target_scrapes_exceeded_body_size_limit_total",
                "Total number of scrapes that hit the body size limit",
            ),
            sample_duplicate_timestamp: counter(
                "prometheus_target_scrapes_sample_duplicate_timestamp_total",
                "Total number of samples rejected due to duplicate timestamps but different values.",
            ),
            sample_out_of_order: counter(
                "prometheus_target_scrapes_sample_out_of_order_total",
                "Total number of samples rejected due to not being out of the expected order.",
            ),
            sample_out_of_bounds: counter(
                "prometheus_target_scrapes_sample_out_of_bounds_total",
                "Total number of samples rejected due to timestamp falling outside of the time bounds.",
            ),
            sync_failed: registry.counters(
                "prometheus_target_sync_failed_total",
                "Total number of target sync failures.",
                ["scrape_job"],
            ),
            syncs: registry.counters(
                "prometheus_target_scrape_pool_sync_total",
                "Total number of syncs that were executed on a scrape pool.",
                ["scrape_job"],
            ),
            reload_length: registry.summaries(
                "prometheus_target_reload_length_seconds",
                "Actual interval to reload the scrape pool with a given configuration.",
                ["interval"],
            ),
            sync_length: registry.summaries(
                "prometheus_target_sync_length_seconds",
                "Actual interval to sync the scrape pool.",
                ["scrape_job"],
            ),
            sync_length_histogram: registry.histograms(
                "prometheus_target_sync_length_histogram_seconds",
                "Actual interval to sync the scrape pool.",
                ["scrape_job"],
                BOUNDS,
            ),
            interval_length: registry.summaries(
                "prometheus_target_interval_length_seconds",
                "Actual intervals between scrapes.",
                ["interval"],
            ),
            interval_length_histogram: registry.histograms(
                "prometheus_target_interval_length_histogram_seconds",
                "Actual intervals between scrapes.",
                ["interval"],
                BOUNDS,
            ),
        }
    }

    /// The time between two scrapes of a target with this interval.
    pub fn interval_length(&self, interval: Duration, length: Duration) {
        let interval = go_seconds(interval);
        self.interval_length.observe([&interval], length.as_secs_f64());
        self.interval_length_histogram.observe([&interval], length.as_secs_f64());
    }

    /// The time a sync took.
    pub fn sync_length(&self, job: &str, length: Duration) {
        self.sync_length.observe([job], length.as_secs_f64());
        self.sync_length_histogram.observe([job], length.as_secs_f64());
        self.syncs.add([job], 1.0);
    }

    /// The time the reload of a pool took.
    pub fn reload_length(&self, interval: Duration, length: Duration) {
        self.reload_length.observe([&go_seconds(interval)], length.as_secs_f64());
    }
}

/// Gauges read off what the API sees.
impl Collect for PublishedTargets {
    fn collect(&self, out: &mut Gathered) {
        for (job, pool) in &self.load().pools {
            let label = [("scrape_job", job.as_str())];
            let sizes = pool.active.iter().map(|t| t.metadata.size());
            let (entries, bytes) = sizes.fold((0, 0), |sum, size| (sum.0 + size.0, sum.1 + size.1));
            for (name, help, value) in [
                (
                    "prometheus_target_scrape_pool_targets",
                    "Current number of targets in this scrape pool.",
                    pool.active.len(),
                ),
                (
                    "prometheus_target_scrape_pool_target_limit",
                    "Maximum number of targets allowed in this scrape pool.",
                    pool.config.target_limit,
                ),
                (
                    "prometheus_target_metadata_cache_entries",
                    "Total number of metric metadata entries in the cache",
                    entries,
                ),
                (
                    "prometheus_target_metadata_cache_bytes",
                    "The number of bytes that are currently used for storing metric metadata in the cache",
                    bytes,
                ),
            ] {
                out.push(name, help, Kind::Gauge, &label, Value::Number(value as f64));
            }
        }
    }
}

/// `1m0s`, as Go prints a duration of whole milliseconds.
fn go_seconds(duration: Duration) -> String {
    let ms = duration.as_millis() as u64;
    if ms < 1000 {
        return format!("{ms}ms");
    }
    let (hours, minutes, rest) = (ms / 3_600_000, ms / 60_000 % 60, ms % 60_000);
    let seconds = model::number::format_f(rest as f64 / 1000.0);
    match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, m) => format!("{m}m{seconds}s"),
        (h, m) => format!("{h}h{m}m{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_as_go_prints_them() {
        for (ms, text) in [
            (500, "500ms"),
            (15_000, "15s"),
            (60_000, "1m0s"),
            (5_400_000, "1h30m0s"),
            (1500, "1.5s"),
        ] {
            assert_eq!(go_seconds(Duration::from_millis(ms)), text);
        }
    }
}
