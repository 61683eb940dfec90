//! Logs: what a start makes of the records of a log, against a model of what they mean.

use std::collections::BTreeMap;

use model::{Histogram, SeriesRef};
use proptest::prelude::*;

use super::*;
use crate::record::{
    HistogramKind, HistogramsEncoder, RefSample, RefTombstone, SamplesEncoder, SamplesVersion,
    SeriesEncoder, TombstonesEncoder,
};
use crate::wal::{Compression, SegmentWriter};
/// A later Prometheus may log finer histograms than this one keeps, and schemas nobody knows yet.
#[test]
fn replayed_histograms_are_reduced_to_what_is_kept() {
    let fs = SimFs::new(1);
    let dir = Path::new(DIR).join("wal");
    let mut out = SegmentWriter::create(&fs, &dir, 1 << 20, Compression::Snappy).unwrap();
    let mut record = Vec::new();
    let labels = labels_of(1);
    SeriesEncoder::new(&mut record).push(SeriesRef(1), labels.len(), labels.iter());
    out.log(&record).unwrap();
    record.clear();
    let mut encoder = HistogramsEncoder::new(&mut record, HistogramKind::Exponential);
    for (t, schema) in [(1, 8), (2, 10), (3, 60), (4, 52)] {
        encoder.push(SeriesRef(1), 0, T0 + t, &Histogram { schema, ..histogram(3) });
    }
    out.log(&record).unwrap();
    out.finish().unwrap();
    let db = start(&fs, HeadSnapshot::Own);
    let (_, columns) = dump(&db, TimeRange::ALL).remove(0);
    assert_eq!(columns.timestamps, [T0 + 1, T0 + 2, T0 + 4]);
    for h in &columns.histograms {
        let h = h.value.to_float();
        assert_eq!((h.schema, h.count), (8, 9.0));
    }
}

/// A record of a log, over a few series and refs.
#[derive(Clone, Debug)]
enum Logged {
    Series(Vec<(u64, u8)>),
    Samples(Vec<(u64, i64)>),
    Deleted(u64, i64, i64),
    Removed(u64),
}

fn logged() -> impl Strategy<Value = Logged> {
    let pairs = proptest::collection::vec((1u64..600, 0u8..40), 1..40);
    let samples = proptest::collection::vec((1u64..600, 0i64..100_000), 1..300);
    prop_oneof![
        4 => pairs.prop_map(Logged::Series),
        8 => samples.prop_map(Logged::Samples),
        1 => (1u64..600, 0i64..50_000, 0i64..9_000).prop_map(|(r, t, d)| Logged::Deleted(r, t, t + d)),
        1 => (1u64..600).prop_map(Logged::Removed),
    ]
}

fn labels_of(l: u8) -> Labels {
    Labels::from_pairs([("__name__", format!("n{}", l % 3)), ("l", l.to_string())])
}

/// What a log means, record by record.
#[derive(Default)]
struct Model {
    /// By ref: the series, and the number it had when the ref was bound to it.
    refs: BTreeMap<u64, (u8, u32)>,
    /// By labels: lives so far, and samples if it lives.
    series: BTreeMap<u8, (u32, BTreeMap<i64, u64>)>,
    lives: u32,
    deleted: Vec<(u8, u32, i64, i64)>,
}

impl Model {
    fn live(&mut self, series_ref: u64) -> Option<(u8, u32)> {
        let (l, life) = *self.refs.get(&series_ref)?;
        self.series.get(&l).filter(|s| s.0 == life).map(|_| (l, life))
    }

    fn apply(&mut self, record: &Logged) {
        match record {
            Logged::Series(all) => {
                for &(series_ref, l) in all {
                    if !self.series.contains_key(&l) {
                        self.lives += 1;
                        self.series.insert(l, (self.lives, BTreeMap::new()));
                    }
                    self.refs.insert(series_ref, (l, self.series[&l].0));
                }
            }
            Logged::Samples(all) => {
                for &(series_ref, t) in all {
                    let Some((l, _)) = self.live(series_ref) else { continue };
                    let Some((_, samples)) = self.series.get_mut(&l) else { continue };
                    if samples.last_key_value().is_none_or(|(last, _)| t > *last) {
                        samples.insert(t, series_ref);
                    }
                }
            }
            Logged::Deleted(series_ref, min, max) => {
                if let Some((l, life)) = self.live(*series_ref) {
                    self.deleted.push((l, life, *min, *max));
                }
            }
            Logged::Removed(series_ref) => {
                if let Some((l, _)) = self.live(*series_ref) {
                    self.series.remove(&l);
                }
            }
        }
    }
}

/// Refs of a log are never used for two series: a ref keeps the labels it is first seen with.
fn sane(records: Vec<Logged>) -> Vec<Logged> {
    let mut bound: BTreeMap<u64, u8> = BTreeMap::new();
    let fix = |record| match record {
        Logged::Series(all) => {
            let all = all.into_iter().map(|(r, l)| (r, *bound.entry(r).or_insert(l)));
            Logged::Series(all.collect())
        }
        other => other,
    };
    records.into_iter().map(fix).collect()
}

fn write_log(fs: &SimFs, records: &[Logged]) {
    let dir = Path::new(DIR).join("wal");
    let mut out = SegmentWriter::create(fs, &dir, 1 << 20, Compression::Snappy).unwrap();
    for record in records {
        let mut bytes = Vec::new();
        match record {
            Logged::Series(all) => {
                let mut encoder = SeriesEncoder::new(&mut bytes);
                for &(series_ref, l) in all {
                    let labels = labels_of(l);
                    encoder.push(SeriesRef(series_ref), labels.len(), labels.iter());
                }
            }
            Logged::Samples(all) => {
                let mut encoder = SamplesEncoder::new(&mut bytes, SamplesVersion::V1);
                for &(r, t) in all {
                    let series = SeriesRef(r);
                    encoder.push(RefSample { series, start_t: 0, t, v: r as f64 });
                }
            }
            Logged::Deleted(series_ref, min_t, max_t) => {
                let (series, min_t, max_t) = (SeriesRef(*series_ref), *min_t, *max_t);
                TombstonesEncoder::new(&mut bytes).push(RefTombstone { series, min_t, max_t });
            }
            Logged::Removed(series_ref) => {
                let (series, min_t, max_t) = (SeriesRef(*series_ref), i64::MIN, i64::MAX);
                TombstonesEncoder::new(&mut bytes).push(RefTombstone { series, min_t, max_t });
            }
        }
        out.log(&bytes).unwrap();
    }
    out.finish().unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    /// Series, refs and tombstones in log order, samples on threads: as one record after the other.
    #[test]
    fn replay_means_what_the_log_says(records in proptest::collection::vec(logged(), 1..40)) {
        let records = sane(records);
        let fs = SimFs::new(1);
        write_log(&fs, &records);
        let mut model = Model::default();
        records.iter().for_each(|record| model.apply(record));
        let mut want: Vec<(Labels, Vec<(i64, f64)>)> = Vec::new();
        for (l, (life, samples)) in &model.series {
            let gone = |t: i64| model.deleted.iter().any(|(dl, dlife, min, max)| {
                (dl, dlife) == (l, life) && (*min..=*max).contains(&t)
            });
            let left = samples.iter().filter(|(t, _)| !gone(**t)).map(|(t, r)| (*t, *r as f64));
            let left: Vec<_> = left.collect();
            if !left.is_empty() {
                want.push((labels_of(*l), left));
            }
        }
        want.sort_by(|a, b| a.0.cmp(&b.0));
        let db = start(&fs, HeadSnapshot::Own);
        let got: Vec<(Labels, Vec<(i64, f64)>)> = dump(&db, TimeRange::ALL)
            .into_iter()
            .map(|(labels, c)| (labels, c.timestamps.into_iter().zip(c.floats).collect()))
            .collect();
        prop_assert_eq!(&got, &want);
        prop_assert_eq!(db.head_metrics().series.get(), model.series.len() as u64);
        // And the snapshot of it.
        db.close().unwrap();
        let db = start(&fs, HeadSnapshot::Own);
        prop_assert_eq!(db.head_metrics().snapshot_loads.get(), 1);
        let again = dump(&db, TimeRange::ALL);
        let again: Vec<(Labels, Vec<(i64, f64)>)> = again
            .into_iter()
            .map(|(labels, c)| (labels, c.timestamps.into_iter().zip(c.floats).collect()))
            .collect();
        prop_assert_eq!(again, want);
    }
}
