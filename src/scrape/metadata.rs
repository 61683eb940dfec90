//! MetadataStore: type, unit and help of the families a target exposes, for the API.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use model::{Metadata, MetricType};

/// Metadata outlives its family by this many scrapes.
const KEPT_SCRAPES: u32 = 10;

/// Written by the scrape loop, read by the API.
#[derive(Debug, Default)]
pub struct MetadataStore {
    families: Mutex<BTreeMap<String, Family>>,
    /// Whether families are kept that the last body did not have.
    gone: AtomicBool,
}

#[derive(Debug, Default)]
struct Family {
    metadata: Metadata,
    seen: u32,
}

impl MetadataStore {
    /// Everything known, by family name.
    pub fn list(&self) -> Vec<(String, Metadata)> {
        let families = self.lock();
        families.iter().map(|(name, f)| (name.clone(), f.metadata.clone())).collect()
    }

    /// What is known of one family.
    pub fn get(&self, family: &str) -> Option<Metadata> {
        self.lock().get(family).map(|f| f.metadata.clone())
    }

    /// Number of families and bytes of their texts.
    pub fn size(&self) -> (usize, usize) {
        let families = self.lock();
        let bytes = |(name, f): (&String, &Family)| {
            name.len() + f.metadata.help.len() + f.metadata.unit.len()
        };
        (families.len(), families.iter().map(bytes).sum())
    }

    pub(super) fn set_type(&self, family: &str, metric_type: MetricType, iteration: u32) {
        self.update(family, iteration, |m| m.metric_type = metric_type);
    }

    pub(super) fn set_help(&self, family: &str, help: &str, iteration: u32) {
        self.update(family, iteration, |m| help.clone_into(&mut m.help));
    }

    fn update(&self, family: &str, iteration: u32, change: impl FnOnce(&mut Metadata)) {
        let mut families = self.lock();
        if !families.contains_key(family) {
            families.insert(family.to_owned(), Family::default());
        }
        if let Some(entry) = families.get_mut(family) {
            entry.seen = iteration;
            change(&mut entry.metadata);
        }
    }

    /// Whether families are kept that the last body did not have.
    pub(super) fn has_gone(&self) -> bool {
        self.gone.load(Ordering::Relaxed)
    }

    /// Drops families gone for more than ten scrapes.
    pub(super) fn expire(&self, iteration: u32) {
        let mut families = self.lock();
        families.retain(|_, f| iteration - f.seen <= KEPT_SCRAPES);
        let gone = families.values().any(|f| f.seen != iteration);
        self.gone.store(gone, Ordering::Relaxed);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Family>> {
        self.families.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
