//! Manager: the providers of all jobs, and the publishing of what they find.
//!
//! Updates are gathered and published at most once per interval, which grows from a tenth of a
//! second to five seconds while updates keep coming.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::metrics::{FileMetrics, ManagerMetrics};
use super::provider::{Provider, Source};
use super::{TargetGroup, TargetSets};
use crate::config::sd::DiscoveryConfigs;

/// The interval after a while without updates.
const SHORTEST: Duration = Duration::from_millis(100);
/// The longest interval, and how long without updates is a while.
const LONGEST: Duration = Duration::from_secs(5);

/// Finds the targets of all jobs. Everything stops when it is dropped.
pub struct Manager {
    shared: Arc<Shared>,
    sender: tokio::task::AbortHandle,
}

struct Shared {
    state: Mutex<State>,
    files: Arc<Mutex<FileMetrics>>,
    changed: Notify,
    published: watch::Sender<TargetSets>,
}

#[derive(Default)]
struct State {
    providers: Vec<Provider>,
    next_id: u64,
    metrics: ManagerMetrics,
}

/// Where a provider hands in what it found.
#[derive(Clone)]
pub struct Updates {
    shared: Weak<Shared>,
    provider: u64,
}

impl Updates {
    /// Groups that are new or changed; one without targets is gone.
    pub fn send(&self, groups: Vec<TargetGroup>) {
        let Some(shared) = self.shared.upgrade() else { return };
        let mut state = shared.state();
        state.metrics.received_updates += 1;
        let id = self.provider;
        if let Some(provider) = state.providers.iter_mut().find(|p| p.id == id) {
            provider.update(groups);
        }
        drop(state);
        shared.changed.notify_one();
    }
}

impl Manager {
    /// A manager without jobs, and where its target sets are published. Must be called on a tokio
    /// runtime, which its providers run on.
    pub fn start() -> (Manager, watch::Receiver<TargetSets>) {
        let (published, receiver) = watch::channel(TargetSets::default());
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            files: Arc::default(),
            changed: Notify::new(),
            published,
        });
        let sender = tokio::spawn(publish_forever(Arc::downgrade(&shared))).abort_handle();
        (Manager { shared, sender }, receiver)
    }

    /// Takes over the sources of all jobs: starts what is new, stops what no job uses any more,
    /// leaves the rest running. Must be called on the same runtime.
    pub fn apply<'c>(&self, jobs: impl IntoIterator<Item = (&'c str, &'c DiscoveryConfigs)>) {
        let mut state = self.shared.state();
        let mut old = std::mem::take(&mut state.providers);
        let mut new: Vec<Provider> = Vec::new();
        let mut failed = 0;
        for provider in &mut old {
            provider.jobs.clear();
        }
        let mut names = Vec::new();
        for (job, configs) in jobs {
            names.push(job.to_owned());
            let (sources, unknown) = Source::of(configs);
            for key in unknown {
                failed += 1;
                tracing::error!(r#type = key, config = job, "Cannot create service discovery");
            }
            for source in sources {
                let provider = state.provider_for(source, &mut old, &mut new);
                provider.jobs.insert(job.to_owned());
            }
        }
        for provider in &mut new {
            if !provider.running() {
                let updates =
                    Updates { shared: Arc::downgrade(&self.shared), provider: provider.id };
                provider.start(updates, &self.shared.files);
            }
        }
        state.providers = new;
        state.metrics.failed_configs = failed;
        state.metrics.jobs.retain(|job, _| names.contains(job));
        for name in names {
            state.metrics.jobs.entry(name).or_default();
        }
        // What was found already goes out at once, unless something that just started would be
        // missing from it: that usually needs a moment only.
        let complete = state.providers.iter().all(|p| p.reported);
        drop(state);
        if complete {
            self.shared.publish();
        } else {
            self.shared.changed.notify_one();
        }
    }

    /// The manager's counts as of now.
    pub fn metrics(&self) -> ManagerMetrics {
        self.shared.state().metrics.clone()
    }

    /// The counts of file discovery as of now.
    pub fn file_metrics(&self) -> FileMetrics {
        self.shared.files.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        self.sender.abort();
        self.shared.state().providers.clear();
    }
}

impl State {
    /// The provider of `source`: one of this round, else one of the last, else a new one.
    fn provider_for<'p>(
        &mut self,
        source: Source,
        old: &mut Vec<Provider>,
        new: &'p mut Vec<Provider>,
    ) -> &'p mut Provider {
        let at = match new.iter().position(|p| p.source == source) {
            Some(at) => at,
            None => {
                let kept = old.iter().position(|p| p.source == source);
                new.push(match kept {
                    Some(at) => old.swap_remove(at),
                    None => {
                        self.next_id += 1;
                        Provider::new(self.next_id, source)
                    }
                });
                new.len() - 1
            }
        };
        &mut new[at]
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Publishes all groups of all jobs.
    fn publish(&self) {
        let mut state = self.state();
        let mut sets: HashMap<String, Vec<TargetGroup>> = HashMap::new();
        for provider in &state.providers {
            for job in &provider.jobs {
                sets.entry(job.clone()).or_default().extend(provider.groups.values().cloned());
            }
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        for (job, groups) in &sets {
            let metrics = state.metrics.jobs.entry(job.clone()).or_default();
            metrics.discovered_targets = groups.iter().map(|g| g.targets.len() as u64).sum();
            metrics.last_update_seconds = Some(now);
        }
        state.metrics.sent_updates += 1;
        // Under the lock, so that an older state never follows a newer one.
        self.published.send_replace(Arc::new(sets));
    }
}

async fn publish_forever(shared: Weak<Shared>) {
    let mut interval = SHORTEST;
    let mut last: Option<Instant> = None;
    loop {
        {
            let Some(shared) = shared.upgrade() else { return };
            shared.changed.notified().await;
        }
        if last.is_some_and(|at| at.elapsed() > LONGEST) {
            interval = SHORTEST;
        }
        tokio::time::sleep(interval).await;
        interval = (interval * 3 / 2).min(LONGEST);
        last = Some(Instant::now());
        let Some(shared) = shared.upgrade() else { return };
        shared.publish();
    }
}

#[cfg(test)]
mod tests;
