//! Every family: what is encoded decodes to the same, and no bytes make a decoder panic.

use model::{CounterResetHint, FloatHistogram, Histogram, MetricType, SeriesRef, Span};
use proptest::prelude::*;

use super::*;

/// Decodes a record and encodes it again; `None` when it does not decode or is unknown.
pub(crate) fn reencode(record: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    match Record::classify(record) {
        Record::Series(series) => {
            let mut encoder = SeriesEncoder::new(&mut out);
            for s in series.entries().ok()? {
                encoder.push(s.series, s.labels.len(), s.labels.iter());
            }
        }
        Record::Samples(samples) => {
            let mut decoded = Vec::new();
            samples.decode(&mut decoded).ok()?;
            let mut encoder = SamplesEncoder::new(&mut out, samples.version());
            decoded.into_iter().for_each(|s| encoder.push(s));
        }
        Record::Tombstones(tombstones) => {
            let mut decoded = Vec::new();
            tombstones.decode(&mut decoded).ok()?;
            let mut encoder = TombstonesEncoder::new(&mut out);
            decoded.into_iter().for_each(|t| encoder.push(t));
        }
        Record::Exemplars(exemplars) => {
            let mut encoder = ExemplarsEncoder::new(&mut out);
            for e in exemplars.entries().ok()? {
                encoder.push(e.series, e.t, e.v, e.labels.len(), e.labels.iter());
            }
        }
        Record::MmapMarkers(markers) => {
            let mut decoded = Vec::new();
            markers.decode(&mut decoded).ok()?;
            let mut encoder = MmapMarkersEncoder::new(&mut out);
            decoded.into_iter().for_each(|m| encoder.push(m));
        }
        Record::Metadata(metadata) => {
            let mut encoder = MetadataEncoder::new(&mut out);
            metadata.entries().ok()?.for_each(|m| encoder.push(m));
        }
        Record::Histograms(histograms) => reencode_histograms(histograms, &mut out)?,
        Record::FloatHistograms(histograms) => reencode_histograms(histograms, &mut out)?,
        Record::Unknown => return None,
    }
    Some(out)
}

fn reencode_histograms<H: HistogramPayload>(
    record: HistogramsRecord<'_, H>,
    out: &mut Vec<u8>,
) -> Option<()> {
    let mut batch = HistogramBatch::default();
    record.decode(&mut batch).ok()?;
    let mut encoder = HistogramsEncoder::new(out, record.kind());
    for s in batch.samples() {
        // Only a hostile record has a schema that its type does not hold.
        if record.kind() != HistogramKind::V2
            && record.kind() != HistogramKind::for_schema(s.histogram.schema())
        {
            return None;
        }
        encoder.push(s.series, s.start_t, s.t, &s.histogram);
    }
    Some(())
}

fn integer(schema: i32) -> Histogram {
    Histogram {
        counter_reset_hint: CounterResetHint::NotReset,
        schema,
        zero_threshold: 0.001,
        zero_count: 300,
        count: 1 << 40,
        sum: -1.5,
        positive_spans: vec![Span { offset: -7, length: 2 }, Span { offset: 200, length: 1 }],
        negative_spans: vec![Span { offset: 0, length: 1 }],
        positive_buckets: vec![5, -4, 1 << 33],
        negative_buckets: vec![1],
        custom_values: if schema == -53 { vec![0.5, 2.0] } else { Vec::new() },
    }
}

/// One sample record of each version, in bytes worked out by hand from the format.
#[test]
fn samples_have_the_bytes_of_the_format() {
    let samples = [(1u64, 0, 100, 1.0), (3, 50, 115, 2.0), (2, 50, 90, 3.0)];
    let encode = |version| {
        let mut out = Vec::new();
        let mut encoder = SamplesEncoder::new(&mut out, version);
        for (series, start_t, t, v) in samples {
            encoder.push(RefSample { series: SeriesRef(series), start_t, t, v });
        }
        out
    };
    let floats = [1.0f64, 2.0, 3.0].map(|v| v.to_bits().to_be_bytes());
    let [one, two, three] = floats.each_ref().map(|b| &b[..]);
    let v1 = [
        &[2, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 100, 0, 0][..],
        one,
        &[4, 30],
        two,
        &[2, 19],
        three,
    ];
    assert_eq!(encode(SamplesVersion::V1), v1.concat());
    let v2 = [&[11, 2, 200, 1, 0][..], one, &[4, 30, 2, 100], two, &[1, 19, 1], three];
    assert_eq!(encode(SamplesVersion::V2), v2.concat());
}

fn any_sample() -> impl Strategy<Value = RefSample> {
    (any::<u64>(), prop_oneof![Just(0), Just(7), any::<i64>()], any::<i64>(), any::<u64>())
        .prop_map(|(series, start_t, t, v)| RefSample {
            series: SeriesRef(series),
            start_t,
            t,
            v: f64::from_bits(v),
        })
}

proptest! {
    #[test]
    fn samples_come_back(samples in proptest::collection::vec(any_sample(), 0..20)) {
        for version in [SamplesVersion::V1, SamplesVersion::V2] {
            let mut out = Vec::new();
            let mut encoder = SamplesEncoder::new(&mut out, version);
            prop_assert!(encoder.is_empty());
            samples.iter().for_each(|s| encoder.push(*s));
            let mut back = Vec::new();
            let Record::Samples(record) = Record::classify(&out) else { unreachable!() };
            record.decode(&mut back).unwrap();
            prop_assert_eq!(back.len(), samples.len());
            for (a, b) in samples.iter().zip(&back) {
                prop_assert_eq!((a.series, a.t, a.v.to_bits()), (b.series, b.t, b.v.to_bits()));
                let start_t = if version == SamplesVersion::V1 { 0 } else { a.start_t };
                prop_assert_eq!(b.start_t, start_t);
            }
        }
    }

    #[test]
    fn any_bytes_decode_or_not(kind in 0u8..16, mut bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        bytes.insert(0, kind);
        let _ = reencode(&bytes);
    }

    #[test]
    fn a_damaged_record_does_not_panic(at in 0usize..400, byte in any::<u8>(), cut in 0usize..400) {
        for mut record in examples() {
            let place = at % record.len();
            record[place] = byte;
            record.truncate(record.len() - cut % record.len());
            let _ = reencode(&record);
        }
    }
}

/// A record of every type.
pub(crate) fn examples() -> Vec<Vec<u8>> {
    let mut records = Vec::new();
    let mut add = |fill: &dyn Fn(&mut Vec<u8>)| {
        let mut out = Vec::new();
        fill(&mut out);
        records.push(out);
    };
    let labels = [("__name__", "up"), ("job", "π")];
    add(&|out| {
        let mut encoder = SeriesEncoder::new(out);
        encoder.push(SeriesRef(1), 2, labels);
        encoder.push(SeriesRef(1 << 40), 0, []);
    });
    for version in [SamplesVersion::V1, SamplesVersion::V2] {
        add(&|out| {
            let mut encoder = SamplesEncoder::new(out, version);
            for i in 0..5 {
                let (series, t) = (SeriesRef(100 - i), 1_700_000_000_000 + i as i64);
                encoder.push(RefSample { series, start_t: i as i64 / 2, t, v: i as f64 });
            }
        });
    }
    add(&|out| {
        let mut encoder = TombstonesEncoder::new(out);
        encoder.push(RefTombstone { series: SeriesRef(9), min_t: i64::MIN, max_t: -5 });
    });
    add(&|out| {
        let mut encoder = ExemplarsEncoder::new(out);
        encoder.push(SeriesRef(7), 100, 0.5, 1, [("trace_id", "abc")]);
        encoder.push(SeriesRef(3), 90, f64::NAN, 0, []);
    });
    add(&|out| {
        MmapMarkersEncoder::new(out).push(RefMmapMarker { series: SeriesRef(4), chunk: 1 << 33 });
    });
    add(&|out| {
        let mut encoder = MetadataEncoder::new(out);
        let type_number = MetricType::Histogram as u8;
        let entry = RefMetadata { series: SeriesRef(300), type_number, unit: "s", help: "Zeit" };
        assert_eq!(entry.metric_type(), MetricType::Histogram);
        encoder.push(entry);
    });
    for (kind, schema) in [
        (HistogramKind::Exponential, 3),
        (HistogramKind::CustomBuckets, -53),
        (HistogramKind::V2, -4),
        (HistogramKind::V2, -53),
    ] {
        add(&|out| {
            let mut encoder = HistogramsEncoder::<Histogram>::new(out, kind);
            encoder.push(SeriesRef(5), 3, 100, &integer(schema));
            encoder.push(SeriesRef(4), 3, 99, &integer(schema));
        });
        add(&|out| {
            let mut encoder = HistogramsEncoder::<FloatHistogram>::new(out, kind);
            encoder.push(SeriesRef(5), 0, 100, &integer(schema).to_float());
            encoder.push(SeriesRef(8), 0, 101, &FloatHistogram { schema, ..Default::default() });
        });
    }
    records
}

#[test]
fn every_type_comes_back() {
    let mut seen: Vec<_> = examples()
        .iter()
        .map(|record| {
            assert_eq!(reencode(record).as_ref(), Some(record));
            RecordType::of(record).unwrap()
        })
        .collect();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen, RecordType::ALL);
}

#[test]
fn unknown_types_and_hostile_labels() {
    for record in [&[][..], &[0], &[14, 1, 2], &[255]] {
        assert!(matches!(Record::classify(record), Record::Unknown));
    }
    // Unsorted, with an empty value: still a record, and never an unsorted label set.
    let mut out = Vec::new();
    SeriesEncoder::new(&mut out).push(SeriesRef(1), 3, [("b", "1"), ("a", "2"), ("c", "")]);
    let Record::Series(series) = Record::classify(&out) else { unreachable!() };
    let labels = series.entries().unwrap().next().unwrap().labels;
    assert!(!labels.is_canonical());
    assert_eq!(labels.to_labels().to_string(), r#"{a="2", b="1"}"#);
}

#[test]
fn errors_say_how_far_it_went() {
    let check = |record: Vec<u8>, expected: &str| {
        let err = match Record::classify(&record) {
            Record::Series(r) => r.entries().map(|_| ()),
            Record::Samples(r) => r.decode(&mut Vec::new()),
            Record::Exemplars(r) => r.entries().map(|_| ()),
            Record::Histograms(r) => r.decode(&mut HistogramBatch::default()),
            Record::MmapMarkers(r) => r.decode(&mut Vec::new()),
            _ => Ok(()),
        };
        assert_eq!(err.unwrap_err().to_string(), expected);
    };
    let cut = |kind: RecordType| {
        let mut record = examples().into_iter().find(|r| RecordType::of(r) == Some(kind)).unwrap();
        record.pop();
        record
    };
    let size = "invalid size";
    check(cut(RecordType::Series), size);
    check(cut(RecordType::Samples), &format!("decode error after 4 samples: {size}"));
    check(cut(RecordType::SamplesV2), &format!("decode error after 4 samples: {size}"));
    check(cut(RecordType::Exemplars), &format!("decode error after 1 exemplars: {size}"));
    check(cut(RecordType::HistogramSamples), &format!("decode error after 1 histograms: {size}"));
    check(cut(RecordType::MmapMarkers), &format!("decode error after 0 mmap markers: {size}"));
}
