//! Damage everywhere: whatever bits are flipped and wherever files are cut, verify and repair end,
//! what they write is without a fault, and holds nothing that was not stored.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use model::histogram::Span;
use model::{AppendOptions, Appendable, Exemplar, Histogram, Labels, Matcher, TimeRange, Value};

use super::repair;
use crate::db::{
    Db, Env, HeadSnapshot, Options, ReadOnlyDb, ReplayProgress, RuntimeOptions, WalFsync,
};
use crate::diff::{Difference, diff};
use crate::fs::{FileKind, Fs, OpenMode, SimFs};
use crate::verify::verify;

const MINUTE: i64 = 60_000;
const DIR: &str = "/data";

fn env(fs: Arc<dyn Fs>) -> Env {
    static CLOCK: AtomicI64 = AtomicI64::new(1_700_000_000_000);
    static RANDOM: AtomicU64 = AtomicU64::new(1);
    Env {
        fs,
        clock: Arc::new(|| CLOCK.fetch_add(1, Ordering::Relaxed)),
        random: Arc::new(|| u128::from(RANDOM.fetch_add(1, Ordering::Relaxed))),
        spawn: Arc::new(|_, _| {}),
        log: Arc::new(|_, _, _| {}),
    }
}

/// A directory with blocks, tombstones, head chunks, logs and a head snapshot, closed.
pub(crate) fn small() -> (Arc<SimFs>, &'static Path) {
    small_with(HeadSnapshot::Own)
}

pub(crate) fn small_with(snapshot: HeadSnapshot) -> (Arc<SimFs>, &'static Path) {
    let fs = Arc::new(SimFs::new(7));
    let dir = Path::new(DIR);
    let options = Options {
        min_block_range_ms: 10 * MINUTE,
        max_block_range_ms: 10 * MINUTE,
        wal_segment_bytes: 32 << 10,
        wal_fsync: WalFsync::EachCommit,
        samples_per_chunk: 12,
        exemplar_storage: true,
        snapshot,
        runtime: RuntimeOptions {
            retention_time_ms: 0,
            out_of_order_window_ms: 5 * MINUTE,
            max_exemplars: 100,
            ..RuntimeOptions::default()
        },
        ..Options::default()
    };
    let db = Db::open(dir, options, env(fs.clone()), &ReplayProgress::default()).unwrap();
    let append = |from: i64, to: i64| {
        for t in (from..to).step_by(20_000) {
            let mut batch = db.appender(AppendOptions::default());
            for i in 0..5 {
                let labels =
                    |name| Labels::from_pairs([("__name__", name), ("i", i.to_string().as_str())]);
                let series = batch.series(&labels("m")).unwrap();
                // Some come late.
                let late = if i == 3 && t % 9 == 0 { 2 * MINUTE + 1 } else { 0 };
                let _ =
                    batch.append(series, t - late, 0, Value::Float(t as f64 * 0.7 + f64::from(i)));
                let exemplar = Exemplar {
                    labels: Labels::from_pairs([("trace", t.to_string().as_str())]),
                    value: 1.0,
                    timestamp_ms: t,
                    has_timestamp: true,
                };
                let _ = batch.append_exemplar(series, &exemplar);
                let series = batch.series(&labels("h")).unwrap();
                let count = (t / 1000) as u64;
                let h = Histogram {
                    count,
                    sum: 1.5,
                    schema: 1,
                    positive_spans: vec![Span { offset: 0, length: 1 }],
                    positive_buckets: vec![count as i64],
                    ..Histogram::default()
                };
                batch.append(series, t, 0, Value::Histogram(&h)).unwrap();
            }
            batch.commit().unwrap();
        }
    };
    append(100 * MINUTE, 136 * MINUTE);
    db.maintain().unwrap();
    let range = TimeRange { min: 100 * MINUTE, max: 104 * MINUTE };
    db.delete_series(range, &[vec![Matcher::equal("i", "0")]]).unwrap();
    append(136 * MINUTE, 142 * MINUTE);
    db.close().unwrap();
    (fs, dir)
}

/// All files below `dir`.
fn files(fs: &dyn Fs, dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs.list(dir).unwrap() {
        let path = dir.join(&entry.name);
        match entry.kind {
            FileKind::Dir => found.extend(files(fs, &path)),
            _ => drop(found.insert(path.clone(), fs.read(&path).unwrap())),
        }
    }
    found
}

fn world(files: &BTreeMap<PathBuf, Vec<u8>>) -> Arc<dyn Fs> {
    let fs = SimFs::new(3);
    for (path, bytes) in files {
        fs.create_dir_all(path.parent().unwrap()).unwrap();
        fs.open(path, OpenMode::Create).unwrap().write_all_at(bytes, 0).unwrap();
    }
    Arc::new(fs)
}

/// Samples that only the first and only the second has, and whether one differs. What comes back of
/// the deleted series is not counted.
fn differences(first: (&Arc<dyn Fs>, &str), second: (&Arc<dyn Fs>, &str)) -> (usize, usize, bool) {
    let load = |(fs, dir): (&Arc<dyn Fs>, &str)| {
        let sandbox = Path::new("/sandbox");
        let db = ReadOnlyDb::open(Path::new(dir), Some(sandbox), env(fs.clone())).unwrap();
        db.load(i64::MAX).unwrap()
    };
    let (a, b) = (load(first), load(second));
    let (mut less, mut more, mut other) = (0, 0, false);
    diff((&a, &b), &[], TimeRange::ALL, &mut |difference| match difference {
        Difference::OnlyFirst(_, samples) => less += samples,
        Difference::OnlySecond(_, samples) => more += samples,
        Difference::Samples { labels, samples, .. } => {
            less += samples.iter().filter(|s| s.second.is_none()).count();
            if labels.get("i") != Some("0") {
                more += samples.iter().filter(|s| s.first.is_none()).count();
            }
            other |= samples.iter().any(|s| s.first.is_some() && s.second.is_some());
        }
    })
    .unwrap();
    (less, more, other)
}

fn faults(fs: &Arc<dyn Fs>, dir: &str) -> Vec<String> {
    let mut texts = Vec::new();
    verify(fs, Path::new(dir), &mut |f| {
        if f.severity == crate::verify::Severity::Fault {
            texts.push(f.text.clone());
        }
    })
    .unwrap();
    texts
}

fn check(whole: &Arc<dyn Fs>, damaged: BTreeMap<PathBuf, Vec<u8>>, what: &str) {
    let fs = world(&damaged);
    let before = faults(&fs, DIR);
    let mut said = Vec::new();
    let saved = repair(&fs, Path::new(DIR), Path::new("/new"), &mut |t| said.push(t.to_owned()));
    let saved = saved.unwrap_or_else(|e| panic!("{what}: {e}"));
    assert_eq!(saved.losses as usize, said.iter().filter(|s| s.starts_with("lost: ")).count());
    assert!(before.is_empty() || !said.is_empty(), "{what}: mended without a word: {before:?}");
    assert_eq!(faults(&fs, "/new"), Vec::<String>::new(), "{what}: {said:#?}");
    let (less, more, other) = differences((whole, DIR), (&fs, "/new"));
    assert!(more == 0 && !other, "{what}: {more} samples out of nowhere, {said:#?}");
    assert!(less == 0 || !said.is_empty() || what.contains("cut"), "{what}: {less} lost unsaid");
}

#[test]
fn what_is_whole_stays_as_it_is() {
    let (fs, _) = small();
    let whole = files(&*fs, Path::new(DIR));
    let fs = world(&whole);
    let saved = repair(&fs, Path::new(DIR), Path::new("/new"), &mut |t| panic!("{t}")).unwrap();
    assert!(saved.blocks_copied > 1 && saved.segments_copied > 1 && saved.head_chunk_files > 0);
    let new = files(&*fs, Path::new("/new"));
    for (path, bytes) in &new {
        assert!(&whole[&Path::new(DIR).join(path.strip_prefix("/new").unwrap())] == bytes);
    }
    assert!(matches!(
        repair(&fs, Path::new(DIR), Path::new("/new"), &mut |_| {}),
        Err(super::RepairError::NotEmpty(_))
    ));
}

#[test]
fn damage_anywhere_is_contained() {
    let (fs, _) = small();
    let whole_files = files(&*fs, Path::new(DIR));
    let whole = world(&whole_files);
    let mut random = 88_172_645_463_325_252u64;
    let mut below = |n: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random % n.max(1) as u64) as usize
    };
    for (path, bytes) in &whole_files {
        // A meta that says other times is another block.
        if bytes.is_empty() || path.ends_with("meta.json") || path.ends_with("lock") {
            continue;
        }
        for _ in 0..4 {
            let (at, bit) = (below(bytes.len()), below(8));
            let mut damaged = whole_files.clone();
            damaged.get_mut(path).unwrap()[at] ^= 1 << bit;
            check(&whole, damaged, &format!("{} byte {at} bit {bit}", path.display()));
        }
        let len = below(bytes.len());
        let mut damaged = whole_files.clone();
        damaged.get_mut(path).unwrap().truncate(len);
        check(&whole, damaged, &format!("{} cut to {len}", path.display()));
    }
}

#[test]
fn missing_files_are_contained() {
    let (fs, _) = small();
    let whole_files = files(&*fs, Path::new(DIR));
    let whole = world(&whole_files);
    for path in whole_files.keys().filter(|p| !p.ends_with("meta.json")) {
        let mut damaged = whole_files.clone();
        damaged.remove(path);
        check(&whole, damaged, &format!("cut: {} is missing", path.display()));
    }
}

#[test]
fn one_damaged_chunk_costs_its_samples_only() {
    let (fs, _) = small();
    let whole_files = files(&*fs, Path::new(DIR));
    let whole = world(&whole_files);
    let segments = whole_files.iter().filter(|(p, _)| p.ends_with("chunks/000001"));
    let (chunks, _) = segments.max_by_key(|(_, bytes)| bytes.len()).unwrap();
    let mut damaged = whole_files.clone();
    damaged.get_mut(chunks).unwrap()[20] ^= 1;
    let fs = world(&damaged);
    let mut said = Vec::new();
    repair(&fs, Path::new(DIR), Path::new("/new"), &mut |t| said.push(t.to_owned())).unwrap();
    let (less, more, other) = differences((&whole, DIR), (&fs, "/new"));
    assert!((0..=40).contains(&less) && more == 0 && !other, "{less} {more} {said:#?}");
    assert_eq!(said.len(), 2, "{said:#?}");
    assert!(
        said[0].starts_with("lost: series {__name__=\"h\", i=\"0\"}: samples from "),
        "{said:#?}"
    );
    assert!(said[1].contains("written anew, 9 series"), "{said:#?}");
}
