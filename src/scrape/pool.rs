//! ScrapePool: the targets of one job and their loops.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use futures_util::future::join_all;
use model::Labels;

use super::body::HARD_LIMIT;
use super::fetch::Fetcher;
use super::ingest::SampleRules;
use super::mutate::LabelLimits;
use super::snapshot::{ActiveTarget, Pool};
use super::target::{self, Outcome, Target};
use super::worker::{Settings, Shared, State, Worker};
use crate::config::{ScrapeConfig, ValidationScheme};
use crate::discovery::TargetGroup;

/// One job at work.
pub struct ScrapePool {
    config: Arc<ScrapeConfig>,
    fetcher: Arc<Fetcher>,
    shared: Shared,
    /// By target hash.
    running: HashMap<u64, Running>,
    dropped: Vec<Labels>,
    dropped_count: usize,
}

struct Running {
    active: ActiveTarget,
    worker: Worker,
}

impl ScrapePool {
    /// A pool without targets yet. The error says which client setting is not usable.
    pub fn new(config: Arc<ScrapeConfig>, shared: Shared) -> Result<ScrapePool, String> {
        let fetcher = Arc::new(Fetcher::new(&config, &shared.clients)?);
        Ok(ScrapePool {
            config,
            fetcher,
            shared,
            running: HashMap::new(),
            dropped: Vec::new(),
            dropped_count: 0,
        })
    }

    /// The job's configuration.
    pub fn config(&self) -> &Arc<ScrapeConfig> {
        &self.config
    }

    /// What readers see of the pool.
    pub fn snapshot(&self) -> Pool {
        let mut active: Vec<ActiveTarget> =
            self.running.values().map(|r| r.active.clone()).collect();
        active.sort_by(|a, b| a.target.url.cmp(&b.target.url));
        Pool {
            config: Arc::clone(&self.config),
            active,
            dropped: self.dropped.clone(),
            dropped_count: self.dropped_count,
        }
    }

    /// Starts loops for new targets, retires those of vanished ones.
    pub fn sync(&mut self, groups: &[TargetGroup]) {
        let started = Instant::now();
        let wanted = self.resolve(groups);
        let gone: Vec<u64> =
            self.running.keys().filter(|hash| !wanted.contains_key(hash)).copied().collect();
        for hash in gone {
            if let Some(running) = self.running.remove(&hash) {
                running.worker.retire();
            }
        }
        let forced_error = self.target_limit_error(wanted.len());
        for (hash, target) in wanted {
            match self.running.get_mut(&hash) {
                // Only what discovery said of it may have changed.
                Some(running) => running.active.target = target,
                None => {
                    let active =
                        ActiveTarget { target, status: Arc::default(), metadata: Arc::default() };
                    let running = self.start(active, Box::default(), forced_error.clone());
                    self.running.insert(hash, running);
                }
            }
        }
        for running in self.running.values() {
            running.worker.settings.send_if_modified(|settings| {
                let changed = settings.forced_error != forced_error;
                if changed {
                    let settings = Arc::make_mut(settings);
                    settings.forced_error.clone_from(&forced_error);
                }
                changed
            });
        }
        let job = self.config.job_name.as_str();
        self.shared.metrics.sync_length(job, started.elapsed());
    }

    /// Discovered targets → the distinct ones to scrape, by hash.
    fn resolve(&mut self, groups: &[TargetGroup]) -> HashMap<u64, Arc<Target>> {
        let mut wanted = HashMap::new();
        self.dropped.clear();
        self.dropped_count = 0;
        let job = self.config.job_name.as_str();
        for group in groups {
            for (i, labels) in group.targets.iter().enumerate() {
                match target::resolve(&self.config, labels, &group.labels) {
                    Ok(Outcome::Active(target)) => {
                        wanted.entry(target.hash).or_insert_with(|| Arc::new(*target));
                    }
                    Ok(Outcome::Dropped { discovered }) => {
                        self.dropped_count += 1;
                        let keep = self.config.keep_dropped_targets;
                        if keep == 0 || self.dropped.len() < keep {
                            self.dropped.push(discovered);
                        }
                    }
                    Err(e) => {
                        let err = format!("instance {i} in group {}: {e}", group.source);
                        tracing::error!(target: "scrape", scrape_pool = job, err, "Creating target failed");
                        self.shared.metrics.sync_failed.add([job], 1.0);
                    }
                }
            }
        }
        wanted
    }

    /// Why no target of the pool may be scraped, if there are too many.
    fn target_limit_error(&self, targets: usize) -> Option<String> {
        let limit = self.config.target_limit;
        (limit > 0 && targets > limit).then(|| {
            self.shared.metrics.exceeded_target_limit.inc();
            format!("target_limit exceeded (number of targets: {targets}, limit: {limit})")
        })
    }

    fn start(
        &self,
        active: ActiveTarget,
        state: Box<State>,
        forced_error: Option<String>,
    ) -> Running {
        let config = &self.config;
        let rules = SampleRules {
            target: active.target.labels.clone(),
            metric_relabel: config.metric_relabel_configs.to_vec(),
            honor_labels: config.honor_labels,
            honor_timestamps: config.honor_timestamps,
            track_timestamps_staleness: config.track_timestamps_staleness,
            legacy_names: config.metric_name_validation_scheme == ValidationScheme::Legacy,
            label_limits: LabelLimits {
                labels: config.label_limit,
                name_length: config.label_name_length_limit,
                value_length: config.label_value_length_limit,
            },
            sample_limit: config.sample_limit,
            synthesize_start_times: self.shared.synthesize_start_times,
        };
        let body_limit = match config.body_size_limit.0 {
            limit if limit > 0 => HARD_LIMIT.min(limit as usize),
            _ => HARD_LIMIT,
        };
        let fallback = config.fallback_scrape_protocol.header().unwrap_or_default();
        let settings = Settings {
            target: Arc::clone(&active.target),
            rules: Arc::new(rules),
            fetcher: Arc::clone(&self.fetcher),
            body_limit,
            fallback_media_type: fallback.split(';').next().unwrap_or_default().to_owned(),
            extra_metrics: config.extra_scrape_metrics.unwrap_or(false),
            forced_error,
        };
        let worker = Worker::start(
            self.shared.clone(),
            settings,
            Arc::clone(&active.status),
            Arc::clone(&active.metadata),
            state,
        );
        Running { active, worker }
    }

    /// Takes a new configuration over. Loops keep what they know of their targets unless the
    /// change could give their series other labels.
    pub async fn reload(
        &mut self,
        config: Arc<ScrapeConfig>,
        shared: Shared,
        groups: &[TargetGroup],
    ) -> Result<(), String> {
        let started = Instant::now();
        self.shared.metrics.pool_reloads.inc();
        let fetcher = Fetcher::new(&config, &shared.clients).inspect_err(|_| {
            self.shared.metrics.pool_reloads_failed.inc();
        })?;
        let keep_state = same_series(&self.config, &config);
        self.config = config;
        self.fetcher = Arc::new(fetcher);
        self.shared = shared;
        let old = std::mem::take(&mut self.running);
        if keep_state {
            // Only targets that are still wanted hand over; the others mark their end.
            let wanted = self.resolve(groups);
            let forced_error = self.target_limit_error(wanted.len());
            let (kept, gone): (Vec<_>, Vec<_>) =
                old.into_iter().partition(|(hash, _)| wanted.contains_key(hash));
            gone.into_iter().for_each(|(_, running)| running.worker.retire());
            let states = join_all(kept.into_iter().map(|(hash, running)| async move {
                (hash, running.active, running.worker.hand_over().await)
            }));
            for (hash, mut active, state) in states.await {
                active.target = Arc::clone(&wanted[&hash]);
                let running = self.start(active, state, forced_error.clone());
                self.running.insert(hash, running);
            }
        } else {
            old.into_values().for_each(|running| running.worker.retire());
        }
        self.sync(groups);
        let interval = self.config.scrape_interval.std();
        self.shared.metrics.reload_length(interval, started.elapsed());
        Ok(())
    }

    /// Stops all loops because the job is gone: their series end.
    pub fn retire(self) {
        self.running.into_values().for_each(|running| running.worker.retire());
    }

    /// Stops all loops because the server stops.
    pub async fn shut_down(self) {
        join_all(self.running.into_values().map(|running| running.worker.shut_down())).await;
    }
}

/// Whether two configurations of a job differ only in what cannot change a series' labels.
fn same_series(old: &ScrapeConfig, new: &ScrapeConfig) -> bool {
    let relevant = |config: &ScrapeConfig| {
        let mut config = config.clone();
        config.scrape_interval = Default::default();
        config.scrape_timeout = Default::default();
        config.sample_limit = 0;
        config.http_client = Default::default();
        config
    };
    relevant(old) == relevant(new)
}
