//! Files of chunks and tombstones on the real and on the simulated file system.
//! Formats: `docs/format/chunks.md`, `head-chunks.md`, `tombstones.md`.

use std::path::Path;
use std::sync::Arc;

use model::columns::HistogramValue;
use model::{Columns, Histogram, SeriesRef, TimeRange};
use proptest::prelude::*;
use storage::chunk::ChunkRef;
use storage::chunkfile::{Reader, Writer};
use storage::fs::{Fs, OpenMode, SimFs};
use storage::headchunks::{HeadChunks, MAGIC};
use storage::tombstones::{self, Intervals, Tombstones};

const DIR: &str = "/data/chunks";

fn range(min: i64, max: i64) -> TimeRange {
    TimeRange { min, max }
}

fn sim() -> Arc<dyn Fs> {
    Arc::new(SimFs::new(1))
}

fn damage(fs: &dyn Fs, path: &Path, offset: u64, bytes: &[u8]) {
    let file = fs.open(path, OpenMode::Write).expect("open");
    file.write_all_at(bytes, offset).expect("write");
}

#[test]
fn segments_are_cut_and_read_back() {
    let fs = sim();
    let mut writer = Writer::new(fs.clone(), Path::new(DIR), 300).expect("new");
    let chunks: Vec<(u8, Vec<u8>)> =
        (0..40u8).map(|i| (i % 6 + 1, vec![i; usize::from(i) * 4])).collect();
    let refs: Vec<ChunkRef> =
        chunks.iter().map(|(e, data)| writer.write(*e, data).expect("write")).collect();
    let segments = writer.finish().expect("finish");
    assert!(segments > 5);
    let reader = Reader::open(&*fs, Path::new(DIR)).expect("open");
    assert_eq!(reader.segments(), segments as usize);
    assert_eq!(reader.size_bytes(), fs.dir_size(Path::new(DIR)).expect("size"));
    for ((encoding, data), at) in chunks.iter().zip(&refs) {
        let chunk = reader.chunk(*at).expect("chunk");
        assert_eq!((chunk.encoding, chunk.data), (*encoding, data.as_slice()));
        assert!(u64::from(chunk.end) <= 300 || at.offset() == 8);
    }
    assert!(refs.is_sorted());
}

#[test]
fn damaged_segments_name_file_and_offset() {
    let fs = sim();
    let mut writer = Writer::new(fs.clone(), Path::new(DIR), 0).expect("new");
    let at = writer.write(1, b"0123456789").expect("write");
    writer.finish().expect("finish");
    let path = Path::new(DIR).join("000001");
    for (at, text) in [
        (ChunkRef::new(0, 9), "corruption in chunk segment /data/chunks/000001 at offset 9: "),
        (ChunkRef::new(0, 900), "doesn't include enough bytes to read the chunk"),
        (ChunkRef::new(7, 8), "segment index 7 out of range"),
    ] {
        let reader = Reader::open(&*fs, Path::new(DIR)).expect("open");
        let error = reader.chunk(at).expect_err("must fail").to_string();
        assert!(error.contains(text), "{error}");
    }
    damage(&*fs, &path, 12, b"X");
    let reader = Reader::open(&*fs, Path::new(DIR)).expect("open");
    let error = reader.chunk(at).expect_err("must fail").to_string();
    assert!(error.contains("at offset 8: checksum mismatch expected:"), "{error}");
    damage(&*fs, &path, 4, &[9]);
    let error = Reader::open(&*fs, Path::new(DIR)).err().expect("must fail").to_string();
    assert!(error.ends_with("at offset 4: invalid chunk format version 9"), "{error}");
    damage(&*fs, &path, 0, &[0]);
    let error = Reader::open(&*fs, Path::new(DIR)).err().expect("must fail").to_string();
    assert!(error.ends_with("at offset 0: invalid magic number bd40dd"), "{error}");
}

/// Writes `n` chunks; sizes vary, one is larger than the buffer.
fn fill(head: &HeadChunks, n: u64) -> Vec<(ChunkRef, SeriesRef, TimeRange, bool, Vec<u8>)> {
    (0..n)
        .map(|i| {
            let size = if i == 7 { 300_000 } else { 2 + i as usize * 37 % 3000 };
            let data = vec![i as u8; size];
            let (series, times, ooo) = (SeriesRef(i + 1), range(-5, i as i64), i % 3 == 0);
            let at = head.write(series, times, 1, ooo, &data).expect("write");
            (at, series, times, ooo, data)
        })
        .collect()
}

#[test]
fn head_chunks_are_read_from_buffer_open_and_sealed_files() {
    let fs = sim();
    let dir = Path::new("/data/chunks_head");
    let head = HeadChunks::open(fs.clone(), dir).expect("open");
    let check = |head: &HeadChunks, written: &[(ChunkRef, SeriesRef, TimeRange, bool, Vec<u8>)]| {
        for (at, series, times, ooo, data) in written {
            let chunk = head.read(*at).expect("read");
            assert_eq!((chunk.series, chunk.range), (*series, *times));
            assert_eq!((chunk.encoding, chunk.out_of_order), (1, *ooo));
            assert!(*chunk.data == data[..]);
        }
    };
    let first = fill(&head, 40);
    check(&head, &first);
    head.flush().expect("flush");
    check(&head, &first);
    head.cut_file();
    let second = fill(&head, 20);
    assert_eq!(second[0].0, ChunkRef::new(2, 8));
    check(&head, &first);
    check(&head, &second);
    head.sync().expect("sync");
    drop(head);

    let head = HeadChunks::open(fs.clone(), dir).expect("open");
    let entries: Vec<_> = head.entries().map(|e| e.expect("entry")).collect();
    let all: Vec<_> = first.iter().chain(&second).collect();
    assert_eq!(entries.len(), all.len());
    for (e, (at, series, times, ooo, data)) in entries.iter().zip(&all) {
        let samples = u16::from_be_bytes([data[0], data[1]]);
        assert_eq!((e.at, e.series, e.range), (*at, *series, *times));
        assert_eq!((e.encoding, e.out_of_order, e.samples), (1, *ooo, samples));
    }
    let kept = head.read(first[0].0).expect("read");
    let third = fill(&head, 1);
    assert_eq!(third[0].0.file(), 3);
    head.truncate(2).expect("truncate");
    assert!(head.read(first[0].0).is_err());
    assert!(*kept.data == first[0].4[..]);
    check(&head, &second);
    check(&head, &third);
    assert_eq!(fill(&head, 1)[0].0.file(), 4);
    assert_eq!(head.last_file(), 4);
}

#[test]
fn tails_and_corruptions_of_head_chunks() {
    let dir = Path::new("/data/chunks_head");
    let path = dir.join("000002");
    let prepared = || {
        let fs = sim();
        let head = HeadChunks::open(fs.clone(), dir).expect("open");
        let first = fill(&head, 3);
        head.cut_file();
        let second = fill(&head, 3);
        head.sync().expect("sync");
        (fs, first, second)
    };
    let count = |fs: &Arc<dyn Fs>| {
        let head = HeadChunks::open(fs.clone(), dir).expect("open");
        head.entries().map(|e| e.map(|_| 1)).sum::<Result<usize, _>>()
    };
    // Zeros behind the last entry, few or many, end the file.
    for zeros in [1, 10, 34, 40, 5000] {
        let (fs, _, _) = prepared();
        let len = fs.metadata(&path).expect("metadata").len;
        damage(&*fs, &path, len, &vec![0; zeros]);
        assert_eq!(count(&fs).ok(), Some(6));
    }
    // Anything else is a corruption of that file.
    let (fs, _, second) = prepared();
    let at = second[1].0;
    damage(&*fs, &path, u64::from(at.offset()) + 30, &[0xee]);
    let error = count(&fs).expect_err("must fail");
    assert_eq!(error.file_number(), Some(2));
    let text = error.to_string();
    let start = format!(
        "corruption in head chunk file /data/chunks_head/000002 at offset {}: checksum mismatch",
        at.offset()
    );
    assert!(text.starts_with(&start), "{text}");
    let head = HeadChunks::open(fs.clone(), dir).expect("open");
    assert!(head.read(at).is_err());
    head.drop_from(2).expect("drop");
    assert_eq!(count(&fs).ok(), Some(3));
    // A torn entry.
    let (fs, _, _) = prepared();
    let file = fs.open(&path, OpenMode::Write).expect("open");
    file.truncate(file.len().expect("len") - 3).expect("truncate");
    assert!(count(&fs).is_err());
    // A last file without content is removed, a gap and a bad header are errors.
    for content in [&[][..], &[0, 0], &[0; 9]] {
        let (fs, _, _) = prepared();
        let last = dir.join("000003");
        fs.open(&last, OpenMode::CreateNew).expect("create");
        damage(&*fs, &last, 0, content);
        assert_eq!(count(&fs).ok(), Some(6));
        assert!(!fs.exists(&last).expect("exists"));
    }
    let (fs, _, _) = prepared();
    fs.rename(&path, &dir.join("000009")).expect("rename");
    let error = HeadChunks::open(fs, dir).err().expect("must fail").to_string();
    assert!(error.contains("unsequential"), "{error}");
    let (fs, _, _) = prepared();
    damage(&*fs, &path, 0, &(MAGIC + 1).to_be_bytes());
    let error = HeadChunks::open(fs.clone(), dir).err().expect("must fail");
    assert_eq!(error.file_number(), Some(2));
    HeadChunks::delete_from(&*fs, dir, 2).expect("delete");
    assert_eq!(count(&fs).ok(), Some(3));
}

#[test]
fn tombstones_come_back() {
    let fs = sim();
    let dir = Path::new("/data/block");
    fs.create_dir_all(dir).expect("mkdir");
    assert_eq!(tombstones::read(&*fs, dir).expect("read"), (Tombstones::new(), 0));
    let mut stones = Tombstones::new();
    for (series, min, max) in [(9, i64::MIN, 5), (2, 10, 20), (2, 21, 30), (2, 40, i64::MAX)] {
        stones.add(series, range(min, max));
    }
    stones.add(4, range(3, 2));
    assert_eq!((stones.total(), stones.get(4)), (3, None));
    let size = tombstones::write(&*fs, dir, &stones).expect("write");
    assert_eq!(tombstones::read(&*fs, dir).expect("read"), (stones, size));
    let path = dir.join("tombstones");
    damage(&*fs, &path, 7, &[0x55]);
    let error = tombstones::read(&*fs, dir).expect_err("must fail").to_string();
    assert!(error.contains("checksum did not match"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn intervals_are_a_set_of_milliseconds(list in proptest::collection::vec((0i64..60, 0i64..12), 0..12)) {
        let intervals: Intervals = list.iter().map(|&(min, len)| range(min, min + len)).collect();
        let ranges = intervals.as_slice();
        prop_assert!(ranges.windows(2).all(|w| w[0].max + 1 < w[1].min));
        let deleted = |t: i64| list.iter().any(|&(min, len)| min <= t && t <= min + len);
        for t in -2..80 {
            prop_assert_eq!(intervals.contains(t), deleted(t));
            for end in t..80 {
                let whole = (t..=end).all(deleted);
                prop_assert_eq!(intervals.covers(range(t, end)), whole);
                prop_assert_eq!(intervals.overlaps(range(t, end)), (t..=end).any(deleted));
            }
        }
        let mut columns = Columns::default();
        columns.push_float(20, 0.0);
        for t in 0..70 {
            if t % 5 == 0 {
                let h = Histogram { count: t as u64, ..Histogram::default() };
                columns.push_histogram(t, HistogramValue::Integer(Box::new(h)));
            } else {
                columns.push_float(t, t as f64);
            }
            columns.set_last_start(t - 1);
        }
        intervals.subtract(&mut columns, 1);
        let kept: Vec<i64> = (0..70).filter(|&t| !deleted(t)).collect();
        prop_assert_eq!(&columns.timestamps[1..], &kept[..]);
        for (i, &t) in kept.iter().enumerate() {
            prop_assert_eq!(columns.start_timestamps[i + 1], t - 1);
            match columns.histogram(i + 1) {
                Some(HistogramValue::Integer(h)) => prop_assert_eq!(h.count, t as u64),
                _ => prop_assert_eq!(columns.floats[i + 1], t as f64),
            }
        }
    }

    #[test]
    fn random_tombstones_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        let _ = tombstones::parse(Path::new("t"), &bytes);
        let _ = tombstones::decode(&bytes);
    }
}
