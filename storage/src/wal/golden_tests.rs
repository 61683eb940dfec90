//! Logs that Prometheus 3.14 wrote: every one reads to its end, every record comes back from its
//! decoded form byte by byte, and so does the framing.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::page::frame;
use super::*;
use crate::fs::{Fs, RealFs};
use crate::record::RecordType;

/// Reads a log; counts its records by type.
fn read(mut reader: Reader, counts: &mut BTreeMap<RecordType, u64>) {
    while let Some(entry) = reader.next_entry().unwrap() {
        let kind = RecordType::of(entry.record).unwrap();
        assert!(
            crate::record::reencode(entry.record).as_deref() == Some(entry.record),
            "a {} record at {:?}",
            kind.as_str(),
            entry.position,
        );
        *counts.entry(kind).or_default() += 1;
    }
}

/// Every segment of a directory, framed again from its records, is the same file (but for zeros at
/// its end).
fn frames_again(dir: &Path) {
    for segment in segments(&RealFs, dir).unwrap() {
        let file = RealFs.read(&dir.join(&segment.name)).unwrap();
        let range = SegmentRange {
            dir: dir.to_owned(),
            first: Some(segment.index),
            last: Some(segment.index),
        };
        let mut reader = Reader::open(Arc::new(RealFs), &[range]).unwrap();
        let mut again = Vec::new();
        while let Some(raw) = reader.next_raw().unwrap() {
            assert_eq!(again.len() as u64, raw.position.start);
            frame(&mut again, 0, raw.data, raw.compression.flags());
        }
        let (framed, padding) = file.split_at(again.len());
        assert!(framed == again && padding.iter().all(|b| *b == 0), "{}", segment.name);
    }
}

#[test]
fn reads_what_prometheus_wrote() {
    let Some(golden) = testdata::shared("golden/prometheus-3.14") else { return };
    let mut counts = BTreeMap::new();
    let fs: Arc<dyn Fs> = Arc::new(RealFs);
    let mut logs = 0;
    for case in fs.list(&golden).unwrap().into_iter().filter(|e| e.kind == crate::fs::FileKind::Dir)
    {
        let data = golden.join(case.name).join("data");
        for log in fs.list(&data).unwrap() {
            let dir = data.join(&log.name);
            if log.name != "wal" && log.name != "wbl" {
                continue;
            }
            logs += 1;
            read(Reader::replay(fs.clone(), &dir).unwrap(), &mut counts);
            frames_again(&dir);
            for checkpoint in checkpoint::list(fs.as_ref(), &dir).unwrap() {
                frames_again(&checkpoint.dir);
            }
        }
    }
    assert_eq!(logs, 6);
    // All types but exemplars and metadata are in there.
    let missing = [RecordType::Exemplars, RecordType::Metadata];
    assert_eq!(counts.len(), 13 - missing.len());
    assert!(missing.iter().all(|kind| !counts.contains_key(kind)));
}
