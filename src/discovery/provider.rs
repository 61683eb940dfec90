//! Provider: one running source of target groups and the jobs it serves.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use tokio::task::AbortHandle;

use super::file::FileDiscovery;
use super::manager::Updates;
use super::metrics::FileMetrics;
use super::{TargetGroup, static_groups};
use crate::config::sd::{DiscoveryConfig, DiscoveryConfigs, FileSdConfig, StaticConfig};

/// What a provider is configured with; equal ones are one provider.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// All `static_configs` of a job together; also what a job without any source has.
    Static(Vec<StaticConfig>),
    /// One item of `file_sd_configs`.
    File(FileSdConfig),
}

impl Source {
    /// The sources of a job. Kinds that are not built are told by their key.
    pub fn of(configs: &DiscoveryConfigs) -> (Vec<Source>, Vec<&'static str>) {
        let mut sources = Vec::new();
        let mut unknown = Vec::new();
        for config in &configs.configs {
            match config {
                DiscoveryConfig::File(file) => sources.push(Source::File((**file).clone())),
                DiscoveryConfig::Static(_) => {}

                other => unknown.push(other.key()),
            }
        }
        let fixed: Vec<StaticConfig> = configs.static_groups().cloned().collect();
        if !fixed.is_empty() || sources.is_empty() {
            sources.push(Source::Static(fixed));
        }
        (sources, unknown)
    }
}

/// Something that finds targets until it is stopped.
pub type Discoverer = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A source with what it found.
pub struct Provider {
    /// Unique while the manager lives.
    pub id: u64,
    /// Its configuration.
    pub source: Source,
    /// The jobs it serves.
    pub jobs: BTreeSet<String>,
    /// The groups that have targets, by their source.
    pub groups: BTreeMap<String, TargetGroup>,
    /// Whether it has said anything yet.
    pub reported: bool,
    task: Option<AbortHandle>,
}

impl Provider {
    /// A provider that is not running yet; a static one has its groups at once.
    pub fn new(id: u64, source: Source) -> Provider {
        let mut provider = Provider {
            id,
            source,
            jobs: BTreeSet::new(),
            groups: BTreeMap::new(),
            reported: false,
            task: None,
        };
        if let Source::Static(configs) = &provider.source {
            let groups = static_groups(configs);
            provider.update(groups);
        }
        provider
    }

    /// Starts looking for targets; needs a tokio runtime.
    pub fn start(&mut self, updates: Updates, files: &Arc<Mutex<FileMetrics>>) {
        let discoverer: Discoverer = match &self.source {
            Source::Static(_) => return,
            Source::File(config) => {
                let job = self.jobs.first().cloned().unwrap_or_default();
                let files = Arc::clone(files);
                Box::pin(FileDiscovery::new(self.id, config, job, files).run(updates))
            }
        };
        self.task = Some(tokio::spawn(discoverer).abort_handle());
    }

    /// Whether it needs no start: it is running, or it has nothing to run.
    pub fn running(&self) -> bool {
        self.task.is_some() || matches!(self.source, Source::Static(_))
    }

    /// Takes over new groups; those without targets are removed.
    pub fn update(&mut self, groups: Vec<TargetGroup>) {
        self.reported = true;
        for group in groups {
            if group.targets.is_empty() {
                self.groups.remove(&group.source);
            } else {
                self.groups.insert(group.source.clone(), group);
            }
        }
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}
