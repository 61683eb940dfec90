//! Sample records: floats without (type 2) and with start times (type 11).

use model::SeriesRef;

use super::{Base, RecordError, RecordType, put_varint, start};
use crate::encoding::{DecBuf, DecodeError, unzigzag, zigzag};

/// One float sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RefSample {
    pub series: SeriesRef,
    /// Start time in milliseconds, 0 = unknown; always 0 in type 2.
    pub start_t: i64,
    /// Milliseconds since the epoch.
    pub t: i64,
    pub v: f64,
}

/// The two layouts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SamplesVersion {
    /// Type 2: deltas to the first sample, no start times.
    V1,
    /// Type 11: reference deltas to the sample before, start times.
    V2,
}

/// A sample record behind its type byte.
#[derive(Clone, Copy, Debug)]
pub struct SamplesRecord<'a> {
    pub(super) version: SamplesVersion,
    pub(super) body: &'a [u8],
}

/// A sample takes at least three bytes besides its value's eight, two in the old layout.
const MIN_SAMPLE_BYTES: usize = 1 + 1 + 8;

impl SamplesRecord<'_> {
    /// The layout.
    pub fn version(self) -> SamplesVersion {
        self.version
    }

    /// Replaces the content of `out` by the record's samples; an error leaves it empty.
    pub fn decode(self, out: &mut Vec<RefSample>) -> Result<(), RecordError> {
        out.clear();
        if self.body.is_empty() {
            return Ok(());
        }
        out.reserve(self.body.len() / MIN_SAMPLE_BYTES);
        let buf = DecBuf::new(self.body);
        let done = match self.version {
            SamplesVersion::V1 => decode_v1(buf, out),
            SamplesVersion::V2 => decode_v2(buf, out),
        };
        done.map_err(|err| {
            let after = out.len();
            out.clear();
            RecordError::After(after, "samples", err)
        })
    }
}

fn decode_v1(mut buf: DecBuf<'_>, out: &mut Vec<RefSample>) -> Result<(), DecodeError> {
    let base = Base { series: buf.be64()?, t: buf.be64_signed()? };
    while !buf.is_empty() {
        let (series, t) = match short_varints(buf.rest()) {
            Some((series, t, len)) => {
                buf.skip(len)?;
                (series, t)
            }
            None => (buf.varint()?, buf.varint()?),
        };
        let series = SeriesRef(base.series.wrapping_add_signed(series));
        let (t, v) = (base.t.wrapping_add(t), buf.be_f64()?);
        out.push(RefSample { series, start_t: 0, t, v });
    }
    Ok(())
}

/// Two varints of one or two bytes each, as nearly all are, taken out of one load; and how many
/// bytes they are.
#[inline(always)]
fn short_varints(rest: &[u8]) -> Option<(i64, i64, usize)> {
    let word = u64::from_le_bytes(*rest.first_chunk::<8>()?);
    let (first, first_len) = short_varint(word)?;
    let (second, second_len) = short_varint(word >> (8 * first_len))?;
    Some((unzigzag(first), unzigzag(second), (first_len + second_len) as usize))
}

#[inline(always)]
fn short_varint(word: u64) -> Option<(u64, u32)> {
    if word & 0x80 == 0 {
        Some((word & 0x7f, 1))
    } else if word & 0x8000 == 0 {
        Some((word & 0x7f | word >> 1 & 0x3f80, 2))
    } else {
        None
    }
}

fn decode_v2(mut buf: DecBuf<'_>, out: &mut Vec<RefSample>) -> Result<(), DecodeError> {
    let mut series = buf.varint()? as u64;
    let first_t = buf.varint()?;
    let first_start = buf.varint()?;
    let mut start_t = first_start;
    out.push(RefSample { series: SeriesRef(series), start_t, t: first_t, v: buf.be_f64()? });
    while !buf.is_empty() {
        series = series.wrapping_add_signed(buf.varint()?);
        let t = first_t.wrapping_add(buf.varint()?);
        start_t = start::read(&mut buf, start_t, first_start)?;
        out.push(RefSample { series: SeriesRef(series), start_t, t, v: buf.be_f64()? });
    }
    Ok(())
}

/// Appends one sample record to a buffer.
pub struct SamplesEncoder<'o> {
    out: &'o mut Vec<u8>,
    version: SamplesVersion,
    first: Option<RefSample>,
    prev_series: u64,
    prev_start: i64,
}

impl<'o> SamplesEncoder<'o> {
    /// Begins a record at the end of `out`.
    pub fn new(out: &'o mut Vec<u8>, version: SamplesVersion) -> SamplesEncoder<'o> {
        out.push(match version {
            SamplesVersion::V1 => RecordType::Samples,
            SamplesVersion::V2 => RecordType::SamplesV2,
        } as u8);
        SamplesEncoder { out, version, first: None, prev_series: 0, prev_start: 0 }
    }

    /// Whether no sample was added: such a record need not be logged.
    pub fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// Adds a sample. The old layout drops the start time.
    #[inline]
    pub fn push(&mut self, sample: RefSample) {
        match self.version {
            SamplesVersion::V1 => self.push_v1(sample),
            SamplesVersion::V2 => self.push_v2(sample),
        }
    }

    #[inline]
    fn push_v1(&mut self, sample: RefSample) {
        let first = *self.first.get_or_insert_with(|| {
            self.out.extend_from_slice(&sample.series.0.to_be_bytes());
            self.out.extend_from_slice(&sample.t.to_be_bytes());
            sample
        });
        let series = sample.series.0.wrapping_sub(first.series.0) as i64;
        let t = sample.t.wrapping_sub(first.t);
        if self.put_short([series, t], None) {
            self.out.extend_from_slice(&sample.v.to_bits().to_be_bytes());
            return;
        }
        let mut buf = [0; 48];
        let at = put_varint(&mut buf, 0, series);
        let at = put_varint(&mut buf, at, t);
        self.finish(buf, at, sample.v);
    }

    #[inline]
    fn push_v2(&mut self, sample: RefSample) {
        let mut buf = [0; 48];
        let at = match self.first {
            None => {
                self.first = Some(sample);
                let at = put_varint(&mut buf, 0, sample.series.0 as i64);
                let at = put_varint(&mut buf, at, sample.t);
                put_varint(&mut buf, at, sample.start_t)
            }
            Some(first) => {
                let series = sample.series.0.wrapping_sub(self.prev_series) as i64;
                let t = sample.t.wrapping_sub(first.t);
                let marker = start::short(sample.start_t, self.prev_start);
                if marker.is_some() && self.put_short([series, t], marker) {
                    (self.prev_series, self.prev_start) = (sample.series.0, sample.start_t);
                    self.out.extend_from_slice(&sample.v.to_bits().to_be_bytes());
                    return;
                }
                let at = put_varint(&mut buf, 0, series);
                let at = put_varint(&mut buf, at, t);
                start::put(&mut buf, at, sample.start_t, self.prev_start, first.start_t)
            }
        };
        (self.prev_series, self.prev_start) = (sample.series.0, sample.start_t);
        self.finish(buf, at, sample.v);
    }

    /// Appends two varints and a byte in one go, if the varints are short; whether they were.
    #[inline(always)]
    fn put_short(&mut self, [first, second]: [i64; 2], last: Option<u8>) -> bool {
        let (Some(first), Some(second)) = (short_bytes(first), short_bytes(second)) else {
            return false;
        };
        let (mut word, mut len) = (first.0 | second.0 << (8 * first.1), first.1 + second.1);
        if let Some(byte) = last {
            word |= u64::from(byte) << (8 * len);
            len += 1;
        }
        let end = self.out.len() + len as usize;
        self.out.extend_from_slice(&word.to_le_bytes());
        self.out.truncate(end);
        true
    }

    #[inline(always)]
    fn finish(&mut self, mut buf: [u8; 48], at: usize, v: f64) {
        // Three varints take at most thirty bytes.
        buf[at..at + 8].copy_from_slice(&v.to_bits().to_be_bytes());
        self.out.extend_from_slice(&buf[..at + 8]);
    }
}

/// The one or two bytes of a short varint, the first one lowest, and how many they are.
#[inline(always)]
fn short_bytes(v: i64) -> Option<(u64, u32)> {
    let u = zigzag(v);
    if u < 0x80 {
        Some((u, 1))
    } else if u < 0x4000 {
        Some((u & 0x7f | 0x80 | u >> 7 << 8, 2))
    } else {
        None
    }
}
