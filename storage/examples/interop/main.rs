//! Executes a script of storage steps and prints what they did or read: our side of
//! `tests/interop/peer`, which does the same with Prometheus's own package. The same script gives
//! the same text, whoever runs it and whoever wrote the directory.
//!
//! `cargo run -p storage --example interop < SCRIPT`; a script is one JSON object a line.
#![allow(clippy::print_stderr, clippy::exit, reason = "a program for a test driver")]

mod dump;
mod records;
mod step;
mod text;

use std::io::{BufRead, BufWriter, Write, stdin, stdout};
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use model::{
    AppendError, AppendOptions, Appendable, Appender, Exemplar, Metadata, TimeRange, Value,
};
use storage::db::{
    Db, Env, FloatEncoding, HeadSnapshot, Level, Options, ReplayProgress, RuntimeOptions,
    WalCompression, WalFsync,
};
use storage::fs::RealFs;

use crate::step::Step;

/// Why a step failed; its text is part of the output.
type Failure = Box<dyn std::error::Error>;

/// What is open between steps.
struct Ours<W> {
    out: W,
    db: Option<Arc<Db>>,
    appender: Option<Box<dyn Appender>>,
}

fn main() -> Result<(), Failure> {
    let mut ours = Ours { out: BufWriter::new(stdout().lock()), db: None, appender: None };
    for (at, line) in stdin().lock().lines().enumerate() {
        let (number, line) = (at + 1, line?);
        let step: Step = serde_json::from_str(&line).map_err(|e| format!("line {number}: {e}"))?;
        match ours.run(&step) {
            Err(error) => writeln!(ours.out, "{number} {}: {error}", step.op)?,
            Ok(()) if step.op == "commit" => writeln!(ours.out, "{number} commit")?,
            Ok(()) => {}
        }
        // Whoever reads may kill us at any line that was acknowledged.
        if step.op != "add" {
            ours.out.flush()?;
        }
    }
    ours.out.flush()?;
    Ok(())
}

impl<W: Write> Ours<W> {
    fn run(&mut self, step: &Step) -> Result<(), Failure> {
        let dir = Path::new(&step.dir);
        match step.op.as_str() {
            "records" => return records::print(&mut self.out, &dir.join(&step.name)),
            "chunks" => return dump::blocks(&mut self.out, dir),
            "open" => {
                self.db = Some(open(step)?);
                return Ok(());
            }
            "kill" => {
                self.out.flush()?;
                let own = rustix::process::getpid();
                return Ok(rustix::process::kill_process(own, rustix::process::Signal::KILL)?);
            }
            _ => {}
        }
        let Some(db) = &self.db else { return Err("no database is open".into()) };
        let range = TimeRange { min: step.min, max: step.max };
        match step.op.as_str() {
            "begin" => self.appender = Some(db.appender(AppendOptions::default())),
            "add" | "exemplar" | "meta" => match self.appender.as_mut() {
                Some(appender) => return append(appender.as_mut(), step),
                None => return Err("no transaction".into()),
            },
            "commit" => self.appender.take().map_or(Ok(()), Appender::commit)?,
            "rollback" => self.appender.take().into_iter().for_each(Appender::rollback),
            "delete" => db.delete_series(range, &[step.matchers()?])?,
            "clean" => db.clean_tombstones()?,
            "maintain" => db.maintain()?,
            "stale" => db.compact_stale_series()?,
            "snapshot" => db.snapshot(dir, step.with_head)?,
            "dump" => return dump::samples(&mut self.out, db, range),
            "exemplars" => return dump::exemplars(&mut self.out, db),
            "names" => return dump::names(&mut self.out, db),
            "select" => return dump::series(&mut self.out, db, &step.matchers()?),
            "close" => {
                db.close()?;
                self.db = None;
            }
            _ => return Err("unknown step".into()),
        }
        Ok(())
    }
}

fn append(appender: &mut dyn Appender, step: &Step) -> Result<(), Failure> {
    let done: Result<(), AppendError> = match step.op.as_str() {
        "add" => {
            let series = appender.series(&text::labels(&step.labels))?;
            let (t, start) = (step.t, step.start_t);
            match (&step.histogram, &step.float_histogram) {
                (Some(h), _) => {
                    appender.append(series, t, start, Value::Histogram(&h.histogram()?))
                }
                (_, Some(h)) => {
                    appender.append(series, t, start, Value::FloatHistogram(&h.histogram()?))
                }
                _ => appender.append(series, t, start, Value::Float(text::float(&step.float)?)),
            }
        }
        "exemplar" => {
            let series = appender.series(&text::labels(&step.of))?;
            let exemplar = Exemplar {
                labels: text::labels(&step.labels),
                value: text::float(&step.float)?,
                timestamp_ms: step.t,
                has_timestamp: true,
            };
            appender.append_exemplar(series, &exemplar)
        }
        _ => {
            let series = appender.series(&text::labels(&step.of))?;
            let metadata = Metadata {
                metric_type: text::metric_type(&step.metric_type)?,
                unit: step.unit.clone(),
                help: step.help.clone(),
            };
            appender.update_metadata(series, &metadata)
        }
    };
    Ok(done?)
}

fn open(step: &Step) -> Result<Arc<Db>, Failure> {
    let defaults = Options::default();
    let or = |given: u64, default: u64| if given > 0 { given } else { default };
    let options = Options {
        min_block_range_ms: step.min_block,
        max_block_range_ms: step.max_block,
        wal_segment_bytes: or(step.segment_bytes, defaults.wal_segment_bytes),
        wal_compression: match step.wal.as_str() {
            "snappy" => WalCompression::Snappy,
            "zstd" => WalCompression::Zstd,
            "none" => WalCompression::None,
            other => return Err(format!("unknown compression {other:?}").into()),
        },
        wal_fsync: WalFsync::Off,
        samples_per_chunk: or(step.samples_per_chunk.into(), defaults.samples_per_chunk.into())
            .try_into()?,
        exemplar_storage: step.exemplars,
        metadata_wal_records: step.metadata,
        start_timestamps: step.start_times,
        histogram_st: step.histogram_st,
        // A start from the log is what both sides do alike.
        snapshot: match step.head_snapshot.as_str() {
            "" => HeadSnapshot::Off,
            "own" => HeadSnapshot::Own,
            "prometheus" => HeadSnapshot::Prometheus,
            other => return Err(format!("unknown head snapshot {other:?}").into()),
        },
        runtime: RuntimeOptions {
            retention_time_ms: 0,
            out_of_order_window_ms: step.window,
            float_encoding: if step.xor2 { FloatEncoding::Xor2 } else { FloatEncoding::Xor },
            ..RuntimeOptions::default()
        },
        ..defaults
    };
    Ok(Db::open(Path::new(&step.dir), options, env(), &ReplayProgress::default())?)
}

fn env() -> Env {
    let since = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Env {
        fs: Arc::new(RealFs),
        clock: Arc::new(move || since().as_millis() as i64),
        random: Arc::new(move || since().as_nanos().wrapping_mul(0x9e37_79b9_7f4a_7c15)),
        spawn: Arc::new(|name, job| {
            let _ = std::thread::Builder::new().name(name.to_owned()).spawn(job);
        }),
        log: Arc::new(|level, message, fields| {
            if matches!(level, Level::Warn | Level::Error) {
                eprintln!("{level:?} {message} {fields:?}");
            }
        }),
    }
}
