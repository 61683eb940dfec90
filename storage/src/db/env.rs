//! Env: the world a database lives in. Files, time, randomness, threads and log lines come in here,
//! so tests run the same code against a simulated world.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::fs::Fs;

/// How important a log line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Debug,
    Info,
    Warn,
    Error,
}

/// Takes a log line: level, message, fields in order.
pub type LogFn = dyn Fn(Level, &str, &[(&str, String)]) + Send + Sync;

/// A piece of work for a thread.
pub type Job = Box<dyn FnOnce() + Send>;

/// Runs a job on a thread of the given name; may run it at once instead.
pub type SpawnFn = dyn Fn(&str, Job) + Send + Sync;

/// The world.
#[derive(Clone)]
pub struct Env {
    pub fs: Arc<dyn Fs>,
    /// Milliseconds since the epoch.
    pub clock: Arc<dyn Fn() -> i64 + Send + Sync>,
    /// 128 unpredictable bits; block names take 80 of them.
    pub random: Arc<dyn Fn() -> u128 + Send + Sync>,
    pub spawn: Arc<SpawnFn>,
    pub log: Arc<LogFn>,
}

/// How far replay has come, readable while `Db::open` runs: WAL segment numbers.
#[derive(Debug, Default)]
pub struct ReplayProgress {
    min: AtomicU64,
    max: AtomicU64,
    current: AtomicU64,
}

impl ReplayProgress {
    /// First segment, last segment, segment just read.
    pub fn get(&self) -> (u64, u64, u64) {
        let load = |v: &AtomicU64| v.load(Ordering::Relaxed);
        (load(&self.min), load(&self.max), load(&self.current))
    }

    /// Begins to read segments `min..=max`.
    pub fn start(&self, min: u64, max: u64) {
        self.min.store(min, Ordering::Relaxed);
        self.max.store(max, Ordering::Relaxed);
        self.current.store(min, Ordering::Relaxed);
    }

    /// Segment `current` has been read.
    pub fn read(&self, current: u64) {
        self.current.store(current, Ordering::Relaxed);
    }
}
