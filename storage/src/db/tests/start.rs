//! Starts: from a snapshot as from the log, whatever happened to the snapshot; and replay on several
//! threads against a model that takes one record after the other.

mod logs;

use model::{AppendOptions, Appendable, Exemplar, Histogram, Metadata, MetricType, Span, Value};

use super::*;
use crate::db::{HeadSnapshot, RuntimeOptions};
use crate::fs::{FileKind, OpenMode, SimFs};

const DIR: &str = "/data";
const T0: i64 = 1_700_000_000_000;

fn options(snapshot: HeadSnapshot) -> Options {
    Options {
        snapshot,
        samples_per_chunk: 20,
        exemplar_storage: true,
        runtime: RuntimeOptions {
            out_of_order_window_ms: 600_000,
            retention_time_ms: 0,
            ..RuntimeOptions::default()
        },
        ..Options::default()
    }
}

fn start(fs: &SimFs, snapshot: HeadSnapshot) -> Arc<Db> {
    open(Path::new(DIR), Arc::new(fs.clone()), options(snapshot))
}

fn histogram(i: i64) -> Histogram {
    Histogram {
        count: (3 * i) as u64,
        sum: i as f64,
        zero_threshold: 0.001,
        positive_spans: vec![Span { offset: 0, length: 2 }],
        positive_buckets: vec![i, i],
        ..Histogram::default()
    }
}

fn name(i: usize) -> Labels {
    Labels::from_pairs([("__name__", format!("m{}", i % 7)), ("i", i.to_string())])
}

/// Adds steps `steps` to every kind of series: floats, stale ones, histograms, late samples,
/// exemplars, metadata.
fn append(db: &Db, steps: std::ops::Range<i64>) {
    for step in steps {
        let mut appender = db.appender(AppendOptions::default());
        for i in 0..300usize {
            let series = appender.series(&name(i)).unwrap();
            let t = T0 + 15_000 * step + i as i64;
            match i % 5 {
                0 if step % 3 == 2 => {
                    let stale = model::value::STALE_NAN;
                    appender.append(series, t, 0, Value::Float(stale)).unwrap();
                }
                1 if i % 2 == 1 => {
                    let h = histogram(step + 1);
                    appender.append(series, t, 0, Value::Histogram(&h)).unwrap();
                }
                2 if step % 4 == 3 => {
                    // Late by a little more than a step.
                    let late = t - 16_000 - step;
                    appender.append(series, late, 0, Value::Float(step as f64 + 0.5)).unwrap();
                }
                _ => {
                    let v = (step * i as i64) as f64 * 1.1;
                    appender.append(series, t, 0, Value::Float(v)).unwrap();
                }
            }
            if i % 50 == 3 {
                let exemplar = Exemplar {
                    labels: Labels::from_pairs([("trace", step.to_string())]),
                    value: step as f64,
                    timestamp_ms: t,
                    has_timestamp: true,
                };
                appender.append_exemplar(series, &exemplar).unwrap();
                let metadata = Metadata {
                    metric_type: MetricType::Counter,
                    unit: "u".into(),
                    help: format!("help {i}"),
                };
                appender.update_metadata(series, &metadata).unwrap();
            }
        }
        appender.commit().unwrap();
    }
}

/// Everything a reader can see and some of what is counted, a line a series; NaNs by their bits.
fn shown(db: &Db) -> Vec<String> {
    let any = Matcher::new(MatchOp::Regex, "__name__", ".*").unwrap();
    let metrics = db.head_metrics();
    let mut lines =
        vec![format!("{} series, {} stale", metrics.series.get(), metrics.stale_series.get())];
    for (labels, columns) in dump(db, TimeRange::ALL) {
        let bits: Vec<u64> = columns.floats.iter().map(|v| v.to_bits()).collect();
        lines.push(format!("{labels} {:?} {bits:?} {:?}", columns.timestamps, columns.histograms));
    }
    for (labels, exemplars) in db.exemplars(TimeRange::ALL, &[vec![any]]).unwrap() {
        lines.push(format!("{labels} {exemplars:?}"));
    }
    lines
}

fn same(got: &[String], want: &[String], what: &str) {
    let first = got.iter().zip(want).find(|(got, want)| got != want);
    assert!(first.is_none(), "{what}: {first:?}");
    assert_eq!(got.len(), want.len(), "{what}");
}

fn snapshots(fs: &SimFs, prefix: &str) -> Vec<String> {
    let entries = fs.list(Path::new(DIR)).unwrap();
    let dirs = entries.into_iter().filter(|e| e.kind == FileKind::Dir);
    dirs.map(|e| e.name).filter(|n| n.starts_with(prefix)).collect()
}

fn prefix(kind: HeadSnapshot) -> &'static str {
    if kind == HeadSnapshot::Own { "epimetheus_snapshot." } else { "chunk_snapshot." }
}

/// A stopped database with full chunks, open chunks, deletions, and what it showed.
fn stopped(kind: HeadSnapshot) -> (SimFs, Vec<String>) {
    let fs = SimFs::new(1);
    let db = start(&fs, kind);
    append(&db, 0..50);
    let third = vec![Matcher::equal("i", "3")];
    db.delete_series(TimeRange { min: T0 + 100_000, max: T0 + 200_000 }, &[third]).unwrap();
    let want = shown(&db);
    db.close().unwrap();
    assert_eq!(snapshots(&fs, prefix(kind)).len(), 1, "{kind:?}: one snapshot");
    (fs, want)
}

#[test]
fn a_snapshot_holds_everything() {
    for kind in [HeadSnapshot::Own, HeadSnapshot::Prometheus] {
        let (fs, want) = stopped(kind);
        let db = start(&fs, kind);
        assert_eq!(db.head_metrics().snapshot_loads.get(), 1, "{kind:?}");
        assert_eq!(snapshots(&fs, prefix(kind)), [""; 0], "{kind:?}: gone once used");
        same(&shown(&db), &want, &format!("{kind:?}"));
        // The chunks go on, and what is logged now fits what was logged before.
        append(&db, 50..75);
        let want = shown(&db);
        drop(db);
        let killed = fs.kill(3);
        let db = start(&killed, kind);
        assert_eq!(db.head_metrics().snapshot_loads.get(), 0);
        same(&shown(&db), &want, &format!("{kind:?}: after a kill"));
        db.close().unwrap();
        let db = start(&killed, kind);
        assert_eq!(db.head_metrics().snapshot_loads.get(), 1);
        append(&db, 75..80);
        let want = shown(&db);
        db.close().unwrap();
        let db = start(&killed, kind);
        same(&shown(&db), &want, &format!("{kind:?}: stop, start, stop"));
    }
}

#[test]
fn a_repeated_sample_is_judged_as_before_the_stop() {
    let fs = SimFs::new(1);
    let db = start(&fs, HeadSnapshot::Own);
    append(&db, 0..3);
    db.close().unwrap();
    let db = start(&fs, HeadSnapshot::Own);
    assert_eq!(db.head_metrics().snapshot_loads.get(), 1);
    let mut appender = db.appender(AppendOptions::default());
    let (floats, histograms) =
        (appender.series(&name(4)).unwrap(), appender.series(&name(1)).unwrap());
    let (t, h) = (T0 + 30_000, histogram(3));
    appender.append(floats, t + 4, 0, Value::Float(8.0 * 1.1)).unwrap();
    appender.append(histograms, t + 1, 0, Value::Histogram(&h)).unwrap();
    assert!(appender.append(floats, t + 4, 0, Value::Float(9.0)).is_err());
    assert!(appender.append(histograms, t + 1, 0, Value::Histogram(&histogram(9))).is_err());
}

#[test]
fn a_damaged_snapshot_is_not_used() {
    for kind in [HeadSnapshot::Own, HeadSnapshot::Prometheus] {
        let (fs, want) = stopped(kind);
        let name = snapshots(&fs, prefix(kind)).remove(0);
        let file = Path::new(DIR).join(name).join("00000000");
        let len = fs.metadata(&file).unwrap().len;
        let positions = 16;
        let mut refused = 0;
        for n in 0..positions {
            let at = len * n / positions;
            let (flipped, cut) = (fs.kill(n), fs.kill(n));
            flipped.flip_bit(&file, at, (n % 8) as u8).unwrap();
            cut.open(&file, OpenMode::Write).unwrap().truncate(at).unwrap();
            for damaged in [flipped, cut] {
                let db = start(&damaged, kind);
                same(&shown(&db), &want, &format!("{kind:?}: damaged at {at}"));
                refused += db.head_metrics().snapshot_errors.get();
                assert_eq!(snapshots(&damaged, prefix(kind)), [""; 0]);
            }
        }
        // Bits that fill up a page mean nothing.
        assert!(refused >= 2 * positions - 4, "{kind:?}: only {refused} were refused");
    }
}

#[test]
fn a_snapshot_without_its_chunks_is_not_used() {
    let (fs, want) = stopped(HeadSnapshot::Own);
    let chunks = Path::new(DIR).join("chunks_head/000001");
    let len = fs.metadata(&chunks).unwrap().len;
    for at in [9, len / 3, len / 2] {
        let damaged = fs.kill(1);
        damaged.flip_bit(&chunks, at, 1).unwrap();
        let db = start(&damaged, HeadSnapshot::Own);
        assert_eq!(db.head_metrics().snapshot_loads.get(), 0);
        same(&shown(&db), &want, &format!("chunk damaged at {at}"));
    }
}

#[test]
fn a_stale_snapshot_is_not_used() {
    for kind in [HeadSnapshot::Own, HeadSnapshot::Prometheus] {
        let (fs, _) = stopped(kind);
        let name = snapshots(&fs, prefix(kind)).remove(0);
        let from = Path::new(DIR).join(&name);
        let kept = fs.read(&from.join("00000000")).unwrap();
        let db = start(&fs, kind);
        append(&db, 50..53);
        let want = shown(&db);
        db.close().unwrap();
        for name in snapshots(&fs, prefix(kind)) {
            fs.remove_dir_all(&Path::new(DIR).join(name)).unwrap();
        }
        // As if the old one had never gone.
        fs.create_dir_all(&from).unwrap();
        let file = fs.open(&from.join("00000000"), OpenMode::CreateNew).unwrap();
        file.write_all_at(&kept, 0).unwrap();
        let db = start(&fs, kind);
        assert_eq!(db.head_metrics().snapshot_loads.get(), 0);
        same(&shown(&db), &want, &format!("{kind:?}"));
    }
}

#[test]
fn a_snapshot_that_cannot_be_written_is_no_error() {
    let fs = SimFs::new(1);
    let db = start(&fs, HeadSnapshot::Own);
    append(&db, 0..30);
    let want = shown(&db);
    let calls = fs.calls();
    let other = fs.kill(1);
    db.close().unwrap();
    let stop_calls = fs.calls() - calls;
    drop(db);
    for call in 0..stop_calls {
        let fs = other.kill(call);
        let db = start(&fs, HeadSnapshot::Own);
        same(&shown(&db), &want, "replayed");
        let faults = crate::fs::sim::Faults { crash_at_call: Some(call), ..Default::default() };
        fs.set_faults(faults);
        let _ = db.close();
        drop(db);
        let db = start(&fs.kill(call), HeadSnapshot::Own);
        same(&shown(&db), &want, &format!("stopped at call {call} of closing"));
    }
}
