//! The log as its users see it: what is written is read, damage is named as Prometheus names it,
//! repair leaves a log, tailing readers see everything once.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::fs::{Fs, OpenMode, RealFs, SimFs};

const DIR: &str = "/wal";

fn options(segment_pages: u64) -> Options {
    Options {
        segment_size: segment_pages * PAGE_SIZE,
        compression: Compression::None,
        ..Options::default()
    }
}

fn threads() -> Option<Spawn> {
    Some(Arc::new(|_, task| {
        std::thread::spawn(task);
    }))
}

fn all(fs: &Arc<dyn Fs>, dir: &Path) -> Result<Vec<Vec<u8>>, WalError> {
    let mut reader = Reader::replay(fs.clone(), dir)?;
    let mut records = Vec::new();
    while let Some(entry) = reader.next_entry()? {
        records.push(entry.record.to_vec());
    }
    Ok(records)
}

/// A log in memory with three records of 100 bytes each in segment 0.
fn three_records() -> (SimFs, Arc<dyn Fs>) {
    let fs = SimFs::new(1);
    let shared: Arc<dyn Fs> = Arc::new(fs.clone());
    let wal = Wal::open(shared.clone(), Path::new(DIR), options(4)).unwrap();
    for i in 0..3u8 {
        wal.log(&[&[i; 100]]).unwrap();
    }
    wal.close().unwrap();
    (fs, shared)
}

/// Damages segment 0 and compares what reading says, what repair leaves, and that a log goes on
/// behind it.
fn check(damage: impl Fn(&dyn crate::fs::File), reason: &str, left: usize) {
    let (_, fs) = three_records();
    let dir = Path::new(DIR);
    damage(fs.open(&segment_path(dir, 0), OpenMode::Write).unwrap().as_ref());
    let err = all(&fs, dir).unwrap_err();
    assert_eq!(err.to_string(), format!("corruption in segment /wal/00000000 at {reason}"));
    let WalError::Corruption(damage) = err else { unreachable!() };
    repair(fs.as_ref(), dir, &damage).unwrap();
    assert_eq!(all(&fs, dir).unwrap().len(), left);
    let wal = Wal::open(fs.clone(), dir, options(4)).unwrap();
    wal.log(&[b"more"]).unwrap();
    assert_eq!(all(&fs, dir).unwrap().len(), left + 1);
    assert_eq!(wal.last_segment(), 1);
}

#[test]
fn damage_is_named_and_cut_out() {
    let write = |at: u64, bytes: &'static [u8]| {
        move |file: &dyn crate::fs::File| file.write_all_at(bytes, at).unwrap()
    };
    let cut = |len: u64| move |file: &dyn crate::fs::File| file.truncate(len).unwrap();
    check(write(7, b"x"), "107: unexpected checksum a39317f, expected 7cb9ff6", 0);
    check(write(107, b"\x03"), "214: unexpected middle record, dropping buffer", 1);
    check(write(107, b"\x05"), "214: unexpected record type 5", 1);
    check(write(107, b"\x00"), "32768: unexpected non-zero byte in padded page", 1);
    check(write(215, b"\xff\xff"), "221: invalid record size 65535", 2);
    check(write(214, b"\x09"), "321: snappy: corrupt input", 2);
    check(write(214, b"\x02"), "32768: last record is torn", 2);
    check(cut(300), "321: unexpected checksum f1cc0d02, expected 5c068025", 2);
    let hole = "32768: unexpected record behind a page that ends early";
    check(write(2 * PAGE_SIZE, &[1, 0, 0, 0, 0, 0, 0]), hole, 3);
}

#[test]
fn a_short_last_page_is_fine() {
    let (_, fs) = three_records();
    let file = fs.open(&segment_path(Path::new(DIR), 0), OpenMode::Write).unwrap();
    assert_eq!(file.len().unwrap(), 321);
    file.truncate(PAGE_SIZE + 5).unwrap();
    assert_eq!(all(&fs, Path::new(DIR)).unwrap().len(), 3);
}

#[test]
fn damage_elsewhere_is_not_repaired() {
    let (_, fs) = three_records();
    let position = Position { segment: 0, start: 0, end: 7 };
    let damage = position.corruption(Path::new("/wal/checkpoint.00000000"), "bad");
    let err = repair(fs.as_ref(), Path::new(DIR), &damage).unwrap_err();
    let text = "corruption in segment /wal/checkpoint.00000000/00000000 at 7: bad";
    assert_eq!(err.to_string(), text);
}

#[test]
fn records_of_every_size_in_segments_of_every_size() {
    for compression in [Compression::None, Compression::Snappy, Compression::Zstd] {
        for pages in [1, 2, 7] {
            let fs: Arc<dyn Fs> = Arc::new(SimFs::new(1));
            let options = Options { compression, ..options(pages) };
            let wal = Wal::open(fs.clone(), Path::new(DIR), options).unwrap();
            let mut logged: Vec<Vec<u8>> = Vec::new();
            for len in [0, 1, 32_754, 32_761, 32_762, 3, 65_000, 200_000, 12, 32_761, 9_999] {
                logged.push((0..len).map(|i: usize| (i * i / 3 + len) as u8).collect());
            }
            let batch: Vec<&[u8]> = logged.iter().map(Vec::as_slice).collect();
            wal.log(&batch[..4]).unwrap();
            batch[4..].iter().for_each(|record| {
                wal.log(&[record]).unwrap();
            });
            assert!(all(&fs, Path::new(DIR)).unwrap() == logged);
            let segments = segments(fs.as_ref(), Path::new(DIR)).unwrap();
            assert!(segments.len() > 1 || compression != Compression::None);
        }
    }
}

#[test]
fn truncation_leaves_the_current_segment() {
    let fs: Arc<dyn Fs> = Arc::new(SimFs::new(1));
    let wal = Wal::open(fs.clone(), Path::new(DIR), options(1)).unwrap();
    assert_eq!((wal.next_segment().unwrap(), wal.next_segment().unwrap()), (1, 2));
    wal.truncate(1).unwrap();
    let left = || -> Vec<u64> {
        segments(fs.as_ref(), Path::new(DIR)).unwrap().iter().map(|s| s.index).collect()
    };
    assert_eq!(left(), [1, 2]);
    wal.truncate(9).unwrap();
    assert_eq!(left(), [2]);
}

#[test]
fn many_threads_share_a_log() {
    for sync in
        [SyncPolicy::Always, SyncPolicy::Interval(Duration::from_millis(1)), SyncPolicy::Off]
    {
        let dir = tempfile::tempdir().unwrap();
        let fs: Arc<dyn Fs> = Arc::new(RealFs);
        let options = Options { sync, spawn: threads(), ..options(4) };
        let wal = Wal::open(fs.clone(), dir.path(), options).unwrap();
        let mut tail = TailReader::new(&wal, 0);
        std::thread::scope(|scope| {
            for writer in 0..4u8 {
                let wal = &wal;
                scope.spawn(move || {
                    for i in 0..100u8 {
                        let filler = vec![i; usize::from(i) * 40];
                        wal.log(&[&[writer, i], &filler]).unwrap();
                    }
                });
            }
            let mut next = [0u8; 4];
            let mut seen = 0;
            while seen < 800 {
                while let Some(entry) = tail.poll().unwrap() {
                    seen += 1;
                    if let [writer, i] = *entry.record {
                        assert_eq!(next[usize::from(writer)], i);
                        next[usize::from(writer)] += 1;
                    }
                }
                if seen < 800 {
                    tail.wait(Duration::from_secs(10));
                }
            }
        });
        assert_eq!(tail.position(), wal.end());
        assert!(!tail.wait(Duration::ZERO));
        wal.close().unwrap();
        assert!(all(&fs, dir.path()).unwrap().len() == 800);
        assert!(wal.metrics().syncs.total().0 > 0);
    }
}

#[test]
fn a_tailing_reader_sees_records_again_after_a_failed_sync() {
    let fs = SimFs::new(3);
    let shared: Arc<dyn Fs> = Arc::new(fs.clone());
    let wal = Wal::open(shared, Path::new(DIR), options(4)).unwrap();
    let mut tail = TailReader::new(&wal, 0);
    wal.log(&[b"a"]).unwrap();
    wal.sync().unwrap();
    wal.log(&[b"b"]).unwrap();
    let mut seen = Vec::new();
    let read = |tail: &mut TailReader, seen: &mut Vec<u8>| {
        while let Some(entry) = tail.poll().unwrap() {
            seen.extend_from_slice(entry.record);
        }
    };
    read(&mut tail, &mut seen);
    fs.set_faults(crate::fs::sim::Faults { eio_at_sync: Some(0), ..Default::default() });
    wal.sync().unwrap();
    wal.log(&[b"c"]).unwrap();
    read(&mut tail, &mut seen);
    assert_eq!(seen, b"abbc");
    wal.next_segment().unwrap();
    wal.next_segment().unwrap();
    wal.truncate(9).unwrap();
    assert!(matches!(tail.poll(), Err(WalError::SegmentGone { .. })));
}

#[test]
fn reading_from_an_offset() {
    let (_, fs) = three_records();
    let mut reader = Reader::replay_from(fs.clone(), Path::new(DIR), 0, 107).unwrap();
    assert_eq!(reader.remaining(Path::new(DIR)), Some((0, 0)));
    let entry = reader.next_entry().unwrap().unwrap();
    assert_eq!((entry.record[0], entry.position.start, entry.position.end), (1, 107, 214));
    assert_eq!(reader.current(), Some((Path::new(DIR), 0)));
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_a_log_or_damage(bytes in proptest::collection::vec(0u8..8, 0..400), at in 0usize..70_000) {
        let (sim, fs) = three_records();
        let file = fs.open(&segment_path(Path::new(DIR), 0), OpenMode::Write).unwrap();
        file.write_all_at(&bytes, at as u64).unwrap();
        drop(sim);
        while let Err(err) = all(&fs, Path::new(DIR)) {
            let WalError::Corruption(damage) = err else { panic!("{err}") };
            repair(fs.as_ref(), Path::new(DIR), &damage).unwrap();
        }
    }
}
