//! BoxedChunk: an open chunk that is not plain XOR. Histograms and XOR2 are rare enough to live
//! outside the hot record.

use model::Value;
use model::columns::HistogramValue;

use crate::chunk::cut::{OpenChunk, histogram_cut};
use crate::chunk::{ChunkEncoder, ChunkError, Encoding};

/// The encoder with what cutting and judging need to know.
#[derive(Clone, Debug)]
pub(crate) struct BoxedChunk {
    encoder: ChunkEncoder,
    last_t: i64,
    /// The last sample when floats are encoded.
    last_float: f64,
    /// The end of a histogram chunk has been predicted.
    predicted: bool,
}

/// A histogram as the encoders take it.
pub(crate) fn as_value(h: &HistogramValue) -> Value<'_> {
    match h {
        HistogramValue::Integer(h) => Value::Histogram(h),
        HistogramValue::Float(h) => Value::FloatHistogram(h),
    }
}

/// The encoding a histogram goes to.
pub(crate) fn encoding_of(h: &HistogramValue, with_start: bool) -> Encoding {
    match (h, with_start) {
        (HistogramValue::Integer(_), false) => Encoding::Histogram,
        (HistogramValue::Integer(_), true) => Encoding::HistogramSt,
        (HistogramValue::Float(_), false) => Encoding::FloatHistogram,
        (HistogramValue::Float(_), true) => Encoding::FloatHistogramSt,
    }
}

impl BoxedChunk {
    /// An empty chunk; the first sample follows at once.
    pub fn new(encoding: Encoding) -> BoxedChunk {
        BoxedChunk {
            encoder: ChunkEncoder::new(encoding),
            last_t: i64::MIN,
            last_float: 0.0,
            predicted: false,
        }
    }

    /// A chunk that was open before; `last_float` is the last sample if floats are encoded.
    pub fn restore(
        encoder: ChunkEncoder,
        last_t: i64,
        last_float: f64,
        predicted: bool,
    ) -> BoxedChunk {
        BoxedChunk { encoder, last_t, last_float, predicted }
    }

    /// Whether the end of a histogram chunk has been predicted.
    pub fn is_predicted(&self) -> bool {
        self.predicted
    }

    /// Time of the last sample.
    pub fn last_t(&self) -> i64 {
        self.last_t
    }

    /// The last sample if it is a float.
    pub fn last_float(&self) -> Option<f64> {
        self.encoding().is_float().then_some(self.last_float)
    }

    pub fn encoding(&self) -> Encoding {
        self.encoder.encoding()
    }

    pub fn samples(&self) -> usize {
        self.encoder.samples()
    }

    /// The chunk data so far.
    pub fn bytes(&self) -> &[u8] {
        self.encoder.bytes()
    }

    /// The finished data.
    pub fn finish(self) -> Vec<u8> {
        self.encoder.finish()
    }

    /// What the cut rules look at.
    pub fn state(&self, min_time: i64) -> OpenChunk {
        OpenChunk {
            min_time,
            max_time: self.last_t,
            samples: self.encoder.samples(),
            bytes: self.encoder.bytes().len(),
        }
    }

    /// Whether a histogram at `t` must go to a new chunk for reasons of size and time.
    pub fn histogram_cut(&mut self, next_at: &mut i64, min_t: i64, t: i64, range: i64) -> bool {
        let state = self.state(min_t);
        histogram_cut(next_at, &mut self.predicted, state, t, range)
    }

    /// Adds a sample. `before` is the chunk in front of an empty one. A histogram that does not fit
    /// leaves this chunk as it is; the one that begins with it is returned.
    pub fn push(
        &mut self,
        before: Option<&BoxedChunk>,
        t: i64,
        start_t: i64,
        value: Value<'_>,
    ) -> Result<Option<BoxedChunk>, ChunkError> {
        let next = self.encoder.append(before.map(|b| &b.encoder), start_t, t, value)?;
        if let Some(encoder) = next {
            // As in Prometheus, where the cut that a histogram forces leaves the mark set: the new
            // chunk ends with its range unless it grows to twice its size.
            return Ok(Some(BoxedChunk { encoder, last_t: t, last_float: 0.0, ..*self }));
        }
        self.last_t = t;
        if let Value::Float(v) = value {
            self.last_float = v;
        }
        Ok(None)
    }
}

/// Whether two histograms are the same sample: everything but the hint, floats by bits.
pub(crate) fn same_histogram(a: &HistogramValue, b: &HistogramValue) -> bool {
    use model::value::is_stale_nan;
    let bits = |x: &[f64], y: &[f64]| {
        x.len() == y.len() && x.iter().zip(y).all(|(x, y)| x.to_bits() == y.to_bits())
    };
    match (a, b) {
        (HistogramValue::Integer(a), HistogramValue::Integer(b)) => {
            if is_stale_nan(a.sum) || is_stale_nan(b.sum) {
                return is_stale_nan(a.sum) && is_stale_nan(b.sum);
            }
            (a.schema, a.count, a.zero_count) == (b.schema, b.count, b.zero_count)
                && bits(&[a.sum, a.zero_threshold], &[b.sum, b.zero_threshold])
                && a.positive_spans == b.positive_spans
                && a.negative_spans == b.negative_spans
                && a.positive_buckets == b.positive_buckets
                && a.negative_buckets == b.negative_buckets
                && bits(&a.custom_values, &b.custom_values)
        }
        (HistogramValue::Float(a), HistogramValue::Float(b)) => {
            if is_stale_nan(a.sum) || is_stale_nan(b.sum) {
                return is_stale_nan(a.sum) && is_stale_nan(b.sum);
            }
            a.schema == b.schema
                && bits(
                    &[a.sum, a.zero_threshold, a.count, a.zero_count],
                    &[b.sum, b.zero_threshold, b.count, b.zero_count],
                )
                && a.positive_spans == b.positive_spans
                && a.negative_spans == b.negative_spans
                && bits(&a.positive_buckets, &b.positive_buckets)
                && bits(&a.negative_buckets, &b.negative_buckets)
                && bits(&a.custom_values, &b.custom_values)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunk::cut::range_end;
    use model::{Histogram, Span};

    fn histogram(count: u64, buckets: usize) -> Histogram {
        let mut positive_buckets = vec![0; buckets];
        positive_buckets[0] = count as i64;
        Histogram {
            count: count * buckets as u64,
            sum: count as f64 * 0.7,
            positive_spans: vec![Span { offset: 0, length: buckets as u32 }],
            positive_buckets,
            ..Histogram::default()
        }
    }

    /// A chunk whose end was predicted, cut by a counter reset: the one behind it predicts no end.
    #[test]
    fn a_forced_cut_keeps_the_mark_of_a_prediction() {
        const RANGE: i64 = 7_200_000;
        let mut chunk = BoxedChunk::new(Encoding::Histogram);
        let mut next_at = range_end(0, RANGE);
        let mut count = 0;
        let mut ends = Vec::new();
        let mut min_t = 0;
        for i in 0..200i64 {
            let t = i * 1000;
            count = if i == 20 { 1 } else { count + 1 };
            let h = histogram(count, 40);
            if i > 0 && chunk.histogram_cut(&mut next_at, min_t, t, RANGE) {
                ends.push(i);
                break;
            }
            if let Some(next) = chunk.push(None, t, 0, Value::Histogram(&h)).unwrap() {
                assert!(chunk.predicted, "the first chunk is far enough");
                ends.push(i);
                (chunk, min_t, next_at) = (next, t, range_end(t, RANGE));
            }
        }
        // Without the mark the second chunk would end near 1,024 bytes.
        assert_eq!(ends[0], 20);
        assert!(ends.len() == 1 || chunk.bytes().len() >= 2048, "{ends:?} {}", chunk.bytes().len());
    }
}
