//! State: everything the endpoints look at, and nothing of how it came about.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::SystemTime;

use arc_swap::ArcSwap;
use promql::Engine;
use storage::db::{Db, ReplayProgress};

use super::error::{ApiError, Kind};
use crate::cli::Options;
use crate::governor::Governor;
use crate::scrape::view::{NoTargets, TargetsSource};
use crate::telemetry::metrics::{Gauge, Registry};

/// What of the configuration the API shows.
#[derive(Clone, Debug, Default)]
pub struct ConfigView {
    /// The whole configuration, defaults filled in.
    pub yaml: String,
    /// Retention as one text: `15d`, `15d or 1GiB`.
    pub retention: String,
}

/// Something users should be told: text and since when.
#[derive(Clone, Debug)]
pub struct Notification {
    pub text: &'static str,
    pub since: SystemTime,
}

/// The notifications of the server, as long as what they say is true.
pub const STARTING_UP: &str = "Prometheus is starting and replaying the write-ahead log (WAL).";
pub const SHUTTING_DOWN: &str =
    "Prometheus is shutting down and gracefully stopping all operations.";
pub const RELOAD_FAILED: &str = "Configuration reload has failed.";

/// Gauges about the configuration.
pub struct ConfigMetrics {
    pub successful: Arc<Gauge>,
    pub success_time: Arc<Gauge>,
}

/// The state behind the API.
pub struct Api {
    pub options: Arc<Options>,
    /// Flags as the API shows them; a few get their value while starting.
    pub flags: Mutex<BTreeMap<String, String>>,
    pub registry: Arc<Registry>,
    pub engine: ArcSwap<Engine>,
    pub governor: Governor,
    pub config: ArcSwap<ConfigView>,
    pub config_metrics: ConfigMetrics,
    pub replay: ReplayProgress,
    pub started: SystemTime,
    pub hostname: String,
    pub working_directory: PathBuf,
    db: OnceLock<Arc<Db>>,
    targets: OnceLock<Arc<dyn TargetsSource>>,
    notifications: Mutex<Vec<Notification>>,
}

impl Api {
    /// State of a server that has not opened its storage yet.
    pub fn new(
        options: Arc<Options>,
        registry: Arc<Registry>,
        engine: Engine,
        hostname: String,
    ) -> Api {
        let config_metrics = ConfigMetrics {
            successful: registry.gauge(
                "prometheus_config_last_reload_successful",
                "Whether the last configuration reload attempt was successful.",
            ),
            success_time: registry.gauge(
                "prometheus_config_last_reload_success_timestamp_seconds",
                "Timestamp of the last successful configuration reload.",
            ),
        };
        Api {
            flags: Mutex::new(options.shown.clone()),
            governor: Governor::new(options.query.max_concurrency, &registry),
            engine: ArcSwap::from_pointee(engine),
            config: ArcSwap::default(),
            config_metrics,
            replay: ReplayProgress::default(),
            started: SystemTime::now(),
            hostname,
            working_directory: std::env::current_dir().unwrap_or_default(),
            db: OnceLock::new(),
            targets: OnceLock::new(),
            notifications: Mutex::default(),
            options,
            registry,
        }
    }

    /// The storage is open.
    pub fn set_db(&self, db: Arc<Db>) {
        // Opened once; a second call would change nothing.
        let _ = self.db.set(db);
    }

    /// Something scrapes.
    pub fn set_targets(&self, targets: Arc<dyn TargetsSource>) {
        let _ = self.targets.set(targets);
    }

    /// The storage.
    pub fn db(&self) -> Result<&Arc<Db>, ApiError> {
        self.db.get().ok_or_else(|| ApiError::new(Kind::Unavailable, "TSDB not ready"))
    }

    /// Whoever scrapes.
    pub fn targets(&self) -> &dyn TargetsSource {
        self.targets.get().map_or(&NoTargets, |t| t.as_ref())
    }

    /// Changes what the flags API shows for one flag.
    pub fn show_flag(&self, name: &str, value: String) {
        self.flags.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), value);
    }

    /// Adds a notification unless it is there.
    pub fn notify(&self, text: &'static str) {
        let mut list = self.notifications.lock().unwrap_or_else(PoisonError::into_inner);
        if !list.iter().any(|n| n.text == text) {
            list.push(Notification { text, since: SystemTime::now() });
        }
    }

    /// Takes a notification back.
    pub fn forget(&self, text: &'static str) {
        self.notifications
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|n| n.text != text);
    }

    /// Every notification that holds.
    pub fn notifications(&self) -> Vec<Notification> {
        self.notifications.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
