//! RecordBuffer: the records of one commit, encoded one after another into a buffer that is kept.

use std::sync::Arc;

use model::columns::HistogramValue;
use model::{AppendError, Exemplar, FloatHistogram, Histogram, Labels, Metadata, SeriesRef};

use super::batch::{StagedFloat, StagedHistogram};
use super::metrics::HeadMetrics;
use super::ooo::OooLog;
use super::{Head, lock};
use crate::record::{
    ExemplarsEncoder, HistogramKind, HistogramsEncoder, MetadataEncoder, RefMetadata,
    SamplesEncoder, SamplesVersion, SeriesEncoder,
};
use crate::wal::{LogPosition, Prepared, Wal, WalError};

/// A buffer larger than this is not kept for the next commit.
const KEEP_BYTES: usize = 4 << 20;

/// Encoded records.
#[derive(Debug, Default)]
pub(crate) struct RecordBuffer {
    bytes: Vec<u8>,
    /// End of each record.
    ends: Vec<usize>,
}

impl RecordBuffer {
    /// Empties the buffer.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(KEEP_BYTES);
        self.ends.clear();
    }

    /// The records in order.
    pub fn records(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| &self.bytes[start..end])
    }

    fn end(&mut self) {
        self.ends.push(self.bytes.len());
    }

    /// New series.
    pub fn series<'l>(&mut self, series: impl ExactSizeIterator<Item = (u64, &'l Labels)>) {
        if series.len() == 0 {
            return;
        }
        let mut encoder = SeriesEncoder::new(&mut self.bytes);
        for (series_ref, labels) in series {
            encoder.push(SeriesRef(series_ref), labels.len(), labels.iter());
        }
        self.end();
    }

    /// Float samples.
    pub fn floats(&mut self, floats: &[StagedFloat], start_timestamps: bool) {
        if floats.is_empty() {
            return;
        }
        let version = if start_timestamps { SamplesVersion::V2 } else { SamplesVersion::V1 };
        self.bytes.reserve(floats.len() * 16);
        let mut encoder = SamplesEncoder::new(&mut self.bytes, version);
        floats.iter().for_each(|f| encoder.push(f.sample));
        self.end();
    }

    /// Histogram samples, integer before float, each with standard before custom buckets.
    pub fn histograms(&mut self, staged: &[StagedHistogram], start_timestamps: bool) {
        if staged.is_empty() {
            return;
        }
        let kinds = if start_timestamps {
            &[HistogramKind::V2][..]
        } else {
            &[HistogramKind::Exponential, HistogramKind::CustomBuckets][..]
        };
        for &kind in kinds {
            self.histograms_of::<Histogram>(staged, kind, |v| match v {
                HistogramValue::Integer(h) => Some((h, h.schema)),
                HistogramValue::Float(_) => None,
            });
        }
        for &kind in kinds {
            self.histograms_of::<FloatHistogram>(staged, kind, |v| match v {
                HistogramValue::Float(h) => Some((h, h.schema)),
                HistogramValue::Integer(_) => None,
            });
        }
    }

    fn histograms_of<H: crate::record::HistogramPayload>(
        &mut self,
        staged: &[StagedHistogram],
        kind: HistogramKind,
        of: impl for<'v> Fn(&'v HistogramValue) -> Option<(&'v H, i32)>,
    ) {
        let fits = |schema| kind == HistogramKind::V2 || kind == HistogramKind::for_schema(schema);
        let before = self.bytes.len();
        let mut encoder = HistogramsEncoder::<H>::new(&mut self.bytes, kind);
        for s in staged {
            if let Some((h, schema)) = of(&s.value)
                && fits(schema)
            {
                encoder.push(SeriesRef(s.series_ref), s.start_t, s.t, h);
            }
        }
        if encoder.is_empty() {
            self.bytes.truncate(before);
        } else {
            self.end();
        }
    }

    /// Exemplars.
    pub fn exemplars(&mut self, exemplars: &[(u64, Exemplar)]) {
        if exemplars.is_empty() {
            return;
        }
        let mut encoder = ExemplarsEncoder::new(&mut self.bytes);
        for (series_ref, e) in exemplars {
            let labels = &e.labels;
            let series = SeriesRef(*series_ref);
            encoder.push(series, e.timestamp_ms, e.value, labels.len(), labels.iter());
        }
        self.end();
    }

    /// Changed metadata.
    pub fn metadata(&mut self, metadata: &[(u64, Metadata)]) {
        if metadata.is_empty() {
            return;
        }
        let mut encoder = MetadataEncoder::new(&mut self.bytes);
        for (series_ref, m) in metadata {
            encoder.push(RefMetadata {
                series: SeriesRef(*series_ref),
                type_number: m.metric_type as u8,
                unit: &m.unit,
                help: &m.help,
            });
        }
        self.end();
    }
}

/// How far a log must be durable before a commit is acknowledged.
pub(crate) type LoggedAt = Option<(Arc<Wal>, LogPosition)>;

/// A commit that is in the logs and in memory.
#[derive(Default)]
pub(crate) struct Logged {
    pub wal: LoggedAt,
    pub wbl: LoggedAt,
}

impl Logged {
    /// Logs the records of a commit.
    pub fn append(
        wal: Option<Arc<Wal>>,
        prepared: Option<Prepared<'_>>,
    ) -> Result<Logged, AppendError> {
        let mut logged = Logged::default();
        if let (Some(wal), Some(prepared)) = (wal, prepared.filter(|p| !p.is_empty())) {
            let position = wal.append(prepared).map_err(failed)?;
            logged.wal = Some((wal, position));
        }
        Ok(logged)
    }

    /// Waits until it is as durable as promised; no lock is held. What is not has been applied all
    /// the same: it is not acknowledged, and sending it again changes nothing.
    pub fn settle(self, metrics: &HeadMetrics) -> Result<(), AppendError> {
        let settled = self.wal.map_or(Ok(()), |(wal, at)| wal.settle(at).map_err(failed));
        if let Some((wbl, at)) = self.wbl {
            // As with a failed write, see `Head::log_ooo`.
            metrics.wbl_writes_failed.add(u64::from(wbl.settle(at).is_err()));
        }
        settled
    }
}

fn failed(error: WalError) -> AppendError {
    AppendError::Storage(format!("write to WAL: {error}"))
}

/// Record buffers that are kept: more commits at once than this are rare.
const KEEP_BUFFERS: usize = 16;

impl Head {
    pub(super) fn take_buffer(&self) -> RecordBuffer {
        lock(&self.buffers).pop().unwrap_or_default()
    }

    pub(super) fn give_buffer(&self, mut buffer: RecordBuffer) {
        buffer.clear();
        let mut kept = lock(&self.buffers);
        if kept.len() < KEEP_BUFFERS {
            kept.push(buffer);
        }
    }

    /// Notes late samples in their log. They are in memory already, so a failure is no error of the
    /// commit; they are lost only if the process ends before a block is cut from them.
    pub(super) fn log_ooo(&self, log: OooLog) -> LoggedAt {
        if let Some((min, max)) = log.range {
            self.extend_late(min, max);
        }
        let wbl = self.wbl().filter(|_| !log.is_empty())?;
        let records = log.records(self.options.start_timestamps);
        match wbl.append(wbl.prepare(records.iter().map(Vec::as_slice))) {
            Ok(at) => Some((wbl, at)),
            Err(_) => {
                self.metrics.wbl_writes_failed.add(1);
                None
            }
        }
    }
}
