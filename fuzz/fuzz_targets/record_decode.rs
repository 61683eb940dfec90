//! A log record of any bytes: decoded or refused, never in part; what is decoded, encoded again,
//! decodes to as many entries.
#![no_main]

use libfuzzer_sys::fuzz_target;
use model::{FloatHistogram, Histogram};
use storage::record::{HistogramBatch, Record, SamplesEncoder};

fuzz_target!(|bytes: &[u8]| {
    match Record::classify(bytes) {
        Record::Series(series) => {
            for entry in series.entries().into_iter().flatten() {
                let labels = entry.labels.to_labels();
                assert!(!entry.labels.is_canonical() || labels.len() == entry.labels.len());
            }
        }
        Record::Samples(samples) => {
            let (mut first, mut again) = (Vec::new(), Vec::new());
            if samples.decode(&mut first).is_err() {
                assert!(first.is_empty());
                return;
            }
            let mut record = Vec::new();
            let mut encoder = SamplesEncoder::new(&mut record, samples.version());
            first.iter().for_each(|sample| encoder.push(*sample));
            let Record::Samples(encoded) = Record::classify(&record) else { unreachable!() };
            assert!(encoded.decode(&mut again).is_ok());
            assert_eq!(first.len(), again.len());
            for (a, b) in first.iter().zip(&again) {
                assert_eq!((a.series, a.start_t, a.t), (b.series, b.start_t, b.t));
                assert_eq!(a.v.to_bits(), b.v.to_bits());
            }
        }
        Record::Tombstones(tombstones) => {
            let _ = tombstones.decode(&mut Vec::new());
        }
        Record::Exemplars(exemplars) => {
            let entries = exemplars.entries().into_iter().flatten();
            entries.for_each(|entry| drop(entry.labels.to_labels()));
        }
        Record::MmapMarkers(markers) => {
            let _ = markers.decode(&mut Vec::new());
        }
        Record::Metadata(metadata) => {
            metadata.entries().into_iter().flatten().for_each(|entry| {
                entry.metric_type();
            });
        }
        Record::Histograms(histograms) => {
            let _ = histograms.decode(&mut HistogramBatch::<Histogram>::default());
        }
        Record::FloatHistograms(histograms) => {
            let _ = histograms.decode(&mut HistogramBatch::<FloatHistogram>::default());
        }
        Record::Unknown => {}
    }
});
