//! Bugs that Prometheus has had, each as a test that this storage does not have them.

mod cuts;

use std::path::Path;
use std::sync::Arc;

use model::columns::HistogramValue;
use model::{
    AppendOptions, Appendable, CancelToken, Columns, Histogram, Labels, MatchOp, Matcher,
    Queryable, SelectHints, Span, TimeRange, Value,
};

use super::{dump, env, open};
use crate::block::{BlockMeta, HINT_STALE_SERIES};
use crate::chunk::Encoding;
use crate::compact::{WriteOptions, write_block};
use crate::db::{Db, DbError, FloatEncoding, Options, ReplayProgress, RuntimeOptions};
use crate::fs::{Fs, OpenMode, SimFs};
use crate::head::HeadView;
use crate::source::BlockReader;

const DIR: &str = "/data";
const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

fn disk() -> Arc<dyn Fs> {
    Arc::new(SimFs::new(1))
}

fn options(window: i64) -> Options {
    let runtime = RuntimeOptions {
        out_of_order_window_ms: window,
        retention_time_ms: 0,
        ..RuntimeOptions::default()
    };
    Options { runtime, ..Options::default() }
}

fn start(fs: &Arc<dyn Fs>, options: &Options) -> Arc<Db> {
    open(Path::new(DIR), fs.clone(), options.clone())
}

fn labels(name: &str) -> Labels {
    Labels::from_pairs([("__name__", name)])
}

fn write(db: &Db, name: &str, samples: &[(i64, Value<'_>)]) {
    for (t, value) in samples {
        let mut app = db.appender(AppendOptions::default());
        let series = app.series(&labels(name)).unwrap();
        app.append(series, *t, 0, *value).unwrap();
        app.commit().unwrap();
    }
}

fn floats(db: &Db, name: &str, times: impl IntoIterator<Item = i64>) {
    let samples: Vec<_> = times.into_iter().map(|t| (t, Value::Float(t as f64))).collect();
    write(db, name, &samples);
}

fn columns(db: &Db, name: &str) -> Columns {
    let all = dump(db, TimeRange::ALL);
    all.into_iter().find(|(l, _)| *l == labels(name)).map(|(_, c)| c).unwrap_or_default()
}

fn times(db: &Db, name: &str) -> Vec<i64> {
    columns(db, name).timestamps
}

/// Buckets that are not empty, by index.
fn buckets(h: &Histogram) -> Vec<(i32, i64)> {
    let (mut index, mut count, mut all) = (0, 0, Vec::new());
    let mut deltas = h.positive_buckets.iter();
    for span in &h.positive_spans {
        index += span.offset;
        for delta in deltas.by_ref().take(span.length as usize) {
            count += delta;
            all.push((index, count));
            index += 1;
        }
    }
    all.retain(|(_, count)| *count != 0);
    all
}

fn named(name: &str) -> Vec<Matcher> {
    vec![Matcher::new(MatchOp::Equal, "__name__", name).unwrap()]
}

/// Late samples survive a restart after blocks were cut and merged behind them (#19016).
#[test]
fn late_samples_survive_compaction_and_restart() {
    let (fs, options) = (disk(), options(24 * HOUR));
    let db = start(&fs, &options);
    let mut want = Vec::new();
    for hour in 10..30 {
        let late = hour * HOUR - 7 * HOUR - MINUTE;
        floats(&db, "a", [hour * HOUR, late]);
        want.extend([hour * HOUR, late]);
        db.maintain().unwrap();
    }
    let late = 29 * HOUR - MINUTE;
    floats(&db, "a", [late]);
    want.push(late);
    want.sort_unstable();
    assert_eq!(times(&db, "a"), want);
    for _ in 0..3 {
        // As after a kill: not closed.
        let db = start(&later(&fs), &options);
        assert_eq!(times(&db, "a"), want);
        db.maintain().unwrap();
        assert_eq!(times(&db, "a"), want);
    }
}

/// What a restart after a kill finds.
fn later(fs: &Arc<dyn Fs>) -> Arc<dyn Fs> {
    let to = SimFs::new(2);
    let mut dirs = vec![Path::new(DIR).to_owned()];
    while let Some(dir) = dirs.pop() {
        to.create_dir_all(&dir).unwrap();
        for entry in fs.list(&dir).unwrap() {
            let path = dir.join(&entry.name);
            match entry.kind {
                crate::fs::FileKind::Dir => dirs.push(path),
                _ => {
                    let file = to.open(&path, OpenMode::CreateNew).unwrap();
                    file.write_all_at(&fs.read(&path).unwrap(), 0).unwrap();
                }
            }
        }
    }
    Arc::new(to)
}

/// A block of stale series says nothing of how far the log is in blocks (#18379, #19016).
#[test]
fn a_block_of_stale_series_hides_nothing_of_the_log() {
    let (fs, options) = (disk(), options(0));
    let db = start(&fs, &options);
    floats(&db, "gone", [HOUR]);
    floats(&db, "stays", [HOUR, HOUR + MINUTE]);
    let range = TimeRange { min: 0, max: 2 * HOUR - 1 };
    let head: Arc<dyn BlockReader> = Arc::new(HeadView::in_order(db.head.clone(), range));
    let mut meta = BlockMeta::new(db.new_ulid(), 0, 2 * HOUR, None);
    meta.compaction.set_hint(HINT_STALE_SERIES);
    let write = WriteOptions::default();
    write_block(&fs, Path::new(DIR), &[head], meta, &write, &CancelToken::default()).unwrap();
    floats(&db, "stays", [HOUR + 2 * MINUTE]);
    let db = start(&later(&fs), &options);
    assert_eq!(times(&db, "stays"), [HOUR, HOUR + MINUTE, HOUR + 2 * MINUTE]);
    assert_eq!(times(&db, "gone"), [HOUR]);
}

/// Deleting a part of a series takes nothing else of it, nor what comes later, over restarts
/// (#19140).
#[test]
fn a_deletion_takes_only_its_range() {
    let (fs, options) = (disk(), options(0));
    let db = start(&fs, &options);
    floats(&db, "a", (1..=10).map(|m| m * MINUTE));
    db.delete_series(TimeRange { min: 3 * MINUTE, max: 8 * MINUTE }, &[named("a")]).unwrap();
    floats(&db, "a", [11 * MINUTE, 4 * HOUR]);
    let want = [MINUTE, 2 * MINUTE, 9 * MINUTE, 10 * MINUTE, 11 * MINUTE, 4 * HOUR];
    for _ in 0..2 {
        assert_eq!(times(&db, "a"), want);
        let after = later(&fs);
        let again = start(&after, &options);
        assert_eq!(times(&again, "a"), want);
        again.maintain().unwrap();
        again.clean_tombstones().unwrap();
        assert_eq!(times(&again, "a"), want);
        db.maintain().unwrap();
    }
    // Of a series that is deleted as a whole, what follows is there.
    db.delete_series(TimeRange::ALL, &[named("a")]).unwrap();
    assert_eq!(times(&db, "a"), Vec::<i64>::new());
    floats(&db, "a", [4 * HOUR + MINUTE]);
    assert_eq!(times(&db, "a"), [4 * HOUR + MINUTE]);
    let again = start(&later(&fs), &options);
    assert_eq!(times(&again, "a"), [4 * HOUR + MINUTE]);
}

/// Native histograms with resets, gaps and changing buckets are the same after a restart (#19202).
#[test]
fn histograms_survive_restarts() {
    let (fs, options) = (disk(), options(0));
    let db = start(&fs, &options);
    let histogram = |n: i64| {
        let wide = n % 50 >= 25;
        let buckets = if wide { vec![n % 40, 1, -1] } else { vec![n % 40] };
        let total: i64 = buckets
            .iter()
            .scan(0, |sum, b| {
                *sum += b;
                Some(*sum)
            })
            .sum();
        Histogram {
            schema: 2,
            count: total as u64,
            sum: n as f64,
            positive_spans: vec![Span { offset: (n / 60) as i32, length: buckets.len() as u32 }],
            positive_buckets: buckets,
            ..Histogram::default()
        }
    };
    let all: Vec<Histogram> = (1..300).map(histogram).collect();
    let samples: Vec<(i64, Value<'_>)> =
        all.iter().enumerate().map(|(i, h)| (i as i64 * MINUTE, Value::Histogram(h))).collect();
    write(&db, "h", &samples);
    let check = |db: &Db, what: &str| {
        let got = columns(db, "h");
        assert_eq!(got.len(), all.len(), "{what}");
        for (i, want) in all.iter().enumerate() {
            let Some(HistogramValue::Integer(h)) = got.histogram(i) else { panic!("{what}: {i}") };
            let same = (h.count, h.sum) == (want.count, want.sum) && buckets(h) == buckets(want);
            assert!(same, "{what}: {i}: {h:?} for {want:?}");
        }
    };
    check(&db, "written");
    check(&start(&later(&fs), &options), "restarted");
    db.maintain().unwrap();
    check(&db, "cut");
    check(&start(&later(&fs), &options), "cut and restarted");
}

/// A series that ends as one type and comes back as the other is not counted as stale (#19183).
#[test]
fn stale_series_are_counted_over_type_changes() {
    let (fs, options) = (disk(), options(0));
    let db = start(&fs, &options);
    let stale = Value::Float(model::value::STALE_NAN);
    let h = Histogram { count: 1, zero_count: 1, zero_threshold: 0.1, ..Histogram::default() };
    let count = || db.head_metrics().stale_series.get();
    let steps =
        [Value::Float(1.0), stale, Value::Histogram(&h), stale, Value::Float(2.0), stale, stale];
    let wants = [0, 1, 0, 1, 0, 1, 1];
    for (i, (step, want)) in steps.into_iter().zip(wants).enumerate() {
        write(&db, "a", &[(i as i64 * MINUTE, step)]);
        assert_eq!(count(), want, "step {i}");
    }
    let db = start(&later(&fs), &options);
    assert_eq!(db.head_metrics().stale_series.get(), 1);
}

/// A start that fails leaves nothing behind that hinders the next one (#18291).
#[test]
fn a_failed_start_lets_go() {
    let (fs, options) = (disk(), options(0));
    let db = start(&fs, &options);
    floats(&db, "a", [HOUR, 5 * HOUR]);
    db.maintain().unwrap();
    let block = Path::new(DIR).join(db.block_metas()[0].ulid.to_string());
    db.close().unwrap();
    drop(db);
    let (index, away) = (block.join("index"), block.join("away"));
    fs.rename(&index, &away).unwrap();
    for _ in 0..3 {
        let failed =
            Db::open(Path::new(DIR), options.clone(), env(fs.clone()), &ReplayProgress::default());
        assert!(matches!(failed.map(drop), Err(DbError::Corrupt(_) | DbError::Io(_))));
    }
    fs.rename(&away, &index).unwrap();
    assert_eq!(times(&start(&fs, &options), "a"), [HOUR, 5 * HOUR]);
}

/// The end of the log with the record of a series is gone, its chunk in `chunks_head` is not: a
/// series that comes later does not inherit it.
#[test]
fn a_ref_that_only_chunks_head_knows_is_not_given_out_again() {
    let (fs, options) = (disk(), options(0));
    let db = start(&fs, &options);
    floats(&db, "lost", (0..300).map(|n| n * 15_000));
    db.head.flush_chunks().unwrap();
    drop(db);
    let wal = Path::new(DIR).join("wal");
    for entry in fs.list(&wal).unwrap() {
        fs.remove_file(&wal.join(entry.name)).unwrap();
    }
    let db = start(&fs, &options);
    floats(&db, "new", [300 * 15_000]);
    drop(db);
    let db = start(&fs, &options);
    assert_eq!(columns(&db, "new").timestamps, [300 * 15_000]);
}

/// Label names and values come from the blocks and the head that overlap the range asked for, and
/// from each of them whole. Late samples do not widen the head's range, nor does what was cut away.
#[test]
fn label_names_narrow_by_time_as_in_prometheus() {
    let fs = disk();
    let db = start(&fs, &options(4 * HOUR));
    let names = |min: i64, max: i64| {
        let querier = db.querier(TimeRange { min, max }).unwrap();
        let values = querier.label_values("__name__", &[], 0).unwrap().join(" ");
        let any = Matcher::new(MatchOp::Regex, "__name__", ".+").unwrap();
        assert_eq!(
            values,
            querier.label_values("__name__", std::slice::from_ref(&any), 0).unwrap().join(" ")
        );
        let expected: &[&str] = if values.is_empty() { &[] } else { &["__name__"] };
        assert_eq!(querier.label_names(&[], 0).unwrap(), expected);
        assert_eq!(querier.label_names(&[any], 0).unwrap(), expected);
        values
    };
    assert_eq!(names(i64::MIN, i64::MAX), "");
    floats(&db, "a", [100 * HOUR, 100 * HOUR + MINUTE]);
    floats(&db, "b", [101 * HOUR]);
    floats(&db, "a", [101 * HOUR - MINUTE]);
    let late = 99 * HOUR;
    write(&db, "b", &[(late, Value::Float(1.0))]);
    // The head has samples from 100h to 101h, late ones at 99h.
    for (min, max, expected) in [
        (i64::MIN, i64::MAX, "a b"),
        (100 * HOUR + 2 * MINUTE, 100 * HOUR + 3 * MINUTE, "a b"),
        (0, 100 * HOUR, "a b"),
        (0, 100 * HOUR - 1, ""),
        (late, late, ""),
        (101 * HOUR, 102 * HOUR, "a b"),
        (101 * HOUR + 1, 102 * HOUR, ""),
    ] {
        assert_eq!(names(min, max), expected, "{min} to {max}");
    }
    // A block from 100h to 102h, behind it the head.
    floats(&db, "c", [104 * HOUR]);
    db.maintain().unwrap();
    let cut: Vec<_> = db.block_metas().iter().map(|m| (m.min_time, m.max_time)).collect();
    assert!(cut.contains(&(100 * HOUR, 102 * HOUR)), "{cut:?}");
    for (min, max, expected) in [
        (100 * HOUR + 2 * MINUTE, 100 * HOUR + 3 * MINUTE, "a b"),
        (103 * HOUR, 104 * HOUR, "c"),
        (104 * HOUR + 1, 105 * HOUR, ""),
    ] {
        assert_eq!(names(min, max), expected, "{min} to {max}");
    }
}
