//! The storage as the server drives it: options from flags and configuration, the world it lives
//! in, and the thread that keeps house.

use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use storage::db::{
    Db, Env, FloatEncoding, HeadSnapshot, Level, RuntimeOptions, WalCompression as DbCompression,
    WalFsync as DbFsync,
};
use storage::fs::RealFs;

use super::{memory, uploads};
use crate::cli::features::FeatureSet;
use crate::cli::options::{TsdbOptions, WalCompression, WalFsync};
use crate::config::storage::RetentionConfig;
use crate::config::{self, Config, Defaults};
use crate::gotime;
use crate::telemetry::log::{self, Log};

/// Retention when nobody says anything.
const DEFAULT_RETENTION_MS: i64 = 15 * 24 * 3_600_000;
/// Longest a block may become.
const LONGEST_BLOCK_MS: i64 = 31 * 24 * 3_600_000;
/// How often the head is asked whether a block can be cut.
const ASK: Duration = Duration::from_secs(1);

/// Retention of flags and configuration.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Retention {
    pub time_ms: i64,
    pub bytes: i64,
    pub percentage: f64,
}

/// What a configuration means where it says nothing: retention by the flags, else 15 days, and what
/// features change.
pub fn config_defaults(flags: &TsdbOptions, features: &FeatureSet) -> Defaults {
    let bytes = flags.retention_bytes.map_or(0, |b| i64::try_from(b).unwrap_or(i64::MAX));
    let time_ms = match flags.retention_time_ms {
        None if bytes == 0 => DEFAULT_RETENTION_MS,
        time => time.unwrap_or(0),
    };
    let retention = RetentionConfig {
        time: config::Duration(time_ms),
        size: config::Bytes(bytes),
        percentage: 0.0,
    };
    Defaults {
        retention,
        proto_first: features.has("created-timestamp-zero-ingestion") || features.has("st-storage"),
        extra_scrape_metrics: features.has("extra-scrape-metrics"),
        exemplars: features.has("exemplar-storage"),
    }
}

impl Retention {
    /// What the configuration says, flags and defaults filled in ([`config_defaults`]).
    pub fn of(config: &Config) -> Retention {
        let section = config.storage.tsdb.as_ref().and_then(|t| t.retention.clone());
        let set = section.unwrap_or_default();
        Retention { time_ms: set.time.0, bytes: set.size.0, percentage: set.percentage }
    }

    /// As the API shows it.
    pub fn text(&self) -> String {
        let mut parts = Vec::new();
        if self.time_ms != 0 {
            parts.push(model::duration::format(self.time_ms));
        }
        if self.bytes != 0 {
            parts.push(crate::gotext::format_bytes(self.bytes));
        }
        if self.percentage != 0.0 {
            parts.push(format!("{}%", model::number::format_g(self.percentage)));
        }
        parts.join(" or ")
    }
}

/// What a reload may change. The error is Prometheus's text.
pub fn runtime_options(
    retention: &Retention,
    config: &Config,
    features: &FeatureSet,
) -> Result<RuntimeOptions, String> {
    let tsdb = config.storage.tsdb.as_ref();
    let max_exemplars = config.storage.exemplars.as_ref().map_or(100_000, |e| e.max_exemplars);
    let max_exemplars = usize::try_from(max_exemplars).unwrap_or(0);
    let float_encoding = match tsdb.map_or("", |t| t.chunk_encoding.floats.as_str()) {
        "xor2" => FloatEncoding::Xor2,
        "" if features.has("xor2-encoding") => FloatEncoding::Xor2,
        _ => FloatEncoding::Xor,
    };
    if features.has("st-storage") && float_encoding == FloatEncoding::Xor {
        return Err("float chunk encoding \"xor\" is incompatible with start-timestamp storage; \
                    XOR chunks do not store start timestamps, use \"xor2\""
            .to_owned());
    }
    Ok(RuntimeOptions {
        retention_time_ms: retention.time_ms,
        retention_bytes: u64::try_from(retention.bytes).unwrap_or(0),
        retention_percentage: retention.percentage,
        out_of_order_window_ms: tsdb.map_or(0, |t| t.out_of_order_time_window.0),
        max_exemplars: if features.has("exemplar-storage") { max_exemplars } else { 0 },
        float_encoding,
        stale_series_threshold: tsdb.map_or(0.0, |t| t.stale_series_compaction_threshold),
    })
}

/// What stays until the next start. The error is Prometheus's text.
pub fn db_options(
    flags: &TsdbOptions,
    retention: &Retention,
    runtime: RuntimeOptions,
    features: &FeatureSet,
) -> Result<storage::db::Options, String> {
    let default = storage::db::Options::default();
    let segment = flags.wal_segment_bytes.unwrap_or(default.wal_segment_bytes);
    if !(10 << 20..=256 << 20).contains(&segment) {
        return Err(
            "flag 'storage.tsdb.wal-segment-size' must be set between 10MB and 256MB".into()
        );
    }
    let chunks = flags.max_chunk_segment_bytes.unwrap_or(default.max_block_chunk_segment_bytes);
    if chunks < 1 << 20 {
        let flag = "storage.tsdb.max-block-chunk-segment-size";
        return Err(format!("flag '{flag}' must be set over 1MB"));
    }
    Ok(storage::db::Options {
        min_block_range_ms: flags.min_block_ms,
        max_block_range_ms: max_block_ms(flags, retention),
        no_lockfile: !flags.lock,
        wal_segment_bytes: segment,
        wal_compression: match flags.wal_compression {
            WalCompression::None => DbCompression::None,
            WalCompression::Snappy => DbCompression::Snappy,
            WalCompression::Zstd => DbCompression::Zstd,
        },
        wal_fsync: match flags.wal_fsync {
            WalFsync::Off => DbFsync::Off,
            WalFsync::Always => DbFsync::EachCommit,
            WalFsync::Every(d) => {
                DbFsync::Interval(u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
            }
        },
        samples_per_chunk: u16::try_from(flags.samples_per_chunk).unwrap_or(u16::MAX).max(1),
        max_block_chunk_segment_bytes: chunks,
        allow_overlapping_compaction: flags.overlapping_compaction,
        hold: flags.delay_compact_file.as_deref().map(uploads::hold),
        max_head_series: flags.max_head_series,
        max_head_bytes: flags.max_head_bytes.unwrap_or_else(memory::head_limit),
        exemplar_storage: features.has("exemplar-storage"),
        metadata_wal_records: features.has("metadata-wal-records"),
        start_timestamps: features.has("st-storage"),
        start_times_as_zeros: features.has("created-timestamp-zero-ingestion"),
        histogram_st: features.has("histograms-st-encoding"),
        snapshot: match features.has("memory-snapshot-on-shutdown") {
            true => HeadSnapshot::Prometheus,
            false => HeadSnapshot::Own,
        },
        runtime,
    })
}

/// The flag, or a tenth of the retention time, and no more than 31 days.
pub fn max_block_ms(flags: &TsdbOptions, retention: &Retention) -> i64 {
    flags.max_block_ms.unwrap_or(match retention.time_ms {
        0 => LONGEST_BLOCK_MS,
        time => LONGEST_BLOCK_MS.min(time / 10),
    })
}

/// The real world.
pub fn env(log: Log) -> Env {
    Env {
        fs: Arc::new(RealFs),
        clock: Arc::new(gotime::now_ms),
        random: Arc::new(crate::random::bits),
        spawn: Arc::new(|name, job| {
            // Without a thread the job runs here: slower, and just as right.
            let job = Arc::new(std::sync::Mutex::new(Some(job)));
            let for_thread = Arc::clone(&job);
            let take = |job: &std::sync::Mutex<Option<storage::db::Job>>| {
                job.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take()
            };
            let spawned = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
                if let Some(job) = take(&for_thread) {
                    job();
                }
            });
            if spawned.is_err()
                && let Some(job) = take(&job)
            {
                job();
            }
        }),
        log: Arc::new(move |level, message, fields| {
            let level = match level {
                Level::Debug => log::Level::Debug,
                Level::Info => log::Level::Info,
                Level::Warn => log::Level::Warn,
                Level::Error => log::Level::Error,
            };
            log.line(level, "storage", "tsdb", message, fields);
        }),
    }
}

/// The threads that keep an open database in order. Stopped before it is closed.
pub struct Housekeeping {
    stops: Vec<mpsc::Sender<()>>,
    threads: Vec<JoinHandle<()>>,
}

impl Housekeeping {
    /// Starts maintenance. The log syncs itself.
    pub fn start(db: &Arc<Db>, flags: &TsdbOptions) -> Result<Housekeeping, std::io::Error> {
        let mut house = Housekeeping { stops: Vec::new(), threads: Vec::new() };
        let (interval, for_maintenance) = (flags.block_reload_interval, Arc::clone(db));
        let mut last = Instant::now();
        house.every("maintenance", ASK, move || {
            if last.elapsed() < interval && !for_maintenance.wants_maintenance() {
                return;
            }
            if let Err(e) = for_maintenance.maintain() {
                tracing::error!(component = "tsdb", err = %e, "compaction failed");
            }
            last = Instant::now();
        })?;
        Ok(house)
    }

    fn every(
        &mut self,
        name: &str,
        interval: Duration,
        mut work: impl FnMut() + Send + 'static,
    ) -> Result<(), std::io::Error> {
        let (stop, stopped) = mpsc::channel();
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            // Behind queries and ingestion; a system that refuses runs it like everything else.
            let _ = rustix::process::nice(5);
            while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(interval) {
                work();
            }
        })?;
        self.stops.push(stop);
        self.threads.push(thread);
        Ok(())
    }

    /// Stops the threads; waits for what they are doing.
    pub fn stop(self) {
        drop(self.stops);
        for thread in self.threads {
            // A thread that panicked has stopped as well.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Options, Parsed, parse};

    fn check(flags: &str, config: &str, expected: &str) {
        let args: Vec<String> = flags.split_whitespace().map(str::to_owned).collect();
        let Ok(Parsed::Run(values)) = parse(&args) else { panic!("refused") };
        let options = Options::new(&values, "vm").unwrap();
        let defaults = config_defaults(&options.tsdb, &FeatureSet::default());
        let config = Config::from_text(config, &defaults).unwrap();
        assert_eq!(Retention::of(&config).text(), expected);
    }

    #[test]
    fn retention() {
        check("", "", "15d");
        check("--storage.tsdb.retention.time=1y", "", "1y");
        check("--storage.tsdb.retention.size=1GB", "", "1GiB");
        check(
            "--storage.tsdb.retention.time=1y --storage.tsdb.retention.size=1GB",
            "",
            "1y or 1GiB",
        );
        let config = "storage:\n  tsdb:\n    retention:\n      size: 512MB\n";
        check("--storage.tsdb.retention.time=1y", config, "512MiB");
    }
    /// What the configuration says wins over the flag, and start times need XOR2.
    #[test]
    fn float_encodings() {
        let refused = "float chunk encoding \"xor\" is incompatible with start-timestamp storage; \
                       XOR chunks do not store start timestamps, use \"xor2\"";
        let (xor, xor2) = (Ok(FloatEncoding::Xor), Ok(FloatEncoding::Xor2));
        for (names, floats, expected) in [
            ("", "", &xor),
            ("", "xor2", &xor2),
            ("xor2-encoding", "", &xor2),
            ("xor2-encoding", "xor", &xor),
            ("xor2-encoding,st-storage", "", &xor2),
            ("st-storage", "xor2", &xor2),
            ("st-storage", "", &Err(refused.to_owned())),
            ("xor2-encoding,st-storage", "xor", &Err(refused.to_owned())),
        ] {
            let features = FeatureSet::new(&[names.to_owned()]);
            let mut config = Config::default();
            let mut tsdb = config::storage::TsdbConfig::default();
            tsdb.chunk_encoding.floats = floats.to_owned();
            config.storage.tsdb = (!floats.is_empty()).then_some(tsdb);
            let got = runtime_options(&Retention::of(&config), &config, &features);
            assert_eq!(&got.map(|o| o.float_encoding), expected, "{names:?} {floats:?}");
        }
    }
}
