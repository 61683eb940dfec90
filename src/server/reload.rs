//! Reload: the configuration file becomes what the parts of the server work with. Every part gets
//! its share even if an earlier one failed; a file that does not load changes nothing.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use promql::{Engine, EngineOptions, MemoryPool};
use storage::db::Db;

use super::memory;
use super::scraping::Scraping;
use super::source::{ConfigSource, Loaded};
use super::tsdb::{Retention, config_defaults, max_block_ms, runtime_options};
use crate::api::Api;
use crate::api::state::{ConfigView, RELOAD_FAILED};
use crate::cli::Options;
use crate::cli::features::FeatureSet;
use crate::config::{Config, Defaults};
use crate::gotime;
use model::number::go_quote;

/// Applies configurations.
pub struct Reloader {
    pub api: Arc<Api>,
    pub source: ConfigSource,
    pub features: FeatureSet,
    /// Checksum of the files that were loaded last.
    pub checksum: Option<u64>,
    last_retention: Option<Retention>,
    scraping: Scraping,
}

/// The engine for a configuration; what queries hold is counted in `memory`.
pub fn engine(
    options: &Options,
    features: &FeatureSet,
    config: &Config,
    memory: &Arc<MemoryPool>,
) -> Engine {
    Engine::new(EngineOptions {
        rewrites: true,
        max_bytes: options.query.max_bytes.unwrap_or_else(memory::query_limit),
        memory: Arc::clone(memory),
        lookback_ms: options.query.lookback_ms,
        max_samples: options.query.max_samples,
        default_subquery_step_ms: config.global.evaluation_interval.0,
        threads: 0,
        features: features.promql(),
    })
}

impl Reloader {
    /// A reloader that has loaded nothing yet.
    pub fn new(
        api: Arc<Api>,
        source: ConfigSource,
        features: FeatureSet,
        scraping: Scraping,
    ) -> Reloader {
        Reloader { api, source, features, checksum: None, last_retention: None, scraping }
    }

    fn defaults(&self) -> Defaults {
        config_defaults(&self.api.options.tsdb, &self.features)
    }

    /// Loads the configuration anew and applies it; the error is what `/-/reload` answers.
    pub async fn reload(&mut self, db: &Db) -> Result<(), String> {
        let outcome = self.load_and_apply(db).await;
        let metrics = &self.api.config_metrics;
        match &outcome {
            Ok(()) => {
                metrics.successful.set(1.0);
                metrics.success_time.set(now_seconds());
                self.api.forget(RELOAD_FAILED);
            }
            Err(e) => {
                metrics.successful.set(0.0);
                self.api.notify(RELOAD_FAILED);
                tracing::error!(err = e, "Error reloading config");
            }
        }
        outcome
    }

    /// Reloads when the files have changed since they were loaded.
    pub async fn reload_if_changed(&mut self, db: &Db) {
        let Ok(loaded) = self.source.load(&self.defaults()) else {
            // A broken file is reported once, until it changes again.
            let found = self.source.checksum(&Config::default());
            if found != self.checksum {
                let _ = self.reload(db).await;
                self.checksum = found;
            }
            return;
        };
        if self.source.checksum(&loaded.config) == self.checksum {
            return;
        }
        tracing::info!("Configuration file change detected, reloading the configuration.");
        // The error is logged where it happens.
        let _ = self.reload(db).await;
    }

    async fn load_and_apply(&mut self, db: &Db) -> Result<(), String> {
        let began = Instant::now();
        let path = self.source.path().unwrap_or_default().to_owned();
        tracing::info!(filename = path, "Loading configuration file");
        let loaded = self.source.load(&self.defaults()).map_err(|e| {
            format!("couldn't load configuration (--config.file={}): {e}", go_quote(&path))
        })?;
        self.checksum = self.source.checksum(&loaded.config);
        let timings = self.apply(db, loaded).await.map_err(|()| {
            format!(
                "one or more errors occurred while applying the new configuration \
                 (--config.file={})",
                go_quote(&path)
            )
        })?;
        let [db_storage, web_handler, query_engine, scrape] = timings.map(gotime::go_duration);
        tracing::info!(
            db_storage,
            web_handler,
            query_engine,
            scrape,
            filename = path,
            totalDuration = gotime::go_duration(began.elapsed()),
            "Completed loading of configuration file"
        );
        Ok(())
    }

    /// Gives each part its share: storage, web with queries, the query log, scraping. How long each took.
    async fn apply(&mut self, db: &Db, loaded: Loaded) -> Result<[Duration; 4], ()> {
        let mut failed = false;
        let mut fail = |outcome: Result<(), String>| {
            if let Err(e) = outcome {
                tracing::error!(err = e, "Failed to apply configuration");
                failed = true;
            }
        };
        let Loaded { config, jobs } = loaded;
        let retention = Retention::of(&config);

        let began = Instant::now();
        let runtime = runtime_options(&retention, &config, &self.features);
        fail(runtime.and_then(|runtime| db.apply(runtime).map_err(|e| e.to_string())));
        if self.last_retention != Some(retention) {
            tracing::info!(
                duration = model::duration::format(retention.time_ms),
                size = crate::gotext::format_bytes(retention.bytes),
                percentage = retention.percentage,
                "TSDB retention updated"
            );
            self.last_retention = Some(retention);
        }
        let storage_took = began.elapsed();

        let began = Instant::now();
        self.show(&config, &retention);
        let web_took = began.elapsed();

        let began = Instant::now();
        fail(self.api.governor.log.set(&config.global.query_log_file));
        let engine_took = began.elapsed();

        let began = Instant::now();
        fail(self.scraping.apply(config.global.external_labels.labels(), jobs).await);
        if failed { Err(()) } else { Ok([storage_took, web_took, engine_took, began.elapsed()]) }
    }

    /// What the API shows of a configuration and queries take from it.
    fn show(&self, config: &Config, retention: &Retention) {
        let api = &self.api;
        let memory = Arc::clone(&api.engine.load().options().memory);
        api.engine.store(Arc::new(engine(&api.options, &self.features, config, &memory)));
        let view = ConfigView { yaml: yaml(config, retention), retention: retention.text() };
        api.config.store(Arc::new(view));
        api.show_flag("storage.tsdb.retention.time", model::duration::format(retention.time_ms));
        api.show_flag("storage.tsdb.retention.size", crate::gotext::format_bytes(retention.bytes));
        let longest = max_block_ms(&api.options.tsdb, retention);
        api.show_flag("storage.tsdb.max-block-duration", model::duration::format(longest));
    }

    /// Stops what the configuration started.
    pub async fn stop(&mut self) {
        self.scraping.stop().await;
    }
}

/// The configuration as text, with the retention in force.
fn yaml(config: &Config, retention: &Retention) -> String {
    let mut config = config.clone();
    if let Some(section) = config.storage.tsdb.as_mut().and_then(|t| t.retention.as_mut()) {
        section.time.0 = retention.time_ms;
        section.size.0 = retention.bytes;
    }
    config.to_yaml()
}

/// Seconds since the epoch.
pub fn now_seconds() -> f64 {
    gotime::unix_nanos(SystemTime::now()) as f64 / 1e9
}
