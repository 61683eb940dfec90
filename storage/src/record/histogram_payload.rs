//! HistogramPayload: the bytes of one histogram inside a record, integer or float. Head snapshots
//! use the same bytes.
//!
//! Layout: counter reset hint (1 byte), schema (varint), zero threshold, zero count, count, sum,
//! positive and negative spans (count, then offset varint and length uvarint each), positive and
//! negative buckets (count, then the numbers); custom bounds at the end for schema -53 alone.
//! Integer histograms have counts as uvarints and bucket deltas as varints, float ones have floats.

use model::histogram::CUSTOM_BUCKETS_SCHEMA;
use model::{CounterResetHint, FloatHistogram, Histogram, Span};

use super::RecordType;
use crate::encoding::{DecBuf, DecodeError, EncBuf};

/// A kind of histogram that records hold.
pub trait HistogramPayload: Default {
    /// Record type of exponential histograms without start times.
    const EXPONENTIAL: RecordType;
    /// Record type of custom-bucket histograms without start times.
    const CUSTOM_BUCKETS: RecordType;
    /// Record type of either with start times.
    const V2: RecordType;

    /// The resolution; -53 means custom buckets.
    fn schema(&self) -> i32;

    /// Appends the histogram.
    fn put(&self, out: &mut Vec<u8>);

    /// Takes a histogram off the front of `buf`, into the memory this one has.
    fn read(&mut self, buf: &mut DecBuf<'_>) -> Result<(), DecodeError>;
}

impl HistogramPayload for Histogram {
    const EXPONENTIAL: RecordType = RecordType::HistogramSamples;
    const CUSTOM_BUCKETS: RecordType = RecordType::CustomBucketsHistogramSamples;
    const V2: RecordType = RecordType::HistogramSamplesV2;

    fn schema(&self) -> i32 {
        self.schema
    }

    fn put(&self, out: &mut Vec<u8>) {
        out.put_u8(hint_number(self.counter_reset_hint));
        out.put_varint(i64::from(self.schema));
        out.put_be_f64(self.zero_threshold);
        out.put_uvarint(self.zero_count);
        out.put_uvarint(self.count);
        out.put_be_f64(self.sum);
        put_spans(out, &self.positive_spans);
        put_spans(out, &self.negative_spans);
        for buckets in [&self.positive_buckets, &self.negative_buckets] {
            out.put_uvarint(buckets.len() as u64);
            buckets.iter().for_each(|delta| out.put_varint(*delta));
        }
        if self.schema == CUSTOM_BUCKETS_SCHEMA {
            put_floats(out, &self.custom_values);
        }
    }

    fn read(&mut self, buf: &mut DecBuf<'_>) -> Result<(), DecodeError> {
        self.counter_reset_hint = hint(buf.u8()?);
        self.schema = buf.varint()? as i32;
        self.zero_threshold = buf.be_f64()?;
        self.zero_count = buf.uvarint()?;
        self.count = buf.uvarint()?;
        self.sum = buf.be_f64()?;
        read_spans(buf, &mut self.positive_spans)?;
        read_spans(buf, &mut self.negative_spans)?;
        for buckets in [&mut self.positive_buckets, &mut self.negative_buckets] {
            read_list(buf, buckets, DecBuf::varint)?;
        }
        self.custom_values.clear();
        if self.schema == CUSTOM_BUCKETS_SCHEMA {
            read_list(buf, &mut self.custom_values, DecBuf::be_f64)?;
        }
        Ok(())
    }
}

impl HistogramPayload for FloatHistogram {
    const EXPONENTIAL: RecordType = RecordType::FloatHistogramSamples;
    const CUSTOM_BUCKETS: RecordType = RecordType::CustomBucketsFloatHistogramSamples;
    const V2: RecordType = RecordType::FloatHistogramSamplesV2;

    fn schema(&self) -> i32 {
        self.schema
    }

    fn put(&self, out: &mut Vec<u8>) {
        out.put_u8(hint_number(self.counter_reset_hint));
        out.put_varint(i64::from(self.schema));
        for v in [self.zero_threshold, self.zero_count, self.count, self.sum] {
            out.put_be_f64(v);
        }
        put_spans(out, &self.positive_spans);
        put_spans(out, &self.negative_spans);
        put_floats(out, &self.positive_buckets);
        put_floats(out, &self.negative_buckets);
        if self.schema == CUSTOM_BUCKETS_SCHEMA {
            put_floats(out, &self.custom_values);
        }
    }

    fn read(&mut self, buf: &mut DecBuf<'_>) -> Result<(), DecodeError> {
        self.counter_reset_hint = hint(buf.u8()?);
        self.schema = buf.varint()? as i32;
        self.zero_threshold = buf.be_f64()?;
        self.zero_count = buf.be_f64()?;
        self.count = buf.be_f64()?;
        self.sum = buf.be_f64()?;
        read_spans(buf, &mut self.positive_spans)?;
        read_spans(buf, &mut self.negative_spans)?;
        for buckets in [&mut self.positive_buckets, &mut self.negative_buckets] {
            read_list(buf, buckets, DecBuf::be_f64)?;
        }
        self.custom_values.clear();
        if self.schema == CUSTOM_BUCKETS_SCHEMA {
            read_list(buf, &mut self.custom_values, DecBuf::be_f64)?;
        }
        Ok(())
    }
}

fn hint_number(hint: CounterResetHint) -> u8 {
    match hint {
        CounterResetHint::Unknown => 0,
        CounterResetHint::Reset => 1,
        CounterResetHint::NotReset => 2,
        CounterResetHint::Gauge => 3,
    }
}

/// Numbers of other versions count as unknown, which is always right.
fn hint(number: u8) -> CounterResetHint {
    match number {
        1 => CounterResetHint::Reset,
        2 => CounterResetHint::NotReset,
        3 => CounterResetHint::Gauge,
        _ => CounterResetHint::Unknown,
    }
}

fn put_spans(out: &mut Vec<u8>, spans: &[Span]) {
    out.put_uvarint(spans.len() as u64);
    for span in spans {
        out.put_varint(i64::from(span.offset));
        out.put_uvarint(u64::from(span.length));
    }
}

fn put_floats(out: &mut Vec<u8>, values: &[f64]) {
    out.put_uvarint(values.len() as u64);
    values.iter().for_each(|v| out.put_be_f64(*v));
}

fn read_spans(buf: &mut DecBuf<'_>, spans: &mut Vec<Span>) -> Result<(), DecodeError> {
    read_list(buf, spans, |buf| {
        let offset = i32::try_from(buf.varint()?).map_err(|_| DecodeError::InvalidSize)?;
        Ok(Span { offset, length: buf.uvarint32()? })
    })
}

/// A count and that many items. Grows with what is read, never by the count alone.
fn read_list<'a, T>(
    buf: &mut DecBuf<'a>,
    list: &mut Vec<T>,
    mut read: impl FnMut(&mut DecBuf<'a>) -> Result<T, DecodeError>,
) -> Result<(), DecodeError> {
    list.clear();
    let count = buf.uvarint_usize()?;
    // Every item takes at least one byte.
    list.reserve_exact(count.min(buf.len()).min(1024));
    for _ in 0..count {
        list.push(read(buf)?);
    }
    Ok(())
}
