//! Service discovery: finds targets and publishes, per job, all groups there are.
//!
//! What must hold: jobs with the same source share one provider; a reload leaves unchanged
//! providers running; what is published is always the full state; a source that fails keeps the
//! groups it had.

mod file;
mod json;
pub mod manager;
pub mod metrics;
mod provider;
mod watch;

use std::collections::HashMap;
use std::sync::Arc;

use model::Labels;

use crate::config::sd::StaticConfig;

pub use manager::Manager;

/// Targets that came from one place together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TargetGroup {
    /// Names the group within its provider: a later group of the same source replaces it, one
    /// without targets removes it.
    pub source: String,
    /// The labels of each target, `__address__` among them.
    pub targets: Vec<Labels>,
    /// Labels all of them have unless they set them themselves.
    pub labels: Labels,
}

/// All groups by job; a job without targets has an empty list.
pub type TargetSets = Arc<HashMap<String, Vec<TargetGroup>>>;

/// The label that holds a target's address.
pub const ADDRESS: &str = "__address__";

impl TargetGroup {
    /// A group of plain addresses.
    pub fn of_addresses(source: String, addresses: &[String], labels: Labels) -> TargetGroup {
        let targets =
            addresses.iter().map(|address| Labels::from_pairs([(ADDRESS, address)])).collect();
        TargetGroup { source, targets, labels }
    }
}

/// The groups of a job's `static_configs`.
pub fn static_groups(configs: &[StaticConfig]) -> Vec<TargetGroup> {
    configs
        .iter()
        .enumerate()
        .map(|(i, config)| {
            TargetGroup::of_addresses(i.to_string(), &config.targets, config.labels.labels())
        })
        .collect()
}
