//! Views: what the API may know of scraping. Snapshots made when somebody asks, so that neither
//! side holds a lock of the other.

use std::time::{Duration, SystemTime};

use model::{Labels, Metadata};

/// Whether the last scrape worked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Health {
    /// Not scraped yet.
    #[default]
    Unknown,
    Up,
    Down,
}

impl Health {
    /// The word of the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Health::Unknown => "unknown",
            Health::Up => "up",
            Health::Down => "down",
        }
    }
}

/// A target that is scraped.
#[derive(Clone, Debug)]
pub struct TargetView {
    /// Labels before relabelling.
    pub discovered_labels: Labels,
    /// Labels that its series get.
    pub labels: Labels,
    pub scrape_url: String,
    /// Empty when the last scrape worked.
    pub last_error: String,
    /// What the last scrape left out; empty when nothing. An addition.
    pub last_warning: String,
    /// `None` before the first scrape.
    pub last_scrape: Option<SystemTime>,
    pub last_scrape_duration: Duration,
    pub health: Health,
    /// Prometheus's duration text.
    pub scrape_interval: String,
    /// Prometheus's duration text.
    pub scrape_timeout: String,
}

/// The targets of one scrape configuration.
#[derive(Clone, Debug, Default)]
pub struct PoolView {
    /// The job name.
    pub name: String,
    pub active: Vec<TargetView>,
    /// Discovered labels of targets that relabelling dropped, as far as they are kept.
    pub dropped: Vec<Labels>,
    /// How many were dropped.
    pub dropped_count: usize,
}

/// What a target says of one of its metric families.
#[derive(Clone, Debug)]
pub struct FamilyView {
    /// Name of the family.
    pub family: String,
    pub metadata: Metadata,
}

/// The metadata of one target.
#[derive(Clone, Debug)]
pub struct TargetMetadata {
    /// Labels of the target.
    pub labels: Labels,
    pub families: Vec<FamilyView>,
}

/// Whoever scrapes answers these.
pub trait TargetsSource: Send + Sync {
    /// Every pool, in order of name.
    fn pools(&self) -> Vec<PoolView>;

    /// The metadata of every active target; of one family only when `family` is given.
    fn metadata(&self, family: Option<&str>) -> Vec<TargetMetadata>;
}

/// Nothing is scraped.
pub struct NoTargets;

impl TargetsSource for NoTargets {
    fn pools(&self) -> Vec<PoolView> {
        Vec::new()
    }

    fn metadata(&self, _: Option<&str>) -> Vec<TargetMetadata> {
        Vec::new()
    }
}
