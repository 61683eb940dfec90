//! The database as a whole: directories of the real server, restarts, maintenance, crashes.

mod chunks;
mod convert;
mod golden;
mod limits;
mod model_test;
mod reading;
mod regressions;
mod sim;
mod stale;
mod start;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use model::{CancelToken, Columns, Labels, MatchOp, Matcher, Queryable, SelectHints, TimeRange};

use super::{Db, Env, Options, ReplayProgress};
use crate::fs::Fs;

/// xorshift64*; the seed is printed with every failure.
struct Rng(u64);

impl Rng {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % n
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// A world with its own clock and predictable randomness; background work is not run.
fn env(fs: Arc<dyn Fs>) -> Env {
    // Never the same twice, or blocks would take each other's names after a restart.
    static CLOCK: AtomicI64 = AtomicI64::new(1_700_000_000_000);
    static RANDOM: AtomicU64 = AtomicU64::new(1);
    Env {
        fs,
        clock: Arc::new(|| CLOCK.fetch_add(1, Ordering::Relaxed)),
        random: Arc::new(|| u128::from(RANDOM.fetch_add(1, Ordering::Relaxed))),
        spawn: Arc::new(|name, job| {
            let _ = std::thread::Builder::new().name(name.into()).spawn(job);
        }),
        log: Arc::new(|_, _, _| {}),
    }
}

fn open(dir: &Path, fs: Arc<dyn Fs>, options: Options) -> Arc<Db> {
    Db::open(dir, options, env(fs), &ReplayProgress::default()).unwrap()
}

/// Everything the database shows of `range`: series in label order with their samples.
fn dump(db: &Db, range: TimeRange) -> Vec<(Labels, Columns)> {
    let querier = db.querier(range).unwrap();
    let any = Matcher::new(MatchOp::Regex, "__name__", ".*").unwrap();
    let selection =
        querier.select(&[any], &SelectHints::default(), &CancelToken::default()).unwrap();
    let mut all: Vec<(Labels, Columns)> = (0..selection.len())
        .map(|i| {
            let mut columns = Columns::default();
            selection.read(i, range, &mut columns).unwrap();
            (selection.labels(i), columns)
        })
        .filter(|(_, columns)| !columns.is_empty())
        .collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}
