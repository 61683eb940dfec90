//! The records of a log in the order they are replayed: the last checkpoint, then the segments
//! behind it.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use model::number::go_quote;
use model::{FloatHistogram, Histogram};
use storage::fs::RealFs;
use storage::record::{HistogramBatch, Record, RecordType};
use storage::wal::Reader;

use crate::Failure;
use crate::text::{float_histogram_line, hex, histogram_line};

pub(crate) fn print(out: &mut impl Write, dir: &Path) -> Result<(), Failure> {
    let mut reader = Reader::replay(Arc::new(RealFs), dir)?;
    while let Some(entry) = reader.next_entry()? {
        print_record(out, entry.record)?;
    }
    Ok(())
}

fn print_record(out: &mut impl Write, record: &[u8]) -> Result<(), Failure> {
    writeln!(out, "record {}", RecordType::of(record).map_or("unknown", RecordType::as_str))?;
    match Record::classify(record) {
        Record::Series(series) => {
            for e in series.entries()? {
                writeln!(out, "  {} {}", e.series.0, e.labels.to_labels())?;
            }
        }
        Record::Samples(samples) => {
            let mut entries = Vec::new();
            samples.decode(&mut entries)?;
            for e in entries {
                writeln!(out, "  {} {} {} {}", e.series.0, e.t, e.start_t, hex(e.v))?;
            }
        }
        Record::Tombstones(tombstones) => {
            let mut entries = Vec::new();
            tombstones.decode(&mut entries)?;
            for e in entries {
                writeln!(out, "  {} {} {}", e.series.0, e.min_t, e.max_t)?;
            }
        }
        Record::Exemplars(exemplars) => {
            for e in exemplars.entries()? {
                writeln!(out, "  {} {} {} {}", e.series.0, e.t, hex(e.v), e.labels.to_labels())?;
            }
        }
        Record::MmapMarkers(markers) => {
            let mut entries = Vec::new();
            markers.decode(&mut entries)?;
            for e in entries {
                writeln!(out, "  {} {}", e.series.0, e.chunk)?;
            }
        }
        Record::Metadata(metadata) => {
            for e in metadata.entries()? {
                let (unit, help) = (go_quote(e.unit), go_quote(e.help));
                writeln!(out, "  {} {} {unit} {help}", e.series.0, e.type_number)?;
            }
        }
        Record::Histograms(histograms) => {
            let mut batch = HistogramBatch::<Histogram>::default();
            histograms.decode(&mut batch)?;
            for e in batch.samples() {
                let text = histogram_line(&e.histogram);
                writeln!(out, "  {} {} {} {text}", e.series.0, e.t, e.start_t)?;
            }
        }
        Record::FloatHistograms(histograms) => {
            let mut batch = HistogramBatch::<FloatHistogram>::default();
            histograms.decode(&mut batch)?;
            for e in batch.samples() {
                let text = float_histogram_line(&e.histogram);
                writeln!(out, "  {} {} {} {text}", e.series.0, e.t, e.start_t)?;
            }
        }
        Record::Unknown => return Err(format!("unknown record {:?}", record.first()).into()),
    }
    Ok(())
}
