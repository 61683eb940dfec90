//! Measures the head: CPU a sample appended with its log, memory a series, time to replay.
//!
//!     cargo run --release -p storage --example head -- DIR [NAME=NUMBER…]
//!
//! | name | default | |
//! |---|---|---|
//! | series | 100000 | series alive |
//! | target | 1000 | of them a target, which is a commit |
//! | rounds | 120 | samples a series |
//! | interval | 15000 | milliseconds between them |
//! | jitter | 0 | up to so many milliseconds off, the same for a target's series |
//! | noise | 0 | 1: values that do not compress |
//! | appenders | 2 | threads |
//! | shuffle | 0 | 1: the series of a target come in no order |
//! | churn | 0 | percent of the targets replaced each hour |
//! | replay | 1 | open the directory again as after a kill |
//!
//! DIR is made and stays, so that other programs can look at what was written. The log is on, with
//! the server's defaults. CPU is that of the appending threads; maintenance is counted apart.
#![allow(clippy::print_stdout, clippy::panic, reason = "a program that prints what it measured")]

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use model::{
    AppendOptions, Appendable, CancelToken, Columns, Labels, Matcher, Queryable, SelectHints,
    SeriesRef, TimeRange, Value,
};
use storage::db::{Db, Env, Options, ReplayProgress};
use storage::fs::RealFs;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Failure = Box<dyn std::error::Error + Send + Sync>;

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
        log: Arc::new(|_, _, _| {}),
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

/// CPU time of this thread in nanoseconds.
fn thread_cpu() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or(0)
}

/// What is asked for.
struct Work {
    series: usize,
    target: usize,
    rounds: usize,
    interval: i64,
    jitter: u64,
    noise: bool,
    appenders: usize,
    shuffle: bool,
    churn: usize,
    replay: bool,
}

impl Work {
    fn parse(args: &[String]) -> Result<Work, Failure> {
        let mut work = Work {
            series: 100_000,
            target: 1000,
            rounds: 120,
            interval: 15_000,
            jitter: 0,
            noise: false,
            appenders: 2,
            shuffle: false,
            churn: 0,
            replay: true,
        };
        for arg in args {
            let (name, number) = arg.split_once('=').ok_or("expected NAME=NUMBER")?;
            let n: usize = number.parse()?;
            match name {
                "series" => work.series = n,
                "target" => work.target = n.max(1),
                "rounds" => work.rounds = n,
                "interval" => work.interval = n as i64,
                "jitter" => work.jitter = n as u64,
                "noise" => work.noise = n > 0,
                "appenders" => work.appenders = n.max(1),
                "shuffle" => work.shuffle = n > 0,
                "churn" => work.churn = n,
                "replay" => work.replay = n > 0,
                _ => return Err(format!("no such thing as {name}").into()),
            }
        }
        Ok(work)
    }

    /// Which life of a target's place this round is in: each hour some targets are replaced.
    fn life(&self, target: usize, round: usize) -> usize {
        let hour = (round as i64 * self.interval / 3_600_000) as usize;
        (hour * self.churn + target * 37 % 100) / 100
    }

    fn labels(&self, i: usize, target: usize, life: usize) -> Labels {
        let pod = format!("pod-{target:06}-{life}");
        Labels::from_pairs([
            ("__name__", format!("metric_{}_total", i / 20)),
            ("instance", format!("10.{life}.{}.{}:9100", target / 250, target % 250)),
            ("job", format!("job-{}", target % 20)),
            ("handler", format!("/api/v1/handler{}", i % 20)),
            ("code", "200".to_owned()),
            ("method", "GET".to_owned()),
            ("region", "eu-west-1".to_owned()),
            ("pod", pod),
        ])
    }

    fn value(&self, i: usize, round: usize) -> f64 {
        if self.noise {
            return mix(i as u64, round as u64) as f64 / 1e6;
        }
        (i * 7 + round * (1 + i % 13)) as f64
    }

    fn time(&self, target: usize, round: usize) -> i64 {
        let off = match self.jitter {
            0 => 0,
            j => (mix(target as u64, round as u64) % (2 * j + 1)) as i64 - j as i64,
        };
        START + round as i64 * self.interval + (target % 1000) as i64 + off
    }
}

const START: i64 = 1_795_000_000_000;

fn mix(a: u64, b: u64) -> u64 {
    let x = (a << 32 ^ b).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (x ^ x >> 31).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 20
}

/// One target: who its series are now.
struct Target {
    number: usize,
    life: usize,
    refs: Vec<SeriesRef>,
}

impl Target {
    /// Stores one sample of every series.
    fn scrape(&mut self, db: &Arc<Db>, work: &Work, round: usize) -> Result<(), Failure> {
        let mut app = db.appender(AppendOptions::default());
        let t = work.time(self.number, round);
        let life = work.life(self.number, round);
        if self.refs.is_empty() || life != self.life {
            self.refs.clear();
            for i in 0..work.target {
                self.refs.push(app.series(&work.labels(i, self.number, life))?);
            }
            if work.shuffle {
                self.refs.sort_by_key(|r| mix(r.0, 1));
            }
            self.life = life;
        }
        for (i, r) in self.refs.iter().enumerate() {
            app.append(*r, t, 0, Value::Float(work.value(i, round)))?;
        }
        Ok(app.commit()?)
    }
}

/// What the appending threads used, creation of the first series apart.
#[derive(Default)]
struct Used {
    create: AtomicU64,
    append: AtomicU64,
}

fn append_all(db: &Arc<Db>, work: &Work, used: &Used, report: &mut Report) -> Result<(), Failure> {
    let (begin, end) = (Barrier::new(work.appenders + 1), Barrier::new(work.appenders + 1));
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..work.appenders)
            .map(|n| {
                let (begin, end) = (&begin, &end);
                scope.spawn(move || -> Result<(), Failure> {
                    let numbers = (n..work.series / work.target).step_by(work.appenders);
                    let mut targets: Vec<Target> =
                        numbers.map(|number| Target { number, life: 0, refs: vec![] }).collect();
                    let mut failed = Ok(());
                    for round in 0..work.rounds {
                        begin.wait();
                        let before = thread_cpu();
                        for target in &mut targets {
                            failed = failed.and_then(|()| target.scrape(db, work, round));
                        }
                        let to = if round == 0 { &used.create } else { &used.append };
                        to.fetch_add(thread_cpu() - before, Ordering::Relaxed);
                        end.wait();
                    }
                    failed
                })
            })
            .collect();
        let mut failed: Result<(), Failure> = Ok(());
        for round in 0..work.rounds {
            begin.wait();
            let clock = Instant::now();
            end.wait();
            report.wall_ns += if round > 0 { clock.elapsed().as_nanos() } else { 0 };
            failed = failed.and_then(|()| report.after_round(db, work, round));
        }
        threads.into_iter().for_each(|t| match t.join() {
            Ok(done) => failed = std::mem::replace(&mut failed, Ok(())).and(done),
            Err(_) => panic!("an appender panicked"),
        });
        failed
    })
}

/// Memory as time goes on, and what maintenance costs.
struct Report {
    before: u64,
    maintenance_cpu: u64,
    /// Of appending.
    wall_ns: u128,
    /// By hour of data: bytes of anonymous memory and of the head's own count at round ends, added
    /// up, with their highest.
    hours: Vec<Hour>,
}

#[derive(Clone, Copy, Default)]
struct Hour {
    looks: u64,
    rss: (u64, u64),
    counted: (u64, u64),
    series: u64,
}

impl Report {
    fn after_round(&mut self, db: &Arc<Db>, work: &Work, round: usize) -> Result<(), Failure> {
        let busy = cpu();
        if db.wants_maintenance() {
            db.maintain()?;
        }
        self.maintenance_cpu += cpu() - busy;
        let minutes = (round as i64 * work.interval / 60_000) as usize;
        let before = (round as i64 - 1) * work.interval / 60_000;
        let due = minutes.is_multiple_of(3) && before != minutes as i64;
        if due || round + 1 == work.rounds {
            let hour = minutes / 60;
            self.hours.resize(self.hours.len().max(hour + 1), Hour::default());
            let h = &mut self.hours[hour];
            let rss = status("RssAnon").saturating_sub(self.before) * 1024;
            let counted = db.head_memory_bytes();
            h.looks += 1;
            h.rss = (h.rss.0 + rss, h.rss.1.max(rss));
            h.counted = (h.counted.0 + counted, h.counted.1.max(counted));
            h.series = db.head_stats(0).series;
        }
        Ok(())
    }

    fn print(&self, work: &Work) {
        let each = |bytes: u64| bytes / work.series as u64;
        for (hour, h) in self.hours.iter().enumerate() {
            let looks = h.looks.max(1);
            println!(
                "hour {hour}: bytes a series alive: counted mean {} highest {}, anonymous mean {} \
                 highest {}; {} series in the head",
                each(h.counted.0 / looks),
                each(h.counted.1),
                each(h.rss.0 / looks),
                each(h.rss.1),
                h.series
            );
        }
    }
}

fn open(dir: &Path) -> Result<Arc<Db>, Failure> {
    Ok(Db::open(dir, Options::default(), env(), &ReplayProgress::default())?)
}

fn main() -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let dir = Path::new(args.first().ok_or("usage: head DIR [NAME=NUMBER…]")?);
    let work = Work::parse(&args[1..])?;
    let before = status("RssAnon");
    let db = open(dir)?;
    let used = Used::default();
    let mut report = Report { before, maintenance_cpu: 0, wall_ns: 0, hours: Vec::new() };
    append_all(&db, &work, &used, &mut report)?;
    let series = work.series as f64;
    let samples = (series * (work.rounds as f64 - 1.0)).max(1.0);
    println!("create: {:.0} ns of CPU a series", used.create.into_inner() as f64 / series);
    println!(
        "append: {:.1} ns of CPU a sample with the log, {:.1} ns on the clock with {} appenders",
        used.append.into_inner() as f64 / samples,
        report.wall_ns as f64 / samples,
        work.appenders
    );
    println!("maintenance: {:.1} s of CPU", report.maintenance_cpu as f64 / 1e9);
    report.print(&work);
    query(&db)?;
    // No close: the process "dies" here.
    drop(db);
    if work.replay {
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
    }
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
