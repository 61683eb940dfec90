//! Decoding ahead: one thread reads and decodes the log while another applies it.
//!
//! What must hold: records come out in log order; from the first corruption on nothing comes out.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use model::columns::HistogramValue;
use model::histogram::CUSTOM_BUCKETS_SCHEMA;
use model::{Exemplar, FloatHistogram, Histogram, Metadata};

use super::pool::Pool;
use crate::record::{
    HistogramBatch, HistogramPayload, HistogramsRecord, Record, RecordError, RefHistogram,
    RefMmapMarker, RefSample, RefTombstone, SeriesBatch,
};
use crate::wal::{Reader, WalError};

/// Records decoded ahead at most.
const AHEAD: usize = 16;
/// The schemas that mean something, custom buckets aside; those that are too fine are reduced.
const KNOWN_SCHEMAS: std::ops::RangeInclusive<i32> = -9..=52;

/// A histogram sample.
pub(super) struct HistogramEntry {
    pub series_ref: u64,
    pub t: i64,
    pub start_t: i64,
    pub value: HistogramValue,
}

/// One record.
pub(super) enum Decoded {
    Series(SeriesBatch),
    Samples(Vec<RefSample>),
    Histograms(Vec<HistogramEntry>),
    Tombstones(Vec<RefTombstone>),
    Exemplars(Vec<(u64, Exemplar)>),
    Metadata(Vec<(u64, Metadata)>),
    Markers(Vec<RefMmapMarker>),
    /// A segment begins.
    Segment(PathBuf, u64),
}

/// Memory of records that were applied, for those to come.
#[derive(Default)]
pub(super) struct Spent {
    pub series: Pool<SeriesBatch>,
    pub samples: Pool<Vec<RefSample>>,
}

/// Decodes everything `reader` has and hands it to `apply` on the calling thread.
pub(super) fn run(
    mut reader: Reader,
    spent: &Spent,
    mut apply: impl FnMut(Decoded),
) -> Result<(), WalError> {
    let (send, receive) = sync_channel(AHEAD);
    std::thread::scope(|scope| {
        let decoder = std::thread::Builder::new()
            .name("replay-decode".into())
            .spawn_scoped(scope, move || decode_all(&mut reader, spent, &send));
        let decoder = match decoder {
            Ok(decoder) => decoder,
            Err(error) => {
                let path = PathBuf::from("replay-decode");
                return Err(WalError::Io { operation: "spawn", path, source: error });
            }
        };
        drain(&receive, &mut apply);
        match decoder.join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

fn drain(receive: &Receiver<Decoded>, apply: &mut impl FnMut(Decoded)) {
    while let Ok(decoded) = receive.recv() {
        apply(decoded);
    }
}

fn decode_all(
    reader: &mut Reader,
    spent: &Spent,
    send: &SyncSender<Decoded>,
) -> Result<(), WalError> {
    let mut place: Option<(PathBuf, u64)> = None;
    let mut scratch = Scratch::default();
    while let Some(entry) = reader.next_entry()? {
        let position = entry.position;
        let decoded = scratch.decode(entry.record, spent);
        let Some((dir, segment)) = reader.current() else { continue };
        if place.as_ref().is_none_or(|(d, s)| d != dir || *s != segment) {
            place = Some((dir.to_owned(), segment));
            if send.send(Decoded::Segment(dir.to_owned(), segment)).is_err() {
                return Ok(());
            }
        }
        match decoded {
            Ok(Some(decoded)) => {
                if send.send(decoded).is_err() {
                    return Ok(());
                }
            }
            Ok(None) => {}
            Err(error) => return Err(corrupt(&position, dir, &error).into()),
        }
    }
    Ok(())
}

fn corrupt(
    position: &crate::wal::Position,
    dir: &Path,
    error: &RecordError,
) -> crate::wal::CorruptionError {
    position.corruption(dir, error)
}

#[derive(Default)]
struct Scratch {
    histograms: HistogramBatch<Histogram>,
    float_histograms: HistogramBatch<FloatHistogram>,
}

impl Scratch {
    fn decode(&mut self, record: &[u8], spent: &Spent) -> Result<Option<Decoded>, RecordError> {
        Ok(Some(match Record::classify(record) {
            Record::Series(r) => {
                let mut batch = spent.series.take();
                r.decode(&mut batch)?;
                Decoded::Series(batch)
            }
            Record::Samples(r) => {
                let mut samples = spent.samples.take();
                r.decode(&mut samples)?;
                Decoded::Samples(samples)
            }
            Record::Tombstones(r) => {
                let mut stones = Vec::new();
                r.decode(&mut stones)?;
                Decoded::Tombstones(stones)
            }
            Record::Exemplars(r) => Decoded::Exemplars(exemplars(r)?),
            Record::MmapMarkers(r) => {
                let mut markers = Vec::new();
                r.decode(&mut markers)?;
                Decoded::Markers(markers)
            }
            Record::Metadata(r) => Decoded::Metadata(metadata(r)?),
            Record::Histograms(r) => {
                Decoded::Histograms(histograms(r, &mut self.histograms, |mut h| {
                    h.reduce_to_kept_schema();
                    HistogramValue::Integer(Box::new(h))
                })?)
            }
            Record::FloatHistograms(r) => {
                Decoded::Histograms(histograms(r, &mut self.float_histograms, |mut h| {
                    h.reduce_to_kept_schema();
                    HistogramValue::Float(Box::new(h))
                })?)
            }
            Record::Unknown => return Ok(None),
        }))
    }
}

/// The exemplars of a record.
pub(in crate::head) fn exemplars(
    record: crate::record::ExemplarsRecord<'_>,
) -> Result<Vec<(u64, Exemplar)>, RecordError> {
    let entries = record.entries()?.map(|e| {
        let exemplar = Exemplar {
            labels: e.labels.to_labels(),
            value: e.v,
            timestamp_ms: e.t,
            has_timestamp: true,
        };
        (e.series.0, exemplar)
    });
    Ok(entries.collect())
}

/// The metadata of a record.
pub(in crate::head) fn metadata(
    record: crate::record::MetadataRecord<'_>,
) -> Result<Vec<(u64, Metadata)>, RecordError> {
    let entries = record.entries()?.map(|m| {
        let metadata = Metadata {
            metric_type: m.metric_type(),
            unit: m.unit.to_owned(),
            help: m.help.to_owned(),
        };
        (m.series.0, metadata)
    });
    Ok(entries.collect())
}

/// The histograms of a record. As in Prometheus those with a schema nobody knows are passed over.
fn histograms<H: HistogramPayload>(
    record: HistogramsRecord<'_, H>,
    batch: &mut HistogramBatch<H>,
    value: impl Fn(H) -> HistogramValue,
) -> Result<Vec<HistogramEntry>, RecordError> {
    record.decode(batch)?;
    let known = |s: &&mut RefHistogram<H>| {
        let schema = s.histogram.schema();
        schema == CUSTOM_BUCKETS_SCHEMA || KNOWN_SCHEMAS.contains(&schema)
    };
    let take = |s: &mut RefHistogram<H>| HistogramEntry {
        series_ref: s.series.0,
        t: s.t,
        start_t: s.start_t,
        value: value(std::mem::take(&mut s.histogram)),
    };
    Ok(batch.samples_mut().iter_mut().filter(known).map(take).collect())
}
