//! Manager: all scrape pools, as one task that takes configurations and target groups.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use model::{Appendable, Labels};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::time::Instant;

use super::metrics::ScrapeMetrics;
use super::pool::ScrapePool;
use super::snapshot::{PublishedTargets, TargetsSnapshot};
use super::target::fnv64a;
use super::worker::Shared;
use crate::config::ScrapeConfig;
use crate::discovery::{TargetGroup, TargetSets};

/// Target changes are applied at most this often.
const SYNC_INTERVAL: Duration = Duration::from_secs(5);

/// What scraping takes from a configuration.
#[derive(Clone, Debug)]
pub struct Jobs {
    /// Part of what tells this server's schedule from another's.
    pub external_labels: Labels,
    /// Every job, those of `scrape_config_files` among them.
    pub configs: Vec<ScrapeConfig>,
}

enum Request {
    Apply(Jobs, oneshot::Sender<Result<(), String>>),
    Stop(oneshot::Sender<()>),
}

/// A handle to the running manager.
#[derive(Clone)]
pub struct Manager {
    requests: mpsc::Sender<Request>,
}

impl Manager {
    /// Starts the manager. `targets` is what discovery publishes; `published` is where readers look.
    /// `synthesize_start_times` gives cumulative series start times.
    pub fn start(
        store: Arc<dyn Appendable>,
        metrics: Arc<ScrapeMetrics>,
        targets: watch::Receiver<TargetSets>,
        published: PublishedTargets,
        synthesize_start_times: bool,
    ) -> Manager {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let shared = Shared {
            store,
            metrics,
            clients: Arc::default(),
            ingest_slots: Arc::new(Semaphore::new(cores.max(2))),
            offset_seed: 0,
            synthesize_start_times,
        };
        let (requests, inbox) = mpsc::channel(8);
        let state = Managing { shared, jobs: BTreeMap::new(), pools: BTreeMap::new(), published };
        tokio::spawn(state.run(inbox, targets));
        Manager { requests }
    }

    /// Takes a configuration over; returns when every pool has.
    pub async fn apply(&self, jobs: Jobs) -> Result<(), String> {
        let (done, answer) = oneshot::channel();
        let gone = |_| "the scrape manager has stopped".to_owned();
        self.requests.send(Request::Apply(jobs, done)).await.map_err(|_| gone(()))?;
        answer.await.map_err(|_| gone(()))?
    }

    /// Stops all loops; running scrapes are dropped, no series is marked as ended.
    pub async fn stop(&self) {
        let (done, answer) = oneshot::channel();
        if self.requests.send(Request::Stop(done)).await.is_ok() {
            let _ = answer.await;
        }
    }
}

struct Managing {
    shared: Shared,
    jobs: BTreeMap<String, Arc<ScrapeConfig>>,
    pools: BTreeMap<String, ScrapePool>,
    published: PublishedTargets,
}

impl Managing {
    async fn run(
        mut self,
        mut inbox: mpsc::Receiver<Request>,
        mut targets: watch::Receiver<TargetSets>,
    ) {
        let mut next_sync = Instant::now();
        // The first targets are not kept waiting.
        let mut changed = false;
        loop {
            tokio::select! {
                request = inbox.recv() => match request {
                    Some(Request::Apply(jobs, done)) => {
                        let sets = TargetSets::clone(&targets.borrow());
                        let _ = done.send(self.apply(jobs, &sets).await);
                        changed = true;
                    }
                    Some(Request::Stop(done)) => {
                        self.stop().await;
                        let _ = done.send(());
                        return;
                    }
                    None => return self.stop().await,
                },
                Ok(()) = targets.changed() => changed = true,
                () = tokio::time::sleep_until(next_sync), if changed => {
                    let sets = TargetSets::clone(&targets.borrow_and_update());
                    self.sync(&sets);
                    changed = false;
                    next_sync = Instant::now() + SYNC_INTERVAL;
                }
            }
        }
    }

    fn sync(&mut self, sets: &HashMap<String, Vec<TargetGroup>>) {
        for (job, groups) in sets {
            let Some(config) = self.jobs.get(job) else { continue };
            if !self.pools.contains_key(job) {
                self.shared.metrics.pools.inc();
                match ScrapePool::new(Arc::clone(config), self.shared.clone()) {
                    Ok(pool) => {
                        self.pools.insert(job.clone(), pool);
                    }
                    Err(err) => {
                        self.shared.metrics.pools_failed.inc();
                        tracing::error!(target: "scrape", err, scrape_pool = job, "error creating new scrape pool");
                        continue;
                    }
                }
            }
            if let Some(pool) = self.pools.get_mut(job) {
                pool.sync(groups);
            }
        }
        self.publish();
    }

    async fn apply(
        &mut self,
        jobs: Jobs,
        sets: &HashMap<String, Vec<TargetGroup>>,
    ) -> Result<(), String> {
        self.shared.offset_seed = offset_seed(&jobs.external_labels);
        self.jobs = jobs.configs.into_iter().map(|c| (c.job_name.clone(), Arc::new(c))).collect();
        let mut failed = false;
        for (job, mut pool) in std::mem::take(&mut self.pools) {
            let Some(config) = self.jobs.get(&job) else {
                pool.retire();
                continue;
            };
            if **pool.config() != **config {
                let groups = sets.get(&job).map(Vec::as_slice).unwrap_or_default();
                let config = Arc::clone(config);
                if let Err(err) = pool.reload(config, self.shared.clone(), groups).await {
                    tracing::error!(target: "scrape", err, scrape_pool = job, "error reloading scrape pool");
                    failed = true;
                }
            }
            self.pools.insert(job, pool);
        }
        self.publish();
        if failed { Err("failed to apply the new configuration".to_owned()) } else { Ok(()) }
    }

    async fn stop(&mut self) {
        let pools = std::mem::take(&mut self.pools);
        join_all(pools.into_values().map(ScrapePool::shut_down)).await;
    }

    fn publish(&self) {
        let pools = self.pools.iter().map(|(job, pool)| (job.clone(), pool.snapshot())).collect();
        self.published.publish(TargetsSnapshot { pools });
    }
}

/// Differs between servers with other host names or external labels.
fn offset_seed(external_labels: &Labels) -> u64 {
    let uname = rustix::system::uname();
    let labels = external_labels.to_string();
    fnv64a([uname.nodename().to_bytes(), labels.as_bytes()])
}
