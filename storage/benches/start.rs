//! Time to open a directory, a series: after a kill (the log is replayed) and after a clean stop.
//! Series shaped like those of instrumented services: eight labels, most of them shared.
//! `cargo bench -p storage --bench start -- [SERIES [SAMPLES]]`; medians of three runs.

#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![allow(clippy::unwrap_used, reason = "a benchmark may end where it fails")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use model::{AppendOptions, Appendable, Labels, Value};
use storage::db::{Db, Env, Options, ReplayProgress, RuntimeOptions};
use storage::fs::RealFs;

const RUNS: usize = 3;
/// Series of a target, and of a commit.
const TARGET: usize = 1000;
const COMMIT: usize = 500;
const START: i64 = 1_700_000_000_000;

fn env() -> Env {
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64);
    Env {
        fs: Arc::new(RealFs),
        clock: Arc::new(now),
        random: Arc::new(move || now() as u128),
        spawn: Arc::new(|name, job| {
            let _ = std::thread::Builder::new().name(name.into()).spawn(job);
        }),
        log: Arc::new(|_, _, _| {}),
    }
}

fn open(dir: &Path) -> (Arc<Db>, f64) {
    let started = Instant::now();
    let options = Options {
        runtime: RuntimeOptions { retention_time_ms: 0, ..RuntimeOptions::default() },
        ..Options::default()
    };
    let db = Db::open(dir, options, env(), &ReplayProgress::default()).unwrap();
    (db, started.elapsed().as_secs_f64())
}

fn labels(i: usize) -> Labels {
    let (target, metric) = (i / TARGET, i % TARGET);
    let (codes, les) = (["200", "400", "404", "500"], ["0.005", "0.05", "0.5", "1", "5", "+Inf"]);
    Labels::from_pairs([
        ("__name__", format!("http_request_family_{}_total", metric / 96)),
        ("code", codes[metric % 4].to_owned()),
        ("handler", format!("/api/v1/handler_{}", metric / 24 % 4)),
        ("instance", format!("10.0.{}.{}:8080", target / 250, target % 250)),
        ("job", format!("job{}", target % 20)),
        ("le", les[metric / 4 % 6].to_owned()),
        ("method", ["GET", "POST"][metric % 2].to_owned()),
        ("unit", format!("u{}", metric)),
    ])
}

fn fill(db: &Db, series: usize, samples: usize) {
    for first in (0..series).step_by(COMMIT) {
        let mut appender = db.appender(AppendOptions::default());
        for i in first..(first + COMMIT).min(series) {
            let series_ref = appender.series(&labels(i)).unwrap();
            for k in 0..samples {
                let t = START + 15_000 * k as i64;
                appender.append(series_ref, t, 0, Value::Float((i * k) as f64)).unwrap();
            }
        }
        appender.commit().unwrap();
    }
}

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|a| a.parse::<usize>().ok());
    let (series, samples) = (numbers.next().unwrap_or(200_000), numbers.next().unwrap_or(4));
    let dir = tempfile::tempdir().unwrap();
    let (db, _) = open(dir.path());
    fill(&db, series, samples);
    drop(db);
    // Without `close`: as after a kill.
    let killed = (0..RUNS).map(|_| open(dir.path()).1).collect();
    let stopped = (0..RUNS).map(|_| {
        let (db, _) = open(dir.path());
        db.close().unwrap();
        drop(db);
        open(dir.path()).1
    });
    let stopped = stopped.collect();
    for (what, seconds) in [("killed", median(killed)), ("stopped", median(stopped))] {
        let each = seconds / series as f64 * 1e9;
        println!(
            "{what}: {series} series × {samples} samples in {seconds:.3} s, {each:.0} ns a series"
        );
    }
}
