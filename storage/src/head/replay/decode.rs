//! Decoding ahead: one thread reads and decodes the log while another applies it.
//!
//! What must hold: records come out in log order; from the first corruption on nothing comes out.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use model::columns::HistogramValue;
use model::{Exemplar, FloatHistogram, Histogram, Labels, Metadata};

use crate::record::{
    HistogramBatch, HistogramsRecord, Record, RecordError, RefMmapMarker, RefSample, RefTombstone,
};
use crate::wal::{Reader, WalError};

/// Records decoded ahead at most.
const AHEAD: usize = 16;

/// A new series.
pub(super) struct SeriesEntry {
    pub series_ref: u64,
    pub labels: Labels,
    pub hash: u64,
}

/// A histogram sample.
pub(super) struct HistogramEntry {
    pub series_ref: u64,
    pub t: i64,
    pub start_t: i64,
    pub value: HistogramValue,
}

/// One record.
pub(super) enum Decoded {
    Series(Vec<SeriesEntry>),
    Samples(Vec<RefSample>),
    Histograms(Vec<HistogramEntry>),
    Tombstones(Vec<RefTombstone>),
    Exemplars(Vec<(u64, Exemplar)>),
    Metadata(Vec<(u64, Metadata)>),
    Markers(Vec<RefMmapMarker>),
    /// A segment begins.
    Segment(PathBuf, u64),
}

/// Decodes everything `reader` has and hands it to `apply` on the calling thread.
pub(super) fn run(mut reader: Reader, mut apply: impl FnMut(Decoded)) -> Result<(), WalError> {
    let (send, receive) = sync_channel(AHEAD);
    std::thread::scope(|scope| {
        let decoder = std::thread::Builder::new()
            .name("replay-decode".into())
            .spawn_scoped(scope, move || decode_all(&mut reader, &send));
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

fn decode_all(reader: &mut Reader, send: &SyncSender<Decoded>) -> Result<(), WalError> {
    let mut place: Option<(PathBuf, u64)> = None;
    let mut scratch = Scratch::default();
    while let Some(entry) = reader.next_entry()? {
        let position = entry.position;
        let decoded = scratch.decode(entry.record);
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
    fn decode(&mut self, record: &[u8]) -> Result<Option<Decoded>, RecordError> {
        Ok(Some(match Record::classify(record) {
            Record::Series(r) => Decoded::Series(
                r.entries()?
                    .map(|s| {
                        let labels = s.labels.to_labels();
                        SeriesEntry { series_ref: s.series.0, hash: labels.hash64(), labels }
                    })
                    .collect(),
            ),
            Record::Samples(r) => {
                let mut samples = Vec::new();
                r.decode(&mut samples)?;
                Decoded::Samples(samples)
            }
            Record::Tombstones(r) => {
                let mut stones = Vec::new();
                r.decode(&mut stones)?;
                Decoded::Tombstones(stones)
            }
            Record::Exemplars(r) => Decoded::Exemplars(
                r.entries()?
                    .map(|e| {
                        let exemplar = Exemplar {
                            labels: e.labels.to_labels(),
                            value: e.v,
                            timestamp_ms: e.t,
                            has_timestamp: true,
                        };
                        (e.series.0, exemplar)
                    })
                    .collect(),
            ),
            Record::MmapMarkers(r) => {
                let mut markers = Vec::new();
                r.decode(&mut markers)?;
                Decoded::Markers(markers)
            }
            Record::Metadata(r) => Decoded::Metadata(
                r.entries()?
                    .map(|m| {
                        let metadata = Metadata {
                            metric_type: m.metric_type(),
                            unit: m.unit.to_owned(),
                            help: m.help.to_owned(),
                        };
                        (m.series.0, metadata)
                    })
                    .collect(),
            ),
            Record::Histograms(r) => {
                Self::histograms(r, &mut self.histograms, |h| HistogramValue::Integer(Box::new(h)))?
            }
            Record::FloatHistograms(r) => Self::histograms(r, &mut self.float_histograms, |h| {
                HistogramValue::Float(Box::new(h))
            })?,
            Record::Unknown => return Ok(None),
        }))
    }

    fn histograms<H: crate::record::HistogramPayload>(
        record: HistogramsRecord<'_, H>,
        batch: &mut HistogramBatch<H>,
        value: impl Fn(H) -> HistogramValue,
    ) -> Result<Decoded, RecordError> {
        record.decode(batch)?;
        let take = |s: &mut crate::record::RefHistogram<H>| HistogramEntry {
            series_ref: s.series.0,
            t: s.t,
            start_t: s.start_t,
            value: value(std::mem::take(&mut s.histogram)),
        };
        Ok(Decoded::Histograms(batch.samples_mut().iter_mut().map(take).collect()))
    }
}
