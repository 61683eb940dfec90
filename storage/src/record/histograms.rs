//! Histogram records: types 7 and 9 (integer), 8 and 10 (float), 12 and 13 (with start times).

use std::marker::PhantomData;

use model::SeriesRef;
use model::histogram::CUSTOM_BUCKETS_SCHEMA;

use super::{HistogramPayload, RecordError, put_varint, start};
use crate::encoding::{DecBuf, DecodeError, EncBuf};

/// One histogram sample.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RefHistogram<H> {
    pub series: SeriesRef,
    /// Start time in milliseconds, 0 = unknown.
    pub start_t: i64,
    /// Milliseconds since the epoch.
    pub t: i64,
    pub histogram: H,
}

/// The layouts of histogram records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HistogramKind {
    /// Exponential histograms, deltas to the first sample, no start times.
    Exponential,
    /// The same for custom buckets.
    CustomBuckets,
    /// Both, reference deltas to the sample before, start times.
    V2,
}

impl HistogramKind {
    /// The layout without start times for a histogram of this schema.
    pub fn for_schema(schema: i32) -> HistogramKind {
        match schema {
            CUSTOM_BUCKETS_SCHEMA => HistogramKind::CustomBuckets,
            _ => HistogramKind::Exponential,
        }
    }
}

/// The samples of one record; refilled record by record, the histograms' memory is used again.
#[derive(Clone, Debug)]
pub struct HistogramBatch<H> {
    samples: Vec<RefHistogram<H>>,
    len: usize,
}

impl<H> Default for HistogramBatch<H> {
    fn default() -> HistogramBatch<H> {
        HistogramBatch { samples: Vec::new(), len: 0 }
    }
}

impl<H: Default> HistogramBatch<H> {
    /// The samples, in the order of the record.
    pub fn samples(&self) -> &[RefHistogram<H>] {
        self.samples.get(..self.len).unwrap_or_default()
    }

    /// The samples; histograms may be taken out.
    pub fn samples_mut(&mut self) -> &mut [RefHistogram<H>] {
        self.samples.get_mut(..self.len).unwrap_or_default()
    }

    fn next(&mut self) -> &mut RefHistogram<H> {
        if self.len == self.samples.len() {
            self.samples.push(RefHistogram::default());
        }
        self.len += 1;
        &mut self.samples[self.len - 1]
    }
}

/// A histogram record behind its type byte.
#[derive(Debug)]
pub struct HistogramsRecord<'a, H> {
    kind: HistogramKind,
    body: &'a [u8],
    histogram: PhantomData<fn() -> H>,
}

impl<H> Clone for HistogramsRecord<'_, H> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<H> Copy for HistogramsRecord<'_, H> {}

impl<'a, H: HistogramPayload> HistogramsRecord<'a, H> {
    pub(super) fn new(kind: HistogramKind, body: &'a [u8]) -> HistogramsRecord<'a, H> {
        HistogramsRecord { kind, body, histogram: PhantomData }
    }

    /// The layout.
    pub fn kind(&self) -> HistogramKind {
        self.kind
    }

    /// Replaces the content of `out` by the record's samples, as they stand there: schemas this
    /// version cannot store are for the caller to reduce or pass over. An error leaves it empty.
    pub fn decode(&self, out: &mut HistogramBatch<H>) -> Result<(), RecordError> {
        out.len = 0;
        if self.body.is_empty() {
            return Ok(());
        }
        let buf = DecBuf::new(self.body);
        let done = match self.kind {
            HistogramKind::V2 => decode_v2(buf, out),
            _ => decode_v1(buf, out),
        };
        done.map_err(|err| {
            // The last one was begun, not finished.
            let after = out.len.saturating_sub(1);
            out.len = 0;
            RecordError::After(after, "histograms", err)
        })
    }
}

fn decode_v1<H: HistogramPayload>(
    mut buf: DecBuf<'_>,
    out: &mut HistogramBatch<H>,
) -> Result<(), DecodeError> {
    let (base_series, base_t) = (buf.be64()?, buf.be64_signed()?);
    while !buf.is_empty() {
        let sample = out.next();
        sample.series = SeriesRef(base_series.wrapping_add_signed(buf.varint()?));
        sample.t = base_t.wrapping_add(buf.varint()?);
        sample.start_t = 0;
        sample.histogram.read(&mut buf)?;
    }
    Ok(())
}

fn decode_v2<H: HistogramPayload>(
    mut buf: DecBuf<'_>,
    out: &mut HistogramBatch<H>,
) -> Result<(), DecodeError> {
    let mut series = buf.varint()? as u64;
    let (first_t, first_start) = (buf.varint()?, buf.varint()?);
    let (mut t, mut start_t) = (first_t, first_start);
    // A record that ends here holds no histogram.
    while !buf.is_empty() {
        if out.len > 0 {
            series = series.wrapping_add_signed(buf.varint()?);
            t = first_t.wrapping_add(buf.varint()?);
            start_t = start::read(&mut buf, start_t, first_start)?;
        }
        let sample = out.next();
        (sample.series, sample.start_t, sample.t) = (SeriesRef(series), start_t, t);
        sample.histogram.read(&mut buf)?;
    }
    Ok(())
}

#[derive(Clone, Copy)]
struct First {
    series: u64,
    start_t: i64,
    t: i64,
}

/// Appends one histogram record to a buffer.
pub struct HistogramsEncoder<'o, H> {
    out: &'o mut Vec<u8>,
    kind: HistogramKind,
    first: Option<First>,
    prev_series: u64,
    prev_start: i64,
    histogram: PhantomData<H>,
}

impl<'o, H: HistogramPayload> HistogramsEncoder<'o, H> {
    /// Begins a record at the end of `out`.
    pub fn new(out: &'o mut Vec<u8>, kind: HistogramKind) -> HistogramsEncoder<'o, H> {
        out.push(match kind {
            HistogramKind::Exponential => H::EXPONENTIAL,
            HistogramKind::CustomBuckets => H::CUSTOM_BUCKETS,
            HistogramKind::V2 => H::V2,
        } as u8);
        HistogramsEncoder {
            out,
            kind,
            first: None,
            prev_series: 0,
            prev_start: 0,
            histogram: PhantomData,
        }
    }

    /// Whether no sample was added: such a record need not be logged.
    pub fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// Adds a sample. The layouts without start times drop the start time; their histogram must
    /// have a schema of the record's kind.
    pub fn push(&mut self, series: SeriesRef, start_t: i64, t: i64, histogram: &H) {
        debug_assert!(
            self.kind == HistogramKind::V2
                || self.kind == HistogramKind::for_schema(histogram.schema()),
            "a histogram of the record's kind"
        );
        match self.kind {
            HistogramKind::V2 => self.put_head_v2(First { series: series.0, start_t, t }),
            _ => self.put_head_v1(First { series: series.0, start_t: 0, t }),
        }
        histogram.put(self.out);
    }

    fn put_head_v1(&mut self, sample: First) {
        let first = *self.first.get_or_insert_with(|| {
            self.out.put_be64(sample.series);
            self.out.put_be64_signed(sample.t);
            sample
        });
        self.out.put_varint(sample.series.wrapping_sub(first.series) as i64);
        self.out.put_varint(sample.t.wrapping_sub(first.t));
    }

    fn put_head_v2(&mut self, sample: First) {
        let mut buf = [0; 48];
        let at = match self.first {
            None => {
                self.first = Some(sample);
                let at = put_varint(&mut buf, 0, sample.series as i64);
                let at = put_varint(&mut buf, at, sample.t);
                put_varint(&mut buf, at, sample.start_t)
            }
            Some(first) => {
                let delta = sample.series.wrapping_sub(self.prev_series) as i64;
                let at = put_varint(&mut buf, 0, delta);
                let at = put_varint(&mut buf, at, sample.t.wrapping_sub(first.t));
                start::put(&mut buf, at, sample.start_t, self.prev_start, first.start_t)
            }
        };
        (self.prev_series, self.prev_start) = (sample.series, sample.start_t);
        self.out.put_bytes(&buf[..at]);
    }
}
