//! TargetsSnapshot: which targets there are, with live handles to how each is doing. The manager
//! publishes it after every change; the API reads it through [`TargetsSource`] and never meets the
//! manager.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use model::{Labels, duration};

use super::metadata::MetadataStore;
use super::status::TargetStatus;
use super::target::Target;
use super::view::{FamilyView, PoolView, TargetMetadata, TargetView, TargetsSource};
use crate::config::ScrapeConfig;

/// One target that is scraped.
#[derive(Clone)]
pub struct ActiveTarget {
    pub target: Arc<Target>,
    pub status: Arc<TargetStatus>,
    pub metadata: Arc<MetadataStore>,
}

/// One job.
#[derive(Clone)]
pub struct Pool {
    pub config: Arc<ScrapeConfig>,
    /// Sorted by URL.
    pub active: Vec<ActiveTarget>,
    /// Discovered labels of what relabelling dropped; at most `keep_dropped_targets` of them.
    pub dropped: Vec<Labels>,
    /// How many relabelling dropped.
    pub dropped_count: usize,
}

/// All jobs by name.
#[derive(Clone, Default)]
pub struct TargetsSnapshot {
    pub pools: BTreeMap<String, Pool>,
}

/// Where the manager publishes and the API reads.
#[derive(Clone, Default)]
pub struct PublishedTargets(Arc<ArcSwap<TargetsSnapshot>>);

impl PublishedTargets {
    /// Replaces what readers see.
    pub fn publish(&self, snapshot: TargetsSnapshot) {
        self.0.store(Arc::new(snapshot));
    }

    /// What readers see.
    pub fn load(&self) -> Arc<TargetsSnapshot> {
        self.0.load_full()
    }
}

impl ActiveTarget {
    fn view(&self) -> TargetView {
        let last = self.status.last();
        let target = &self.target;
        TargetView {
            discovered_labels: target.discovered.clone(),
            labels: target.labels.clone(),
            scrape_url: target.url.clone(),
            last_error: last.error,
            last_warning: last.warning,
            last_scrape: last.started,
            last_scrape_duration: last.duration,
            health: last.health,
            scrape_interval: duration::format(target.interval_ms),
            scrape_timeout: duration::format(target.timeout_ms),
        }
    }
}

impl TargetsSource for PublishedTargets {
    fn pools(&self) -> Vec<PoolView> {
        let snapshot = self.load();
        let view = |(name, pool): (&String, &Pool)| PoolView {
            name: name.clone(),
            active: pool.active.iter().map(ActiveTarget::view).collect(),
            dropped: pool.dropped.clone(),
            dropped_count: pool.dropped_count,
        };
        snapshot.pools.iter().map(view).collect()
    }

    fn metadata(&self, family: Option<&str>) -> Vec<TargetMetadata> {
        let snapshot = self.load();
        let families = |target: &ActiveTarget| match family {
            Some(family) => target
                .metadata
                .get(family)
                .map(|metadata| FamilyView { family: family.to_owned(), metadata })
                .into_iter()
                .collect(),
            None => {
                let all = target.metadata.list().into_iter();
                all.map(|(family, metadata)| FamilyView { family, metadata }).collect()
            }
        };
        let view = |target: &ActiveTarget| TargetMetadata {
            labels: target.target.labels.clone(),
            families: families(target),
        };
        snapshot.pools.values().flat_map(|pool| pool.active.iter().map(view)).collect()
    }
}
