//! What is right is found right, and damage anywhere is found, named, and never makes us panic.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Finding, fault_of_snapshot, is_snapshot, verify};
use crate::db::HeadSnapshot;
use crate::fs::{Fs, OpenMode, RealFs};
use crate::head::snapshot::kind;
use crate::repair::tests::{small, small_with};
use crate::wal::{Compression, Reader, SegmentRange, SegmentWriter};

fn findings(fs: &Arc<dyn Fs>, dir: &Path) -> (super::Counts, Vec<Finding>) {
    let mut found = Vec::new();
    let counts = verify(fs, dir, &mut |finding| found.push(finding.clone())).unwrap();
    (counts, found)
}

#[test]
fn directories_of_the_real_server_are_without_a_fault() {
    for (name, blocks, samples) in [("killed", 5, 245_120), ("stopped", 3, 436_721), ("xor2", 3, 0)]
    {
        let Some(dir) = testdata::shared(&format!("golden/prometheus-3.14/{name}/data")) else {
            return;
        };
        let fs: Arc<dyn Fs> = Arc::new(RealFs);
        let (counts, found) = findings(&fs, &dir);
        assert_eq!(counts.faults, 0, "{name}: {found:#?}");
        assert_eq!(counts.blocks, blocks, "{name}");
        assert!(samples == 0 || counts.samples == samples, "{name}: {counts}");
        assert!(counts.records > 10 && counts.postings > 50, "{name}: {counts}");
    }
}

#[test]
fn a_small_directory_is_without_a_fault_and_damage_is_named() {
    let (fs, dir) = small();
    let fs: Arc<dyn Fs> = fs;
    let (counts, found) = findings(&fs, dir);
    assert_eq!(counts.faults, 0, "{found:#?}");
    assert!(counts.blocks > 1 && counts.head_chunks > 0 && counts.tombstones > 0, "{counts}");

    let size = |block: &std::path::PathBuf| fs.metadata(&block.join("chunks/000001")).unwrap().len;
    let block = crate::block::list(&*fs, dir).unwrap().into_iter().max_by_key(size).unwrap();
    let damage = |path: &Path, at: u64| {
        let file = fs.open(path, crate::fs::OpenMode::Write).unwrap();
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).unwrap();
        file.write_all_at(&[byte[0] ^ 4], at).unwrap();
        let (_, found) = findings(&fs, dir);
        file.write_all_at(&byte, at).unwrap();
        found.into_iter().map(|f| f.text).collect::<Vec<String>>().join("\n")
    };
    let chunks = block.join("chunks/000001");
    let text = damage(&chunks, 20);
    assert!(
        text.starts_with(&format!(
            "corruption in chunk segment {} at offset 8: checksum mismatch",
            chunks.display()
        )),
        "{text}"
    );
    assert!(text.contains("chunk of series {__name__=\"h\", i=\"0\"}"), "{text}");
    let index = block.join("index");
    let text = damage(&index, 10);
    assert!(
        text.starts_with(&format!(
            "corruption in index {} at offset 5: read symbols: invalid checksum",
            index.display()
        )),
        "{text}"
    );
    let text = damage(&block.join("tombstones"), 6);
    assert!(
        text.contains("tombstones at offset ") && text.contains("checksum did not match"),
        "{text}"
    );
    let text = damage(&dir.join("wal/00000000"), 30);
    assert!(
        text.contains("corruption in segment /data/wal/00000000 at ")
            && text.contains("unexpected checksum"),
        "{text}"
    );
}

/// The snapshot in a small directory, and the directory.
fn snapshot(of: HeadSnapshot) -> (Arc<dyn Fs>, &'static Path, PathBuf) {
    let (fs, dir) = small_with(of);
    let name = fs.list(dir).unwrap().into_iter().find(|e| is_snapshot(&e.name)).unwrap().name;
    (fs, dir, dir.join(name))
}

#[test]
fn every_flipped_bit_of_a_snapshot_is_named() {
    for of in [HeadSnapshot::Own, HeadSnapshot::Prometheus] {
        let (fs, dir, path) = snapshot(of);
        let (counts, found) = findings(&fs, dir);
        assert_eq!((counts.faults, counts.notes), (0, 0), "{found:#?}");
        let name = path.file_name().unwrap().to_str().unwrap();
        let segment = path.join("00000000");
        let len = fs.metadata(&segment).unwrap().len;
        let file = fs.open(&segment, OpenMode::Write).unwrap();
        for at in 0..len {
            let mut byte = [0];
            file.read_exact_at(&mut byte, at).unwrap();
            // The upper bits of the byte a record begins with mean nothing.
            file.write_all_at(&[byte[0] ^ 1 << (at % 3)], at).unwrap();
            let fault = fault_of_snapshot(&fs, dir, name).unwrap_or_default();
            let named = format!("corruption in segment {} at ", segment.display());
            assert!(fault.starts_with(&named), "{of:?} byte {at} of {len}: {fault:?}");
            if at == len / 2 {
                let (counts, found) = findings(&fs, dir);
                assert_eq!((counts.faults, found[0].text.as_str()), (1, fault.as_str()));
            }
            file.write_all_at(&byte, at).unwrap();
        }
    }
}

type Change = fn(&mut Vec<Vec<u8>>);

/// Position of the first record of a kind.
fn first(records: &[Vec<u8>], kind: u8) -> usize {
    records.iter().position(|r| r[0] == kind).unwrap()
}

/// Records whose checksums are right and whose content is not.
#[test]
fn what_a_snapshot_says_is_judged() {
    let own: &[(Change, &str)] = &[
        (|r| drop(r.pop()), ": its end is missing"),
        (|r| drop(r.remove(0)), "at offset 0: records are not in order"),
        (|r| r.insert(1, r[0].clone()), "records are not in order"),
        (|r| r.push(vec![kind::END, 0]), "records are not in order"),
        (|r| r[0][1] = 9, "it is of another version"),
        (|r| drop(r.remove(first(r, kind::NAMES))), "label name 0 is missing"),
        (|r| drop(r.remove(first(r, kind::PAIRS))), ": label 0 is missing"),
        (|r| drop(r.remove(first(r, kind::LABELS))), " has no labels"),
        (|r| drop(r.remove(first(r, kind::STATE))), "unknown series 1"),
        (
            |r| r.retain(|r| ![kind::STATE, 3, 4].contains(&r[0])),
            ": no state of the series at slot 0",
        ),
        (|r| r.insert(3, r[first(r, kind::LABELS)].clone()), "slot 0 is there twice"),
        (|r| r.insert(4, r[first(r, kind::STATE)].clone()), "there twice, or beyond the last"),
        // Place, then hash of the labels.
        (
            |r| {
                let at = first(r, kind::LABELS);
                r[at][3] ^= 1
            },
            "another hash than its labels",
        ),
        // The first reference.
        (
            |r| {
                let at = first(r, kind::STATE);
                r[at][3] += 2
            },
            "has other labels in the log",
        ),
        (
            |r| {
                let at = first(r, kind::STATE);
                r[at][3] = 0
            },
            "series 0 is there twice",
        ),
        // Flags and number of chunks, then the reference of the first.
        (
            |r| {
                let at = first(r, kind::STATE);
                r[at][13] ^= 1
            },
            "of head chunk file 1",
        ),
        (
            |r| {
                let at = first(r, kind::STATE);
                r[at].push(9)
            },
            "invalid size",
        ),
        (|r| *r.last_mut().unwrap() = vec![kind::END, 99], "10 series, header says 10, end 99"),
        (|r| r.insert(1, vec![0x99]), "unsupported snapshot record type"),
    ];
    let prometheus: &[(Change, &str)] = &[
        (|r| r.retain(|r| r[0] != 2), ": its end is missing"),
        (
            |r| {
                let twice = r[0].clone();
                r.insert(1, twice)
            },
            "series 1 is there twice",
        ),
        (
            |r| {
                let late = r.remove(0);
                r.retain(|r| r[0] != 3);
                r.push(late);
            },
            "or behind the tombstones",
        ),
        (|r| r[0][8] += 1, "has other labels in the log"),
        (|r| r[0][8] += 100, "exemplar of unknown series 1"),
        (
            |r| {
                let half = r[0].len() / 2;
                r[0].truncate(half)
            },
            "at offset 0: invalid size",
        ),
        (|r| r[0].push(0), "unexpected bytes left in entry"),
        (
            |r| {
                let stones = r.iter().find(|r| r[0] == 2).unwrap().clone();
                r.push(stones)
            },
            "twice",
        ),
        (
            |r| {
                let at = first(r, 3);
                r[at][8] = 77
            },
            "exemplar of unknown series 77",
        ),
        (|r| r.insert(0, vec![7]), "unsupported snapshot record type"),
    ];
    let all = [(HeadSnapshot::Own, own), (HeadSnapshot::Prometheus, prometheus)];
    for (of, changes) in all {
        let (fs, dir, path) = snapshot(of);
        let range = SegmentRange { dir: path.clone(), first: None, last: None };
        let mut reader = Reader::open(fs.clone(), &[range]).unwrap();
        let mut records: Vec<Vec<u8>> = Vec::new();
        while let Some(entry) = reader.next_entry().unwrap() {
            records.push(entry.record.to_vec());
        }
        for (change, expected) in changes {
            let mut changed = records.clone();
            change(&mut changed);
            fs.remove_dir_all(&path).unwrap();
            let mut out = SegmentWriter::create(&*fs, &path, 1 << 20, Compression::None).unwrap();
            changed.iter().for_each(|record| out.log(record).unwrap());
            out.finish().unwrap();
            let (counts, found) = findings(&fs, dir);
            let text = &found[0].text;
            assert!(text.contains(expected), "{expected:?}: {text}");
            assert!(text.contains(path.to_str().unwrap()), "{text}");
            assert_eq!(counts.faults, 1, "{found:#?}");
        }
    }
}
