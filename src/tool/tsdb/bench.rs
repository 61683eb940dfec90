//! `tsdb bench write`: how fast this machine takes samples. The work and the lines printed are
//! promtool's; profiles are not written.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use model::number::format_g;
use model::{AppendOptions, Appendable, Labels, Value};
use storage::db::{Db, Options, ReplayProgress};

use super::{Call, Failure, env, said};
use crate::gotext;

/// Milliseconds between two scrapes.
const INTERVAL_MS: i64 = 30_000;
/// Scrapes a thread does before all wait for each other.
const ROUND: i64 = 100;
/// Series of one thread.
const SHARD: usize = 1000;

pub(super) fn write(call: &mut Call<'_>) -> std::io::Result<u8> {
    let done = run(call);
    call.finish(done)
}

fn run(call: &mut Call<'_>) -> Result<(), Failure> {
    let count = |name| gotext::parse_float(call.values.flag(name)).unwrap_or_default() as i64;
    let (metrics, scrapes) = (count("metrics"), count("scrapes"));
    let out_dir = match call.values.flag("out") {
        "" => std::env::temp_dir().join(format!("tsdb_bench{}", crate::random::bits() as u32)),
        dir => PathBuf::from(dir),
    };
    let failed =
        |path: &Path, e: std::io::Error| format!("{}: {}", path.display(), gotext::os_error(&e));
    if out_dir.exists() {
        std::fs::remove_dir_all(&out_dir).map_err(|e| failed(&out_dir, e))?;
    }
    std::fs::create_dir_all(&out_dir).map_err(|e| failed(&out_dir, e))?;
    let dir = out_dir.join("storage");
    let db = Db::open(&dir, Options::default(), env(), &ReplayProgress::default()).map_err(said)?;
    let file = PathBuf::from(call.values.arg("file"));
    let out = &mut *call.out;

    let (labels, _) = stage(out, "readData", |_| read(&file, metrics))?;
    let (total, seconds) = stage(out, "ingestScrapes", |out| {
        let total = ingest(&db, &labels, scrapes, out)?;
        writeln!(out, "ingestion completed")?;
        Ok(total)
    })?;
    writeln!(out, " > total samples: {total}")?;
    writeln!(out, " > samples/sec: {}", format_g(total as f64 / seconds))?;
    stage(out, "stopStorage", |_| db.close().map_err(said))?;
    Ok(())
}

/// Runs a part of the work and says how long it took, in seconds.
fn stage<T>(
    out: &mut dyn Write,
    name: &str,
    work: impl FnOnce(&mut dyn Write) -> Result<T, Failure>,
) -> Result<(T, f64), Failure> {
    writeln!(out, ">> start stage={name}")?;
    let start = Instant::now();
    let done = work(out)?;
    let took = start.elapsed();
    let shown = gotext::format_go_duration(took.as_nanos() as i128);
    writeln!(out, ">> completed stage={name} duration={shown}")?;
    Ok((done, took.as_secs_f64()))
}

/// Label sets, one a line: `{"a":"b","c":"d"}`. The first `most` different ones.
fn read(path: &Path, most: i64) -> Result<Vec<Labels>, Failure> {
    let failed = |e: std::io::Error| format!("open {}: {}", path.display(), gotext::os_error(&e));
    let file = std::fs::File::open(path).map_err(failed)?;
    let mut seen = HashSet::new();
    let mut found = Vec::new();
    for (number, line) in BufReader::new(file).lines().enumerate() {
        if found.len() as i64 >= most {
            break;
        }
        let line = line.map_err(failed)?.replace(['"', '{', '}'], "");
        let mut pairs = Vec::new();
        for pair in line.split(',') {
            let mut parts = pair.split(':');
            let (name, value) = (parts.next().unwrap_or_default(), parts.next());
            let wrong = || format!("{}:{}: no label set", path.display(), number + 1);
            pairs.push((name, value.ok_or_else(wrong)?));
        }
        let labels = Labels::from_pairs(pairs);
        if seen.insert(labels.hash64()) {
            found.push(labels);
        }
    }
    Ok(found)
}

fn ingest(db: &Db, labels: &[Labels], scrapes: i64, out: &mut dyn Write) -> Result<u64, Failure> {
    let total = AtomicU64::new(0);
    let errors: Mutex<Vec<String>> = Mutex::default();
    for round in (0..scrapes).step_by(ROUND as usize) {
        std::thread::scope(|threads| {
            for shard in labels.chunks(SHARD) {
                threads.spawn(|| {
                    let (samples, error) = scrape(db, shard, INTERVAL_MS * round);
                    total.fetch_add(samples, Ordering::Relaxed);
                    if let (Some(error), Ok(mut errors)) = (error, errors.lock()) {
                        errors.push(error);
                    }
                });
            }
        });
        for error in errors.lock().iter_mut().flat_map(|e| e.drain(..)) {
            writeln!(out, " err {error}")?;
        }
    }
    Ok(total.into_inner())
}

/// One round of one thread: how many samples were written, and what ended it early.
fn scrape(db: &Db, labels: &[Labels], base: i64) -> (u64, Option<String>) {
    let mut total = 0;
    let mut refs = vec![None; labels.len()];
    for n in 1..=ROUND {
        let t = base + n * INTERVAL_MS;
        let value = (123_456_789 + n * 1000) as f64;
        let mut batch = db.appender(AppendOptions::default());
        for (labels, known) in labels.iter().zip(&mut refs) {
            let series = match known {
                Some(series) => Ok(*series),
                None => batch.series(labels),
            };
            let added = series.and_then(|series| {
                *known = Some(series);
                batch.append(series, t, 0, Value::Float(value))
            });
            if let Err(error) = added {
                return (total, Some(error.to_string()));
            }
            total += 1;
        }
        if let Err(error) = batch.commit() {
            return (total, Some(error.to_string()));
        }
    }
    (total, None)
}
