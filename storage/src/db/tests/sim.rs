//! The whole engine on a disk that fails: appends, deletes, maintenance and restarts while the
//! machine stops at any call or sync, writes are torn and lost, the disk is full, calls fail, and
//! bits of any file flip.
//!
//! What must hold: what was acknowledged is there after every restart (the log is synced before each
//! acknowledgement), with its value; nothing that was never written, or was deleted, appears; a
//! start without faults always succeeds; what a clean stop leaves is without a fault for `verify`. After a flipped bit: no wrong value; what is missing was
//! reported by name; a start that is refused has destroyed nothing.
//!
//! `EPIMETHEUS_SIM_SEEDS=FROM..TO` runs other seeds than the few hundred of `cargo test`.

mod flips;
mod shown;

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex};

use model::{AppendOptions, Appendable, MatchOp, Matcher, TimeRange, Value};

use self::flips::files;
use self::shown::{Fate, Known, compare, float, histogram, is_histogram, labels, observe};
use super::{Rng, env};
use crate::db::{
    Db, DbError, FloatEncoding, Level, Options, ReplayProgress, RuntimeOptions, WalCompression,
    WalFsync,
};
use crate::fs::sim::Faults;
use crate::fs::{Fs, SimFs};
use crate::verify::{Severity, verify};

const DIR: &str = "/data";
const MINUTE: i64 = 60_000;
const SERIES: u64 = 12;

pub(super) fn seeds(some: Range<u64>) -> Range<u64> {
    let Ok(text) = std::env::var("EPIMETHEUS_SIM_SEEDS") else { return some };
    let (from, to) = text.split_once("..").expect("EPIMETHEUS_SIM_SEEDS=FROM..TO");
    from.parse().unwrap()..to.parse().unwrap()
}

/// Log lines that say that something is wrong.
type Complaints = Arc<Mutex<Vec<String>>>;

fn open(fs: &Arc<SimFs>, options: &Options, log: &Complaints) -> Result<Arc<Db>, DbError> {
    let mut env = env(fs.clone());
    let log = log.clone();
    env.log = Arc::new(move |level, message, fields| {
        if matches!(level, Level::Warn | Level::Error) {
            log.lock().unwrap().push(format!("{message} {fields:?}"));
        }
    });
    Db::open(Path::new(DIR), options.clone(), env, &ReplayProgress::default())
}

fn options(rng: &mut Rng) -> Options {
    let window = if rng.one_in(2) { 5 * MINUTE } else { 0 };
    let compressions = [WalCompression::None, WalCompression::Snappy, WalCompression::Zstd];
    Options {
        min_block_range_ms: 10 * MINUTE,
        max_block_range_ms: 100 * MINUTE,
        wal_segment_bytes: 32 << 10,
        wal_compression: compressions[rng.below(3) as usize],
        wal_fsync: WalFsync::EachCommit,
        samples_per_chunk: 8,
        runtime: RuntimeOptions {
            retention_time_ms: 0,
            out_of_order_window_ms: window,
            float_encoding: [FloatEncoding::Xor, FloatEncoding::Xor2][rng.below(2) as usize],
            ..RuntimeOptions::default()
        },
        ..Options::default()
    }
}

struct World {
    rng: Rng,
    fs: Arc<SimFs>,
    options: Options,
    db: Option<Arc<Db>>,
    log: Complaints,
    now: i64,
    known: Known,
    /// What was deleted, by `g`: what comes late for it may stay hidden, as in Prometheus.
    deleted: Vec<(u64, TimeRange)>,
    /// Every (series, time) ever staged: none is written twice.
    used: BTreeSet<(u64, i64)>,
    faulty: bool,
    /// What happened, for whoever looks into a failure.
    trail: Vec<String>,
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let complaints = self.log.lock().unwrap().join("\n");
            eprintln!("{:?}\n{}\n{complaints}", self.options, self.trail.join("\n"));
        }
    }
}

impl World {
    fn new(seed: u64) -> World {
        let mut rng = Rng(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let fs = Arc::new(SimFs::new(seed));
        let options = options(&mut rng);
        let log = Complaints::default();
        let db = Some(open(&fs, &options, &log).unwrap());
        World {
            rng,
            fs,
            options,
            db,
            log,
            now: 100 * MINUTE,
            known: Known::new(),
            deleted: Vec::new(),
            used: BTreeSet::new(),
            faulty: false,
            trail: Vec::new(),
        }
    }

    fn note(&mut self, what: String) {
        self.trail.push(format!("{} call {}: {what}", self.now, self.fs.calls()));
    }

    fn db(&self) -> &Arc<Db> {
        self.db.as_ref().unwrap()
    }

    fn some_faults(&mut self) -> Faults {
        let mut faults = Faults::default();
        let rng = &mut self.rng;
        let at = Some(rng.below(120));
        match rng.below(8) {
            0 => faults.crash_at_call = at,
            1 => faults.crash_at_sync = Some(rng.below(12)),
            2 => faults.eio_at_call = at,
            3 => faults.enospc_at_call = at,
            4 => faults.eio_at_sync = Some(rng.below(10)),
            5 => {
                faults.eio_at_sync = Some(rng.below(6));
                faults.crash_at_call = at;
            }
            _ => {
                let free = self.fs.space(Path::new("/")).map_or(0, |space| space.available_bytes);
                faults.byte_budget = Some((1 << 40) - free + rng.below(20_000));
            }
        }
        faults
    }

    /// One batch of samples; late ones among them where there is a window.
    fn append(&mut self) {
        let db = self.db().clone();
        let mut app = db.appender(AppendOptions::default());
        let window = self.options.runtime.out_of_order_window_ms as u64;
        let alive = (self.now / (15 * MINUTE)) as u64 * 3;
        let mut staged: Vec<(u64, i64)> = Vec::new();
        for _ in 0..1 + self.rng.below(15) {
            let i = alive + self.rng.below(SERIES);
            let late = if window > 0 && self.rng.one_in(4) { self.rng.below(window) } else { 0 };
            let t = self.now - late as i64 - self.rng.below(3) as i64;
            // Without a window, a batch must not bring a series' samples out of order.
            let behind = window == 0 && staged.iter().any(|(j, last)| *j == i && *last >= t);
            if behind || !self.used.insert((i, t)) {
                continue;
            }
            let Ok(series) = app.series(&labels(i)) else { continue };
            let done = if is_histogram(i) {
                app.append(series, t, 0, Value::Histogram(&histogram(i, t)))
            } else {
                app.append(series, t, 0, Value::Float(float(i, t)))
            };
            if done.is_ok() {
                staged.push((i, t));
            }
        }
        let lost_before = db.head_metrics().wbl_writes_failed.get();
        let committed = app.commit().is_ok();
        // Late samples that could not be logged are said to be lost if the process ends.
        self.note(format!("commit {committed}: {staged:?}"));
        let all = committed && db.head_metrics().wbl_writes_failed.get() == lost_before;
        for (i, t) in staged {
            let hidden = self.deleted.iter().any(|(g, range)| i % 3 == *g && range.contains(t));
            let fate = if all && !hidden { Fate::Must } else { Fate::May };
            self.known.entry(i).or_default().insert(t, fate);
        }
    }

    /// Deletes a stretch of some series.
    fn delete(&mut self) {
        let g = self.rng.below(3);
        let max = self.now - self.rng.below(20 * MINUTE as u64) as i64;
        let range = TimeRange { min: max - self.rng.below(5 * MINUTE as u64) as i64, max };
        let matchers = vec![Matcher::new(MatchOp::Equal, "g", g.to_string()).unwrap()];
        // A late sample may come back as long as `chunks_head` has a file with it, as in Prometheus.
        let window = self.options.runtime.out_of_order_window_ms > 0;
        let deleted = self.db().delete_series(range, &[matchers]).is_ok() && !window;
        self.deleted.push((g, range));
        self.note(format!("delete {deleted}: {range:?} of g={g}"));
        for (_, samples) in self.known.iter_mut().filter(|(i, _)| **i % 3 == g) {
            if deleted {
                samples.retain(|t, _| *t < range.min || *t > range.max);
            } else {
                samples.range_mut(range.min..=range.max).for_each(|(_, f)| *f = Fate::Undecided);
            }
        }
    }

    /// What is known no more may be there.
    fn forgive(&mut self, before: Known) {
        for (i, samples) in before {
            let known = self.known.entry(i).or_default();
            for t in samples.into_keys() {
                known.entry(t).or_insert(Fate::May);
            }
        }
    }

    fn step(&mut self) {
        self.now += self.rng.below(60_000) as i64;
        match self.rng.below(20) {
            0..=11 => self.append(),
            12 if self.rng.one_in(2) => {
                let done = self.db().compact_stale_series();
                self.note(format!("compact stale series {done:?}"));
            }
            12..=14 => {
                let done = self.db().maintain();
                self.note(format!("maintain {done:?}, {} blocks", self.db().block_metas().len()));
            }
            15 => self.delete(),
            16 => {
                let done = self.db().clean_tombstones();
                self.note(format!("clean tombstones {done:?}"));
            }
            17 if !self.faulty => {
                let faults = self.some_faults();
                self.note(format!("{faults:?}"));
                self.fs.set_faults(faults);
                self.faulty = true;
            }
            17 | 18 => {
                // The disk is well again.
                self.fs.set_faults(Faults::default());
                self.faulty = false;
            }
            _ => {
                let (read, errors) = observe(self.db());
                let missing = compare(&read, &self.known, "running");
                let excused = self.faulty || self.fs.stopped();
                assert!(
                    excused || (missing.is_empty() && errors.is_empty()),
                    "{missing:?} {errors:?}"
                );
            }
        }
    }

    /// The end of a process, and the next one on what is left.
    fn restart(&mut self) {
        let seed = self.rng.below(1 << 30);
        let db = self.db.take().unwrap();
        let how = self.rng.below(3);
        self.note(format!("restart: {}", ["close", "kill", "power cut"][how as usize]));
        if how == 0 && db.close().is_ok() && !self.faulty && !self.fs.stopped() {
            // A close that fails is a kill. What a good one leaves is without a fault.
            let fs: Arc<dyn Fs> = self.fs.clone();
            let mut faults = Vec::new();
            let counts = verify(&fs, Path::new(DIR), &mut |finding| {
                faults.extend((finding.severity == Severity::Fault).then(|| finding.text.clone()));
            });
            assert!(counts.is_ok() && faults.is_empty(), "after a close: {faults:#?}");
        }
        // A machine that stopped in the middle of a call has lost its memory.
        let crash = how == 2 || self.fs.stopped();
        self.fs = Arc::new(if crash { self.fs.crash(seed) } else { self.fs.kill(seed) });
        drop(db);
        // The start may fail as well, and be interrupted.
        for _ in 0..self.rng.below(3) {
            let faults = self.some_faults();
            self.fs.set_faults(faults);
            let opened = open(&self.fs, &self.options, &self.log).map(drop);
            self.note(format!("start with {faults:?}: {opened:?}"));
            let seed = self.rng.below(1 << 30);
            let crash = self.rng.one_in(2) || self.fs.stopped();
            self.fs = Arc::new(if crash { self.fs.crash(seed) } else { self.fs.kill(seed) });
        }
        self.faulty = false;
        let mut all = Vec::new();
        files(&self.fs, Path::new(DIR), &mut all);
        let sizes =
            all.iter().map(|p| format!("{} {}", p.display(), self.fs.metadata(p).unwrap().len));
        let sizes: Vec<String> = sizes.collect();
        self.note(sizes.join(", "));
        self.db = Some(open(&self.fs, &self.options, &self.log).unwrap());
        let blocks: Vec<String> = (self.db().block_metas().iter())
            .map(|b| format!("{}..{} {:?}", b.min_time, b.max_time, b.compaction.hints))
            .collect();
        let unknown = self.db().head_metrics().unknown_sample_refs.get();
        self.note(format!("{blocks:?}, head {:?}, {unknown} unknown", self.db().head_range()));
        let (read, errors) = observe(self.db());
        assert!(errors.is_empty(), "{errors:?}");
        let missing = compare(&read, &self.known, "after a restart");
        assert!(missing.is_empty(), "missing after a restart: {missing:?}");
        // What is not there now never comes back. What was not acknowledged and is there may still
        // go: a sync that failed may have left it readable without making it durable.
        // And a late sample that was deleted may show again while `chunks_head` has it.
        let window = self.options.runtime.out_of_order_window_ms > 0;
        for (i, samples) in &mut self.known {
            samples.retain(|t, fate| {
                let may_return = window || *fate == Fate::Undecided;
                may_return || read.get(i).is_some_and(|r| r.contains_key(t))
            });
        }
    }
}

fn failing(seed: u64) {
    let mut world = World::new(seed);
    for _ in 0..3 {
        for _ in 0..10 + world.rng.below(30) {
            world.step();
            if world.fs.stopped() {
                break;
            }
        }
        world.restart();
    }
}

/// Runs `history` for every seed, and says which one failed.
fn run(seeds: Range<u64>, history: fn(u64)) {
    for seed in seeds {
        let done = std::panic::catch_unwind(|| history(seed));
        assert!(done.is_ok(), "seed {seed}");
    }
}

#[test]
fn a_disk_that_fails_loses_nothing_acknowledged() {
    run(seeds(0..150), failing);
}
