//! Scraping as the server runs it: discovery and the scrape manager, started, reloaded and stopped
//! together.

use std::sync::Arc;
use std::time::Instant;

use storage::db::Db;

use crate::api::Api;
use crate::cli::features::FeatureSet;
use crate::config::ScrapeConfig;
use crate::discovery;
use crate::scrape::{self, Jobs, PublishedTargets, ScrapeMetrics};
use crate::telemetry::metrics::{Collect, Gathered, Kind, Value};
use model::Labels;

/// Finds targets and scrapes them.
pub struct Scraping {
    discovery: Arc<discovery::Manager>,
    scrape: scrape::Manager,
}

impl Scraping {
    /// Starts without a job; registers its metrics and shows its targets to the API.
    pub fn start(api: &Api, db: &Arc<Db>, features: &FeatureSet) -> Scraping {
        let (discovery, targets) = discovery::Manager::start();
        let discovery = Arc::new(discovery);
        let published = PublishedTargets::default();
        let metrics = Arc::new(ScrapeMetrics::new(&api.registry));
        api.registry.add(Arc::new(published.clone()));
        api.registry.add(Arc::new(DiscoveryCollector(Arc::clone(&discovery))));
        api.set_targets(Arc::new(published.clone()));
        let store = Arc::clone(db) as Arc<dyn model::Appendable>;
        let start_times = features.has("st-synthesis");
        let scrape = scrape::Manager::start(store, metrics, targets, published, start_times);
        Scraping { discovery, scrape }
    }

    /// Takes over the jobs of a configuration: first the pools, then where their targets come from.
    pub async fn apply(
        &self,
        external_labels: Labels,
        configs: Vec<ScrapeConfig>,
    ) -> Result<(), String> {
        let jobs = Jobs { external_labels, configs };
        let applied = self.scrape.apply(jobs.clone()).await;
        self.discovery.apply(jobs.configs.iter().map(|c| (c.job_name.as_str(), &c.discovery)));
        applied
    }

    /// Ends all loops; no series is marked as ended, because the next start goes on with them.
    pub async fn stop(&self) {
        tracing::info!("Stopping scrape manager...");
        self.scrape.stop().await;
        tracing::info!("Scrape manager stopped");
    }
}

/// `prometheus_sd_*` of the scrape manager's discovery.
struct DiscoveryCollector(Arc<discovery::Manager>);

impl Collect for DiscoveryCollector {
    fn collect(&self, out: &mut Gathered) {
        let metrics = self.0.metrics();
        let name = ("name", "scrape");
        let mut push = |metric, help, kind, value: u64| {
            out.push(metric, help, kind, &[name], Value::Number(value as f64));
        };
        push(
            "prometheus_sd_failed_configs",
            "Current number of service discovery configurations that failed to load.",
            Kind::Gauge,
            metrics.failed_configs,
        );
        push(
            "prometheus_sd_received_updates_total",
            "Total number of update events received from the SD providers.",
            Kind::Counter,
            metrics.received_updates,
        );
        push(
            "prometheus_sd_updates_delayed_total",
            "Total number of update events that couldn't be sent immediately.",
            Kind::Counter,
            metrics.delayed_updates,
        );
        push(
            "prometheus_sd_updates_total",
            "Total number of update events sent to the SD consumers.",
            Kind::Counter,
            metrics.sent_updates,
        );
        for (job, counts) in &metrics.jobs {
            let labels = [name, ("config", job.as_str())];
            out.push(
                "prometheus_sd_discovered_targets",
                "Current number of discovered targets.",
                Kind::Gauge,
                &labels,
                Value::Number(counts.discovered_targets as f64),
            );
            if let Some(seconds) = counts.last_update_seconds {
                out.push(
                    "prometheus_sd_last_update_timestamp_seconds",
                    "Timestamp of the last update sent to the SD consumers.",
                    Kind::Gauge,
                    &labels,
                    Value::Number(seconds),
                );
            }
        }
        self.files(out);
    }
}

impl DiscoveryCollector {
    fn files(&self, out: &mut Gathered) {
        let files = self.0.file_metrics();
        out.counter(
            "prometheus_sd_file_read_errors_total",
            "The number of File-SD read errors.",
            files.read_errors as f64,
        );
        out.counter(
            "prometheus_sd_file_watcher_errors_total",
            "The number of File-SD errors caused by filesystem watch failures.",
            files.watcher_errors as f64,
        );
        let now = Instant::now();
        let scans = &files.scan_durations;
        out.push(
            "prometheus_sd_file_scan_duration_seconds",
            "The duration of the File-SD scan in seconds.",
            Kind::Summary,
            &[],
            Value::Summary {
                quantiles: [0.5, 0.9, 0.99].map(|q| (q, scans.quantile(q, now))).to_vec(),
                sum: scans.sum_seconds,
                count: scans.count,
            },
        );
        for (path, seconds) in files.mtime_seconds() {
            out.push(
                "prometheus_sd_file_mtime_seconds",
                "Timestamp (mtime) of files read by FileSD. Timestamp is set at read time.",
                Kind::Gauge,
                &[("filename", path)],
                Value::Number(seconds),
            );
        }
    }
}
