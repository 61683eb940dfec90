//! File discovery: target groups from JSON and YAML files, read when they change and at intervals.
//!
//! A file that cannot be read or parsed keeps the groups it had; groups that are gone from a file,
//! and files that are gone, are reported as empty.

use std::collections::BTreeMap;
use std::fs;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, UNIX_EPOCH};

use model::LabelsBuilder;

use super::manager::Updates;
use super::metrics::FileMetrics;
use super::watch::Watcher;
use super::{TargetGroup, json};
use crate::config::glob::glob;
use crate::config::load::io_text;
use crate::config::sd::{FileSdConfig, StaticConfig};
use crate::config::yaml::{Decoder, Tree};

/// The label that says which file a target came from.
const FILEPATH: &str = "__meta_filepath";
/// Changes this close together are read together.
const SETTLE: Duration = Duration::from_millis(50);

/// A running file discovery.
pub struct FileDiscovery {
    id: u64,
    job: String,
    patterns: Vec<String>,
    interval: Duration,
    metrics: Arc<Mutex<FileMetrics>>,
    /// How many groups each file had when it was last read.
    last: BTreeMap<String, usize>,
}

impl FileDiscovery {
    /// A discovery for one `file_sd_configs` item; `job` is named in log lines.
    pub fn new(
        id: u64,
        config: &FileSdConfig,
        job: String,
        metrics: Arc<Mutex<FileMetrics>>,
    ) -> FileDiscovery {
        let interval = config.refresh_interval.std().max(Duration::from_millis(1));
        let patterns = config.files.clone();
        FileDiscovery { id, job, patterns, interval, metrics, last: BTreeMap::new() }
    }

    /// Reads the files again and again until the task is dropped.
    pub async fn run(mut self, updates: Updates) {
        let watcher = match Watcher::new() {
            Ok(watcher) => Some(watcher),
            Err(e) => {
                self.metrics().watcher_errors += 1;
                self.log("Error adding file watcher", "", &e.to_string());
                None
            }
        };
        let mut ticker = tokio::time::interval(self.interval);
        ticker.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticker.tick() => {}
                watched = changed(watcher.as_ref()) => if let Err(e) = watched {
                    self.log("Error watching file", "", &e.to_string());
                    tokio::time::sleep(SETTLE).await;
                },
            }
            // The folders are watched before they are read, so that no change is missed.
            if let Some(watcher) = &watcher {
                self.watch(watcher);
            }
            updates.send(self.refresh());
        }
    }

    fn watch(&self, watcher: &Watcher) {
        for pattern in &self.patterns {
            let dir = match pattern.rfind('/') {
                Some(at) => &pattern[..=at],
                None => "./",
            };
            if let Err(e) = watcher.add(dir) {
                self.log("Error adding file watch", dir, &io_text(&e));
            }
        }
    }

    /// Reads all files; gives the groups that are there and, empty, those that are gone.
    pub fn refresh(&mut self) -> Vec<TargetGroup> {
        let started = Instant::now();
        let mut found = BTreeMap::new();
        let mut out = Vec::new();
        for path in self.list() {
            let count = match self.read(&path) {
                Ok(groups) => {
                    let count = groups.len();
                    out.extend(groups);
                    count
                }
                Err(e) => {
                    self.metrics().read_errors += 1;
                    self.log("Error reading file", &path, &e);
                    self.last.get(&path).copied().unwrap_or(0)
                }
            };
            found.insert(path, count);
        }
        for (path, before) in &self.last {
            let now = found.get(path).copied();
            if now.is_none() {
                self.metrics().mtimes.remove(&(self.id, path.clone()));
            }
            let gone = now.unwrap_or(0)..*before;
            out.extend(gone.map(|i| TargetGroup { source: source(path, i), ..Default::default() }));
        }
        self.last = found;
        let ended = Instant::now();
        self.metrics().scan_durations.observe(ended, ended.duration_since(started));
        out
    }

    fn list(&self) -> Vec<String> {
        let mut paths = Vec::new();
        for pattern in &self.patterns {
            match glob(pattern) {
                Ok(found) => paths.extend(found),
                Err(e) => self.log("Error expanding glob", pattern, &e.to_string()),
            }
        }
        paths
    }

    fn read(&self, path: &str) -> Result<Vec<TargetGroup>, String> {
        let bytes = fs::read(path).map_err(|e| format!("open {path}: {}", io_text(&e)))?;
        let modified = fs::metadata(path).and_then(|meta| meta.modified());
        let groups = parse(path, &bytes)?;
        if let Ok(since) = modified.map(|at| at.duration_since(UNIX_EPOCH).unwrap_or_default()) {
            let key = (self.id, path.to_owned());
            self.metrics().mtimes.insert(key, since.as_secs() as f64);
        }
        Ok(groups)
    }

    fn metrics(&self) -> MutexGuard<'_, FileMetrics> {
        self.metrics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn log(&self, message: &str, path: &str, err: &str) {
        let config = self.job.as_str();
        tracing::error!(discovery = "file", config, path, err, "{message}");
    }
}

impl Drop for FileDiscovery {
    fn drop(&mut self) {
        let id = self.id;
        self.metrics().mtimes.retain(|(owner, _), _| *owner != id);
    }
}

/// Waits for a change and lets it settle; forever without a watcher.
async fn changed(watcher: Option<&Watcher>) -> std::io::Result<()> {
    let Some(watcher) = watcher else { return std::future::pending().await };
    watcher.changed().await?;
    tokio::time::sleep(SETTLE).await;
    watcher.drain().map(|_| ())
}

/// The groups in the text of a file, whose name says the format.
fn parse(path: &str, bytes: &[u8]) -> Result<Vec<TargetGroup>, String> {
    let configs: Vec<Option<StaticConfig>> = if path.to_lowercase().ends_with(".json") {
        json::parse(bytes)?
    } else {
        let mut configs = Vec::new();
        let tree = Tree::parse_bytes(bytes).map_err(|e| e.to_string())?;
        Decoder::decode_tree(&tree, &mut configs).map_err(|e| e.to_string())?;
        configs
    };
    let mut groups = Vec::with_capacity(configs.len());
    for (i, config) in configs.into_iter().enumerate() {
        let config = config.ok_or("nil target group item found")?;
        let mut labels = LabelsBuilder::new(&config.labels.labels());
        labels.set(FILEPATH, path);
        groups.push(TargetGroup::of_addresses(source(path, i), &config.targets, labels.labels()));
    }
    Ok(groups)
}

/// Names the `i`th group of a file.
fn source(path: &str, i: usize) -> String {
    format!("{path}:{i}")
}

#[cfg(test)]
mod tests;
