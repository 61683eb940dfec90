//! Layout: what all histograms of one chunk share (schema, zero threshold, spans, custom bounds),
//! written once in front of the first sample. Layout in `docs/format/chunk-encodings.md`.

use model::Span;
use model::histogram::CUSTOM_BUCKETS_SCHEMA;

use super::ChunkError;
use crate::encoding::{BitReader, BitSink, varbit};

/// Schemas a chunk may hold beside custom bounds: those in use and those set aside.
const KNOWN_SCHEMAS: std::ops::RangeInclusive<i64> = -9..=52;
/// Byte of a zero threshold that is not a small power of two.
const RAW_THRESHOLD: u64 = 255;
/// What a biased exponent exceeds its threshold byte by.
const THRESHOLD_BIAS: u64 = 779;
/// Thousandths of the largest custom bound in short form.
const MAX_SHORT_BOUND: f64 = 33_554_430.0;

/// The shared part of a chunk's histograms.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Layout {
    pub(super) schema: i32,
    pub(super) zero_threshold: f64,
    pub(super) positive_spans: Vec<Span>,
    pub(super) negative_spans: Vec<Span>,
    pub(super) custom_values: Vec<f64>,
}

impl Layout {
    /// Appends the layout.
    pub(super) fn write<S: BitSink>(&self, sink: &mut S) {
        write_zero_threshold(sink, self.zero_threshold);
        varbit::put_int(sink, i64::from(self.schema));
        for spans in [&self.positive_spans, &self.negative_spans] {
            varbit::put_uint(sink, spans.len() as u64);
            for span in spans {
                varbit::put_uint(sink, u64::from(span.length));
                varbit::put_int(sink, i64::from(span.offset));
            }
        }
        if self.schema == CUSTOM_BUCKETS_SCHEMA {
            varbit::put_uint(sink, self.custom_values.len() as u64);
            for &bound in &self.custom_values {
                write_bound(sink, bound);
            }
        }
    }

    /// Reads a layout of a known schema.
    pub(super) fn read(r: &mut BitReader<'_>) -> Result<Layout, ChunkError> {
        let zero_threshold = read_zero_threshold(r)?;
        let schema = varbit::read_int(r)?;
        let positive_spans = read_spans(r)?;
        let negative_spans = read_spans(r)?;
        let custom = schema == i64::from(CUSTOM_BUCKETS_SCHEMA);
        if !custom && !KNOWN_SCHEMAS.contains(&schema) {
            return Err(ChunkError::UnknownSchema(schema));
        }
        let mut custom_values = Vec::new();
        if custom {
            for _ in 0..varbit::read_uint(r)? {
                custom_values.push(read_bound(r)?);
            }
        }
        Ok(Layout {
            schema: schema as i32,
            zero_threshold,
            positive_spans,
            negative_spans,
            custom_values,
        })
    }
}

/// Buckets that spans cover.
pub(super) fn count_buckets(spans: &[Span]) -> u64 {
    spans.iter().map(|s| u64::from(s.length)).sum()
}

fn read_spans(r: &mut BitReader<'_>) -> Result<Vec<Span>, ChunkError> {
    let out_of_range = |_| ChunkError::InvalidHistogram("span out of range");
    let mut spans = Vec::new();
    for _ in 0..varbit::read_uint(r)? {
        let length = u32::try_from(varbit::read_uint(r)?).map_err(out_of_range)?;
        let offset = i32::try_from(varbit::read_int(r)?).map_err(out_of_range)?;
        spans.push(Span { offset, length });
    }
    Ok(spans)
}

/// One byte for 0 and the powers of two from 2^-243 to 2^10, nine bytes for the rest.
fn write_zero_threshold<S: BitSink>(sink: &mut S, threshold: f64) {
    let bits = threshold.to_bits();
    let exponent = bits >> 52;
    if threshold == 0.0 {
        sink.write_bits(0, 8);
    } else if bits << 12 == 0 && (THRESHOLD_BIAS + 1..THRESHOLD_BIAS + 255).contains(&exponent) {
        sink.write_bits(exponent - THRESHOLD_BIAS, 8);
    } else {
        sink.write_bits(RAW_THRESHOLD, 8);
        sink.write_bits(bits, 64);
    }
}

fn read_zero_threshold(r: &mut BitReader<'_>) -> Result<f64, ChunkError> {
    Ok(match r.read(8)? {
        0 => 0.0,
        RAW_THRESHOLD => f64::from_bits(r.read(64)?),
        byte => f64::from_bits((byte + THRESHOLD_BIAS) << 52),
    })
}

/// A bound of at most three decimals as its thousandths plus one, any other as a 0 and its bits.
fn write_bound<S: BitSink>(sink: &mut S, bound: f64) {
    let thousandths = bound * 1000.0;
    let whole = thousandths.round();
    if (0.0..=MAX_SHORT_BOUND).contains(&thousandths) && whole / 1000.0 == bound {
        varbit::put_uint(sink, whole as u64 + 1);
    } else {
        sink.write_bits(0, 1);
        sink.write_bits(bound.to_bits(), 64);
    }
}

fn read_bound(r: &mut BitReader<'_>) -> Result<f64, ChunkError> {
    Ok(match varbit::read_uint(r)? {
        0 => f64::from_bits(r.read(64)?),
        n => (n - 1) as f64 / 1000.0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoding::BitWriter;

    fn written(f: impl Fn(&mut BitWriter)) -> (Vec<u8>, usize) {
        let mut w = BitWriter::default();
        f(&mut w);
        let bits = w.bit_len();
        (w.into_bytes(), bits)
    }

    #[test]
    fn zero_thresholds_come_back() {
        for (threshold, bits) in [
            (0.0, 8),
            (2f64.powi(-128), 8),
            (2f64.powi(-243), 8),
            (2f64.powi(10), 8),
            (2f64.powi(-244), 72),
            (2f64.powi(11), 72),
            (-1.0, 72),
            (0.001, 72),
            (f64::MIN_POSITIVE / 4.0, 72),
            (f64::INFINITY, 72),
        ] {
            let (bytes, len) = written(|w| write_zero_threshold(w, threshold));
            assert_eq!(len, bits, "{threshold}");
            assert_eq!(read_zero_threshold(&mut BitReader::new(&bytes)), Ok(threshold));
        }
    }

    #[test]
    fn bounds_come_back() {
        for (bound, bits) in [
            (0.0, 5),
            (0.005, 5),
            (0.007, 9),
            (1.0, 17),
            (33_554.43, 32),
            (33_554.431, 65),
            (0.0001, 65),
            (-1.0, 65),
            (f64::INFINITY, 65),
        ] {
            let (bytes, len) = written(|w| write_bound(w, bound));
            assert_eq!(len, bits, "{bound}");
            assert_eq!(read_bound(&mut BitReader::new(&bytes)), Ok(bound));
        }
    }
}
