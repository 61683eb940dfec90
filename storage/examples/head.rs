//! Measures the head: CPU a sample appended with its log, memory a series, time to replay.
//!
//! `cargo run --release -p storage --example head -- DIR [SERIES [ROUNDS [TARGETS]]]`; DIR is made
//! and stays, so that other programs can look at what was written.
#![allow(clippy::print_stdout, clippy::panic, reason = "a program that prints what it measured")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use model::{
    AppendOptions, Appendable, CancelToken, Columns, Labels, Matcher, Queryable, SelectHints,
    SeriesRef, TimeRange, Value,
};
use storage::db::{Db, Env, Options, ReplayProgress, WalFsync};
use storage::fs::RealFs;

type Failure = Box<dyn std::error::Error>;

fn env() -> Env {
    let now = || {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        since.as_millis() as i64
    };
    Env {
        fs: Arc::new(RealFs),
        clock: Arc::new(now),
        random: Arc::new(|| {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            since.as_nanos().wrapping_mul(0x9e37_79b9_7f4a_7c15)
        }),
        spawn: Arc::new(|name, job| {
            let _ = std::thread::Builder::new().name(name.to_owned()).spawn(job);
        }),
        log: Arc::new(|level, message, fields| println!("  {level:?} {message} {fields:?}")),
    }
}

/// A line of /proc/self/status in KiB.
fn status(key: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find(|l| l.starts_with(key)).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).unwrap_or(0)
}

/// User and system time of this process in nanoseconds.
fn cpu() -> u64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = text.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|f| f.parse::<u64>().ok()).unwrap_or(0);
    (ticks(11) + ticks(12)) * 10_000_000
}

fn labels(i: usize, per_target: usize) -> Labels {
    let (target, series) = (i / per_target, i % per_target);
    Labels::from_pairs([
        ("__name__", format!("metric_{}_total", series / 20)),
        ("instance", format!("10.0.{}.{}:9100", target / 250, target % 250)),
        ("job", format!("job-{}", target % 20)),
        ("handler", format!("/api/v1/handler{}", series % 20)),
        ("code", "200".to_owned()),
        ("method", "GET".to_owned()),
        ("region", "eu-west-1".to_owned()),
        ("pod", format!("pod-{target:06}")),
    ])
}

fn open(dir: &Path) -> Result<Arc<Db>, Failure> {
    let options = Options { wal_fsync: WalFsync::Off, ..Options::default() };
    Ok(Db::open(dir, options, env(), &ReplayProgress::default())?)
}

fn main() -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, default: usize| {
        args.get(at).and_then(|a| a.parse::<usize>().ok()).unwrap_or(default)
    };
    let dir = args.first().ok_or("usage: head DIR [SERIES [ROUNDS [TARGETS]]]")?;
    let dir = Path::new(dir);
    let (series, rounds) = (number(1, 100_000), number(2, 120));
    let per_target = series.div_ceil(number(3, series.div_ceil(1000)).max(1));

    let before = status("RssAnon");
    let db = open(dir)?;
    let start = 1_795_000_000_000i64;
    let clock = Instant::now();
    let mut refs: Vec<SeriesRef> = Vec::with_capacity(series);
    for first in (0..series).step_by(per_target) {
        let mut app = db.appender(AppendOptions::default());
        for i in first..(first + per_target).min(series) {
            let r = app.series(&labels(i, per_target))?;
            app.append(r, start, 0, Value::Float(i as f64))?;
            refs.push(r);
        }
        app.commit()?;
    }
    let each = clock.elapsed().as_nanos() as f64 / series as f64;
    let rss = status("RssAnon").saturating_sub(before + (series as u64 * 8) / 1024);
    println!("create: {each:.0} ns a series, {} B a series", rss * 1024 / series as u64);

    let (clock, busy) = (Instant::now(), cpu());
    for round in 1..rounds {
        for (n, target) in refs.chunks(per_target).enumerate() {
            let mut app = db.appender(AppendOptions::default());
            let t = start + round as i64 * 15_000 + (n % 1000) as i64;
            for (i, r) in target.iter().enumerate() {
                let v = (i * 7 + round * (1 + i % 13)) as f64;
                app.append(*r, t, 0, Value::Float(v))?;
            }
            app.commit()?;
        }
        if db.wants_maintenance() {
            db.maintain()?;
        }
    }
    let samples = (series * (rounds - 1)).max(1) as f64;
    println!(
        "append: {:.1} ns a sample, {:.1} ns of CPU with the log",
        clock.elapsed().as_nanos() as f64 / samples,
        (cpu() - busy) as f64 / samples
    );
    let rss = status("RssAnon").saturating_sub(before + (series as u64 * 8) / 1024);
    println!("memory: {} B a series", rss * 1024 / series as u64);
    query(&db)?;
    // No close: the process "dies" here.
    drop(db);

    let (clock, busy) = (Instant::now(), cpu());
    let db = open(dir)?;
    println!(
        "replay: {:.2} s, {:.2} s of CPU, peak RSS {} MiB",
        clock.elapsed().as_secs_f64(),
        (cpu() - busy) as f64 / 1e9,
        status("VmHWM") >> 10
    );
    query(&db)?;
    db.close()?;
    Ok(())
}

fn query(db: &Arc<Db>) -> Result<(), Failure> {
    let clock = Instant::now();
    let querier = db.querier(TimeRange::ALL)?;
    let matchers = [Matcher::equal("job", "job-3")];
    let selection = querier.select(&matchers, &SelectHints::default(), &CancelToken::default())?;
    let selected = clock.elapsed();
    let mut columns = Columns::default();
    let mut samples = 0;
    for i in 0..selection.len() {
        columns.clear();
        selection.read(i, TimeRange::ALL, &mut columns)?;
        samples += columns.len();
    }
    println!(
        "query: {} series selected in {:.2} ms, {samples} samples read in {:.2} ms",
        selection.len(),
        selected.as_secs_f64() * 1e3,
        (clock.elapsed() - selected).as_secs_f64() * 1e3
    );
    Ok(())
}
