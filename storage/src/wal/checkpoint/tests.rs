//! What a checkpoint keeps and drops, and that one being made never counts.

use super::super::{Options, Wal};
use super::*;
use crate::fs::SimFs;
use crate::fs::sim::Faults;
use crate::record::{LabelPairs, RefSeries, SamplesVersion};

const DIR: &str = "/wal";

fn series(refs: &[u64]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = SeriesEncoder::new(&mut out);
    refs.iter().for_each(|r| encoder.push(SeriesRef(*r), 1, [("a", "b")]));
    out
}

fn samples(version: SamplesVersion, samples: &[(u64, i64)]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = SamplesEncoder::new(&mut out, version);
    for (series, t) in samples {
        encoder.push(RefSample { series: SeriesRef(*series), start_t: 0, t: *t, v: 1.0 });
    }
    out
}

fn tombstones(tombstones: &[(u64, i64)]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = TombstonesEncoder::new(&mut out);
    for (series, max_t) in tombstones {
        let series = SeriesRef(*series);
        encoder.push(RefTombstone { series, min_t: 0, max_t: *max_t });
    }
    out
}

fn exemplars(exemplars: &[(u64, i64)]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = ExemplarsEncoder::new(&mut out);
    exemplars.iter().for_each(|(s, t)| encoder.push(SeriesRef(*s), *t, 0.5, 1, [("id", "x")]));
    out
}

fn metadata(entries: &[(u64, &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = MetadataEncoder::new(&mut out);
    for (series, help) in entries {
        encoder.push(RefMetadata { series: SeriesRef(*series), type_number: 1, unit: "", help });
    }
    out
}

fn histograms(times: &[i64]) -> Vec<u8> {
    let mut out = Vec::new();
    let kind = crate::record::HistogramKind::V2;
    let mut encoder = HistogramsEncoder::<Histogram>::new(&mut out, kind);
    times.iter().for_each(|t| encoder.push(SeriesRef(1), 0, *t, &Histogram::default()));
    out
}

/// A log whose segments hold one record each, and one empty segment behind them.
fn log(records: &[Vec<u8>]) -> (SimFs, Arc<dyn Fs>) {
    let sim = SimFs::new(1);
    let fs: Arc<dyn Fs> = Arc::new(sim.clone());
    let wal = Wal::open(fs.clone(), Path::new(DIR), Options::default()).unwrap();
    for record in records {
        wal.log(&[record]).unwrap();
        wal.next_segment().unwrap();
    }
    wal.close().unwrap();
    (sim, fs)
}

fn contents(fs: &Arc<dyn Fs>) -> Vec<Vec<u8>> {
    let dir = last(fs.as_ref(), Path::new(DIR)).unwrap().unwrap().dir;
    let range = SegmentRange { dir, first: None, last: None };
    let mut reader = Reader::open(fs.clone(), &[range]).unwrap();
    let mut records = Vec::new();
    while let Some(entry) = reader.next_entry().unwrap() {
        records.push(entry.record.to_vec());
    }
    records
}

fn make(fs: &Arc<dyn Fs>, from: u64, to: u64) -> Result<CheckpointStats, WalError> {
    let keep = Keep { series: &|series| series.0 != 9, min_t: 100 };
    create(fs, Path::new(DIR), (from, to), &keep, Compression::Snappy)
}

#[test]
fn keeps_what_is_needed() {
    let (v1, v2) = (SamplesVersion::V1, SamplesVersion::V2);
    let records = [
        series(&[1, 9, 2]),
        series(&[9]),
        samples(v1, &[(1, 99), (2, 100), (9, 150)]),
        samples(v2, &[(1, 50), (1, 120)]),
        samples(v1, &[(1, 3)]),
        tombstones(&[(1, 99), (2, 100), (9, 500)]),
        exemplars(&[(1, 99), (1, 101)]),
        metadata(&[(2, "old"), (9, "gone"), (1, "one")]),
        metadata(&[(2, "new")]),
        histograms(&[99, 100, 101]),
        vec![200, 1, 2],
    ];
    let (_, fs) = log(&records);
    let stats = make(&fs, 0, 10).unwrap();
    let counts = |total, dropped| Counts { total, dropped };
    assert_eq!(
        stats,
        CheckpointStats {
            series: counts(4, 2),
            samples: counts(9, 4),
            tombstones: counts(3, 2),
            exemplars: counts(2, 1),
            metadata: counts(4, 2),
        }
    );
    let expected = [
        series(&[1, 2]),
        samples(v1, &[(2, 100), (9, 150)]),
        samples(v2, &[(1, 120)]),
        tombstones(&[(2, 100)]),
        exemplars(&[(1, 101)]),
        histograms(&[100, 101]),
        metadata(&[(1, "one"), (2, "new")]),
    ];
    assert_eq!(contents(&fs), expected);
    let labels: Vec<_> = match Record::classify(&expected[0]) {
        Record::Series(series) => series.entries().unwrap().map(|RefSeries { labels, .. }| labels),
        _ => unreachable!(),
    }
    .map(|labels: LabelPairs<'_>| labels.to_labels().to_string())
    .collect();
    assert_eq!(labels, [r#"{a="b"}"#; 2]);
}

#[test]
fn the_next_one_takes_the_last_one_over() {
    let v1 = SamplesVersion::V1;
    let (_, fs) = log(&[series(&[1]), samples(v1, &[(1, 200)]), samples(v1, &[(1, 300)])]);
    make(&fs, 0, 0).unwrap();
    make(&fs, 0, 1).unwrap();
    assert_eq!(contents(&fs), [series(&[1]), samples(v1, &[(1, 200)])]);
    let listed = |fs: &Arc<dyn Fs>| -> Vec<u64> {
        list(fs.as_ref(), Path::new(DIR)).unwrap().iter().map(|c| c.index).collect()
    };
    assert_eq!(listed(&fs), [0, 1]);
    delete_before(fs.as_ref(), Path::new(DIR), 1).unwrap();
    assert_eq!(listed(&fs), [1]);
    let gap = make(&fs, 3, 3).unwrap_err().to_string();
    assert_eq!(gap, "unexpected gap to last checkpoint. expected:2, requested:3");
}

#[test]
fn a_file_in_its_place_is_an_error() {
    let (_, fs) = log(&[series(&[1])]);
    fs.open(&Path::new(DIR).join("checkpoint.00000007"), crate::fs::OpenMode::Create).unwrap();
    let err = last(fs.as_ref(), Path::new(DIR)).unwrap_err();
    assert_eq!(err.to_string(), "checkpoint checkpoint.00000007 is not a directory");
}

#[test]
fn a_record_that_makes_no_sense_stops_it() {
    let (_, fs) = log(&[vec![1, 0, 0]]);
    let err = make(&fs, 0, 0).unwrap_err().to_string();
    assert_eq!(err, "corruption in segment /wal/00000000 at 10: invalid size");
    assert_eq!(last(fs.as_ref(), Path::new(DIR)).unwrap(), None);
}

/// Wherever the power goes while a checkpoint is made and the segments it covers are removed,
/// nothing that is needed is missing afterwards.
#[test]
fn crashes_leave_the_log_or_the_checkpoint() {
    let v1 = SamplesVersion::V1;
    let records = [series(&[1]), samples(v1, &[(1, 200)]), samples(v1, &[(1, 300)])];
    let mut made = 0;
    for call in 0..60 {
        for seed in 0..10 {
            let (sim, fs) = log(&records);
            let wal = Wal::open(fs.clone(), Path::new(DIR), Options::default()).unwrap();
            sim.set_faults(Faults { crash_at_call: Some(call), ..Faults::default() });
            let done = make(&fs, 0, 1).and_then(|_| wal.truncate(2));
            made += u32::from(done.is_ok());
            let after: Arc<dyn Fs> = Arc::new(sim.crash(seed));
            delete_temporary(after.as_ref(), Path::new(DIR)).unwrap();
            let mut reader = Reader::replay(after, Path::new(DIR)).unwrap();
            let mut found = Vec::new();
            while let Some(entry) = reader.next_entry().unwrap() {
                found.push(entry.record.to_vec());
            }
            assert_eq!(found, records, "call {call} seed {seed}");
        }
    }
    assert!(made > 10);
}
