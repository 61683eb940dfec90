//! Random histories against a map: two appenders at a time, commits and rollbacks, kills, power
//! cuts and clean stops, maintenance that is cut off anywhere, deletions, series that end and leave
//! before their time, and queries that stay open across all of it.
//!
//! Where samples may come late, three things are left open, as in Prometheus: whether a sample of a
//! stretch that was deleted shows once something came after the deletion or the process ended;
//! whether a query sees what comes late after it was opened; and which of two late samples of one
//! time wins, as they may get into different chunks.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use model::value::STALE_NAN;
use model::{
    AppendError, AppendOptions, Appendable, Appender, Labels, Querier, Queryable, SeriesRef,
    TimeRange, Value,
};

use super::reading::{check_newest, read};
use super::*;
use crate::db::{RuntimeOptions, WalFsync};
use crate::fs::SimFs;
use crate::fs::sim::Faults;

const SERIES: u64 = 40;
pub(super) const MINUTE: i64 = 60_000;
/// Never the value of a series.
const WRONG: f64 = -1.0;

pub(super) type Store = BTreeMap<u64, BTreeMap<i64, u64>>;

pub(super) fn labels(i: u64) -> Labels {
    let (i, g) = (i.to_string(), (i % 3).to_string());
    Labels::from_pairs([("__name__", "m"), ("g", g.as_str()), ("i", i.as_str())])
}

/// What series `i` says at `t`.
fn value(i: u64, t: i64) -> f64 {
    if t % 5 == 0 {
        return STALE_NAN;
    }
    if t % 7 == 0 { i as f64 } else { i as f64 + t as f64 / 16.0 }
}

struct World {
    rng: Rng,
    fs: Arc<SimFs>,
    options: Options,
    db: Arc<Db>,
    now: i64,
    store: Store,
    last: BTreeMap<u64, i64>,
    /// Series that may have left the head: it does not know any more how far they had come.
    forgotten: BTreeSet<u64>,
    /// Newest samples that queries knew.
    known: Cell<usize>,
    /// Open queries with what they must show.
    queries: Vec<(Arc<dyn Querier>, Store)>,
    /// Everything that was ever acknowledged, and what of it came late; only with a window.
    ever: Store,
    late: BTreeSet<(u64, i64)>,
    /// Where a wrong sample was staged behind the right one.
    contested: BTreeSet<(u64, i64)>,
    /// What was deleted, by `g`; only with a window.
    deleted: Vec<(u64, TimeRange)>,
}

struct Batch {
    appender: Box<dyn Appender>,
    refs: BTreeMap<u64, SeriesRef>,
    staged: Vec<(u64, i64)>,
}

/// How a run ends.
#[derive(Clone, Copy)]
enum End {
    Stop,
    Kill,
    PowerCut,
}

const DIR: &str = "/data";

impl World {
    fn new(seed: u64, window: i64) -> World {
        let fs = Arc::new(SimFs::new(seed));
        let options = Options {
            min_block_range_ms: 10 * MINUTE,
            max_block_range_ms: 100 * MINUTE,
            wal_segment_bytes: 32 << 10,
            wal_fsync: WalFsync::EachCommit,
            samples_per_chunk: 12,
            runtime: RuntimeOptions {
                retention_time_ms: 0,
                out_of_order_window_ms: window,
                ..RuntimeOptions::default()
            },
            ..Options::default()
        };
        let db = open(Path::new(DIR), fs.clone(), options.clone());
        World {
            rng: Rng(seed | 1),
            fs,
            options,
            db,
            now: 100 * MINUTE,
            store: Store::new(),
            last: BTreeMap::new(),
            forgotten: BTreeSet::new(),
            known: Cell::default(),
            queries: Vec::new(),
            ever: Store::new(),
            late: BTreeSet::new(),
            contested: BTreeSet::new(),
            deleted: Vec::new(),
        }
    }

    fn has_window(&self) -> bool {
        self.options.runtime.out_of_order_window_ms > 0
    }

    fn batch(&mut self) -> Batch {
        let options = AppendOptions::default();
        let mut batch = Batch {
            appender: self.db.appender(options),
            refs: BTreeMap::new(),
            staged: Vec::new(),
        };
        self.fill(&mut batch);
        batch
    }

    /// Stages samples of some series that are alive at this time of day.
    fn fill(&mut self, batch: &mut Batch) {
        let window = self.options.runtime.out_of_order_window_ms as u64;
        let alive = (self.now / (30 * MINUTE)) as u64 * 7;
        for _ in 0..self.rng.below(30) {
            let i = alive + self.rng.below(SERIES);
            let late = match self.rng.below(10) {
                0..6 => 0,
                6..9 => self.rng.below(3_000),
                _ => self.rng.below(window.max(3_000)),
            };
            let t = self.now - late as i64;
            let last = self.last.get(&i).copied().unwrap_or(i64::MIN);
            if window == 0 && self.forgotten.contains(&i) && t <= last {
                continue;
            }
            let series =
                *batch.refs.entry(i).or_insert_with(|| batch.appender.series(&labels(i)).unwrap());
            match batch.appender.append(series, t, 0, Value::Float(value(i, t))) {
                Ok(()) => batch.staged.push((i, t)),
                Err(AppendError::OutOfOrder | AppendError::TooOld | AppendError::OutOfBounds) => {}
                Err(error) => panic!("{error}"),
            }
            let wrong = batch.appender.append(series, t, 0, Value::Float(WRONG));
            if self.last.get(&i) == Some(&t) && window == 0 {
                assert_eq!(wrong, Err(AppendError::Duplicate));
            } else if wrong.is_ok() {
                // Staged behind the right one, so it loses, unless both come late.
                assert!(batch.staged.contains(&(i, t)));
                self.contested.insert((i, t));
            }
        }
    }

    fn end(&mut self, batch: Batch) {
        if self.rng.below(6) == 0 {
            batch.appender.rollback();
            return;
        }
        batch.appender.commit().unwrap();
        let window = self.has_window();
        for (i, t) in batch.staged {
            let last = self.last.get(&i).copied().unwrap_or(i64::MIN);
            if window {
                self.ever.entry(i).or_default().insert(t, value(i, t).to_bits());
                if t <= last {
                    self.late.insert((i, t));
                }
            }
            if t > last || window {
                self.store.entry(i).or_default().insert(t, value(i, t).to_bits());
                self.last.insert(i, t.max(last));
            }
        }
    }

    fn compact_stale(&mut self) {
        self.forgotten.extend(self.last.keys());
        if let Err(error) = self.db.compact_stale_series() {
            assert!(self.fs.stopped(), "{error}");
        }
    }

    /// Deletes a stretch of some series, which is gone at once. Queries that are open need not keep
    /// what is deleted.
    fn delete(&mut self) {
        let window = self.has_window();
        if !window {
            let queries = std::mem::take(&mut self.queries);
            for (querier, want) in queries {
                self.check(&*querier, &want, "a query open until a deletion", true);
            }
        }
        let g = self.rng.below(3);
        let max = self.now - self.rng.below(20 * MINUTE as u64) as i64;
        let range = TimeRange { min: max - self.rng.below(5 * MINUTE as u64) as i64, max };
        let matchers = vec![Matcher::new(MatchOp::Equal, "g", g.to_string()).unwrap()];
        self.db.delete_series(range, &[matchers]).unwrap();
        let shown = read(&*self.db.querier(TimeRange::ALL).unwrap());
        for (i, samples) in shown.iter().filter(|(i, _)| **i % 3 == g) {
            let left: Vec<_> = samples.range(range.min..=range.max).collect();
            assert!(left.is_empty(), "series {i}, {range:?} was deleted: {left:?}");
        }
        if window {
            self.deleted.push((g, range));
            return;
        }
        for (_, samples) in self.store.iter_mut().filter(|(i, _)| **i % 3 == g) {
            samples.retain(|t, _| !range.contains(*t));
        }
        self.store.retain(|_, samples| !samples.is_empty());
    }

    /// Whether a deletion makes it open whether the sample shows.
    fn is_open(&self, i: u64, t: i64) -> bool {
        self.deleted.iter().any(|(g, range)| i % 3 == *g && range.contains(t))
    }

    fn restart(&mut self, end: End) {
        self.queries.clear();
        let seed = self.rng.below(1 << 30);
        match end {
            End::Stop => self.db.close().unwrap(),
            End::Kill => self.fs = Arc::new(self.fs.kill(seed)),
            End::PowerCut => self.fs = Arc::new(self.fs.crash(seed)),
        }
        drop(std::mem::replace(&mut self.db, placeholder()));
        self.db = open(Path::new(DIR), self.fs.clone(), self.options.clone());
    }

    /// `held`: the query was opened a while ago.
    fn check(&self, querier: &dyn Querier, want: &Store, what: &str, held: bool) {
        let none = BTreeMap::new();
        let got = read(querier);
        let head = &self.db.head;
        assert_eq!(head.metrics.chunks.get(), head.count_chunks(), "{what}: chunks counted");
        self.known.set(self.known.get() + check_newest(querier, &got));
        for i in want.keys().chain(got.keys()) {
            let (have, want) = (got.get(i).unwrap_or(&none), want.get(i).unwrap_or(&none));
            let may_lose =
                |t: i64| self.late.contains(&(*i, t)) && self.contested.contains(&(*i, t));
            let lost = |t: i64, v: u64| {
                let won = have.get(&t) == Some(&WRONG.to_bits()) && may_lose(t);
                have.get(&t) != Some(&v) && !won && !self.is_open(*i, t)
            };
            let missing: Vec<_> = want.iter().filter(|(t, v)| lost(**t, **v)).collect();
            let may_show = |t: i64, v: u64| {
                let known = self.ever.get(i).and_then(|samples| samples.get(&t)) == Some(&v);
                let won = v == WRONG.to_bits() && may_lose(t);
                won || known && (self.is_open(*i, t) || held && self.late.contains(&(*i, t)))
            };
            let odd = |t: i64, v: u64| want.get(&t) != Some(&v) && !may_show(t, v);
            let extra: Vec<_> = have.iter().filter(|(t, v)| odd(**t, **v)).collect();
            assert!(
                missing.is_empty() && extra.is_empty(),
                "{what}: series {i} at {}: missing {missing:?}, extra {extra:?}",
                self.now
            );
        }
    }

    fn step(&mut self) {
        self.now += self.rng.below(40_000) as i64;
        match self.rng.below(100) {
            0..70 => {
                let mut a = self.batch();
                let b = self.batch();
                self.fill(&mut a);
                if self.rng.below(2) == 0 {
                    self.end(a);
                    self.end(b);
                } else {
                    self.end(b);
                    self.end(a);
                }
            }
            70..76 => self.db.maintain().unwrap(),
            76 => self.compact_stale(),
            77 => self.delete(),
            78 => self.db.clean_tombstones().unwrap(),
            79..81 => {
                // The machine stops somewhere inside a round.
                let at = self.rng.below(60);
                self.fs.set_faults(Faults { crash_at_call: Some(at), ..Faults::default() });
                if self.rng.one_in(3) {
                    self.compact_stale();
                } else {
                    let _ = self.db.maintain();
                }
                let end = if self.rng.below(2) == 0 { End::Kill } else { End::PowerCut };
                self.restart(end);
            }
            81..83 => {
                let end = [End::Stop, End::Kill, End::PowerCut][self.rng.below(3) as usize];
                self.restart(end);
            }
            83..93 => {
                let querier = self.db.querier(TimeRange::ALL).unwrap();
                self.check(&*querier, &self.store, "now", false);
                // Of the head alone, mostly.
                let near = TimeRange { min: self.now - 6 * MINUTE, max: self.now };
                let near = self.db.querier(near).unwrap();
                self.known.set(self.known.get() + check_newest(&*near, &read(&*querier)));
                self.queries.push((querier, self.store.clone()));
            }
            _ => {
                if !self.queries.is_empty() {
                    let at = self.rng.below(self.queries.len() as u64) as usize;
                    let (querier, want) = self.queries.swap_remove(at);
                    self.check(&*querier, &want, "a query open for a while", true);
                }
            }
        }
    }
}

/// A database that is only there to be replaced.
fn placeholder() -> Arc<Db> {
    open(Path::new("/elsewhere"), Arc::new(SimFs::new(0)), Options::default())
}

fn history(seed: u64, window: i64, steps: usize) {
    let mut world = World::new(seed, window);
    for step in 0..steps {
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| world.step()));
        assert!(done.is_ok(), "seed {seed}, window {window}, step {step}");
    }
    let queries = std::mem::take(&mut world.queries);
    for (querier, want) in queries {
        world.check(&*querier, &want, "a query open to the end", true);
    }
    world.restart(End::Stop);
    let querier = world.db.querier(TimeRange::ALL).unwrap();
    world.check(&*querier, &world.store, "after a clean stop", false);
    assert!(world.db.block_metas().len() > 1, "seed {seed}: nothing was cut");
    // What comes late leaves few of them known.
    assert!(window > 0 || world.known.get() > 0, "seed {seed}: no newest sample was known");
}

/// A few, or those of `EPIMETHEUS_SIM_SEEDS=FROM..TO`.
fn seeds() -> Range<u64> {
    super::sim::seeds(1..6)
}

#[test]
fn in_order() {
    for seed in seeds() {
        history(seed, 0, 500);
    }
}

#[test]
fn out_of_order() {
    for seed in seeds() {
        history(seed, 5 * MINUTE, 500);
    }
}
