//! Series that have ended leave the head before their time.

use std::path::Path;
use std::sync::Arc;

use model::value::STALE_NAN;
use model::{
    AppendOptions, Appendable, Histogram, Labels, MatchOp, Matcher, Queryable, TimeRange, Value,
};

use super::{dump, open};
use crate::block::HINT_STALE_SERIES;
use crate::db::{Db, Options, RuntimeOptions};
use crate::fs::SimFs;
use crate::fs::sim::Faults;

const DIR: &str = "/data";
const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

fn options(threshold: f64) -> Options {
    let runtime = RuntimeOptions {
        retention_time_ms: 0,
        stale_series_threshold: threshold,
        ..RuntimeOptions::default()
    };
    Options { runtime, ..Options::default() }
}

fn append(db: &Db, name: &str, t: i64, value: Value<'_>) {
    let mut app = db.appender(AppendOptions::default());
    let series = app.series(&Labels::from_pairs([("__name__", name)])).unwrap();
    app.append(series, t, 0, value).unwrap();
    app.commit().unwrap();
}

/// Two of four series end, one of floats and one of histograms, over two block ranges.
fn filled(fs: &Arc<SimFs>, threshold: f64) -> Arc<Db> {
    let db = open(Path::new(DIR), fs.clone(), options(threshold));
    for t in (HOUR..3 * HOUR).step_by(MINUTE as usize) {
        for name in ["ends", "stays", "stays too"] {
            append(&db, name, t, Value::Float(t as f64));
        }
        let h = Histogram { count: t as u64, zero_count: t as u64, ..Histogram::default() };
        append(&db, "ends as well", t, Value::Histogram(&h));
    }
    for name in ["ends", "ends as well"] {
        append(&db, name, 3 * HOUR, Value::Float(STALE_NAN));
    }
    db
}

type Shown = Vec<(Labels, Vec<i64>, Vec<u64>)>;

fn shown(db: &Db) -> Shown {
    let bits = |c: &model::Columns| c.floats.iter().map(|v| v.to_bits()).collect();
    let all = dump(db, TimeRange::ALL).into_iter();
    all.map(|(labels, c)| (labels, c.timestamps.clone(), bits(&c))).collect()
}

fn series(db: &Db) -> (u64, u64) {
    (db.head_metrics().series.get(), db.head_metrics().stale_series.get())
}

fn stale_blocks(db: &Db) -> usize {
    db.block_metas().iter().filter(|m| m.compaction.has_hint(HINT_STALE_SERIES)).count()
}

#[test]
fn the_share_of_stale_series_decides() {
    for (threshold, blocks) in [(0.0, 0), (0.6, 0), (0.5, 2)] {
        let db = filled(&Arc::new(SimFs::new(1)), threshold);
        let before = shown(&db);
        db.maintain().unwrap();
        assert_eq!(stale_blocks(&db), blocks, "{threshold}");
        assert_eq!(series(&db), if blocks > 0 { (2, 0) } else { (4, 2) }, "{threshold}");
        assert_eq!(db.metrics().stale_compactions.get(), u64::from(blocks > 0));
        assert_eq!(shown(&db), before, "{threshold}");
        // A reload may change it.
        db.apply(options(0.1).runtime).unwrap();
        db.maintain().unwrap();
        assert_eq!((stale_blocks(&db), series(&db)), (2, (2, 0)), "{threshold}");
        assert_eq!(shown(&db), before, "{threshold}");
    }
}

#[test]
fn a_query_from_before_sees_what_it_saw_and_a_series_that_comes_back_stays() {
    let fs = Arc::new(SimFs::new(2));
    let db = filled(&fs, 0.5);
    let before = shown(&db);
    let querier = db.querier(TimeRange::ALL).unwrap();
    db.maintain().unwrap();
    // One more round writes nothing more.
    db.maintain().unwrap();
    assert_eq!((stale_blocks(&db), series(&db)), (2, (4, 2)));
    append(&db, "ends", 3 * HOUR + MINUTE, Value::Float(1.0));
    drop(querier);
    db.maintain().unwrap();
    assert_eq!(series(&db), (3, 0));
    let after = shown(&db);
    assert_eq!(after.len(), before.len());
    assert_eq!(after[0].1.last(), Some(&(3 * HOUR + MINUTE)));
    assert_eq!(after[0].1[..after[0].1.len() - 1], before[0].1);
    assert_eq!(after[1..], before[1..]);
    drop(db);
    let again = open(Path::new(DIR), Arc::new(fs.kill(1)), options(0.5));
    assert_eq!((shown(&again), series(&again)), (after, (3, 0)));
}

/// Deletions hold while the series leaves, and afterwards.
#[test]
fn what_was_deleted_stays_deleted() {
    let fs = Arc::new(SimFs::new(3));
    let db = filled(&fs, 0.0);
    let ends = model::Matcher::new(model::MatchOp::Equal, "__name__", "ends").unwrap();
    let range = TimeRange { min: 90 * MINUTE, max: 100 * MINUTE };
    db.delete_series(range, std::slice::from_ref(&vec![ends.clone()])).unwrap();
    db.compact_stale_series().unwrap();
    let range = TimeRange { min: 150 * MINUTE, max: 160 * MINUTE };
    db.delete_series(range, &[vec![ends]]).unwrap();
    let want = shown(&db);
    assert_eq!(want[0].1.len(), 121 - 22);
    drop(db);
    let again = open(Path::new(DIR), Arc::new(fs.kill(1)), options(0.0));
    assert_eq!((shown(&again), series(&again)), (want, (2, 0)));
}

/// Wherever the machine stops: everything is there, once.
#[test]
fn a_stop_anywhere_loses_nothing() {
    let mut whole = 0;
    for at in 0..200 {
        let fs = Arc::new(SimFs::new(at));
        let db = filled(&fs, 0.0);
        let want = shown(&db);
        fs.set_faults(Faults { crash_at_call: Some(at), ..Faults::default() });
        let done = db.compact_stale_series();
        drop(db);
        whole += u64::from(done.is_ok());
        let again = open(Path::new(DIR), Arc::new(fs.kill(at)), options(0.0));
        assert_eq!(shown(&again), want, "call {at}");
        again.compact_stale_series().unwrap();
        assert_eq!((shown(&again), series(&again)), (want, (2, 0)), "call {at}");
        if whole > 2 {
            return;
        }
    }
    panic!("no run came to its end");
}

/// On a full disk nothing is left behind, and the next attempt succeeds.
#[test]
fn a_full_disk_changes_nothing() {
    for at in 0..12 {
        let fs = Arc::new(SimFs::new(at));
        let db = filled(&fs, 0.5);
        let want = shown(&db);
        fs.set_faults(Faults { enospc_at_call: Some(at * 3), ..Faults::default() });
        let done = db.compact_stale_series();
        fs.set_faults(Faults::default());
        assert_eq!(shown(&db), want, "call {}", at * 3);
        assert_eq!(db.metrics().stale_compactions_failed.get(), u64::from(done.is_err()));
        db.maintain().unwrap();
        assert_eq!((shown(&db), series(&db)), (want, (2, 0)), "call {}", at * 3);
    }
}

/// A block that has its name, but not durably, is taken away: nobody knows of it, so what is deleted
/// afterwards would stay in it and show again after a restart.
#[test]
fn a_block_that_is_not_published_is_not_there() {
    let mut failed = 0;
    for sync in 0..12 {
        let fs = Arc::new(SimFs::new(1));
        let db = filled(&fs, 0.1);
        fs.set_faults(Faults { eio_at_sync: Some(sync), ..Faults::default() });
        failed += usize::from(db.compact_stale_series().is_err());
        fs.set_faults(Faults::default());
        let on_disk = crate::block::list(&*fs, Path::new(DIR)).unwrap();
        assert_eq!(on_disk.len(), db.block_metas().len(), "sync {sync}");
        let early = TimeRange { min: 0, max: 2 * HOUR };
        let any = Matcher::new(MatchOp::Regex, "__name__", ".+").unwrap();
        db.delete_series(early, &[vec![any]]).unwrap();
        let want = shown(&db);
        assert!(want.iter().flat_map(|s| &s.1).all(|t| *t > early.max), "sync {sync}");
        drop(db);
        let fs: Arc<SimFs> = Arc::new(fs.kill(1));
        assert!(shown(&open(Path::new(DIR), fs, options(0.1))) == want, "sync {sync}");
    }
    assert!(failed > 2, "{failed} compactions failed");
}
