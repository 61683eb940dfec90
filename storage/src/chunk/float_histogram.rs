//! Float histograms (encodings 3 and 6): every number in the form of XOR values, each with a window
//! of its own. Layout in `docs/format/chunk-encodings.md`.

use std::borrow::Cow;

use model::columns::HistogramValue;
use model::histogram::EXPONENTIAL_SCHEMA_MAX;
use model::value::is_stale_nan;
use model::{Columns, CounterResetHint, FloatHistogram, Span};

use super::buckets::{self, Difference, coarsen};
use super::histogram::Opened;
use super::histogram_append::{Numbers, Parts};
use super::layout::Layout;
use super::window::{self, ReadWindow, WriteWindow};
use super::{ChunkError, Encoding};
use crate::encoding::{BitReader, BitSink, BitWriter};

/// A number and the window its last change was written in.
#[derive(Clone, Copy, Debug)]
struct Written {
    value: f64,
    window: WriteWindow,
}

impl Written {
    fn first(bits: &mut BitWriter, value: f64) -> Written {
        bits.write_bits(value.to_bits(), 64);
        Written { value, window: WriteWindow::EMPTY }
    }

    fn next(&mut self, bits: &mut BitWriter, value: f64) {
        window::write(bits, (0, 0), self.value.to_bits(), value.to_bits(), &mut self.window);
        self.value = value;
    }
}

/// The last histogram written.
#[derive(Clone, Debug)]
pub struct FloatNumbers {
    count: Written,
    zero_count: Written,
    sum: Written,
    /// Positive, negative.
    buckets: [Vec<Written>; 2],
}

impl Default for FloatNumbers {
    fn default() -> FloatNumbers {
        let zero = Written { value: 0.0, window: WriteWindow::EMPTY };
        FloatNumbers { count: zero, zero_count: zero, sum: zero, buckets: Default::default() }
    }
}

impl Numbers for FloatNumbers {
    type Histogram = FloatHistogram;
    type Bucket = f64;
    type Count = f64;
    const PLAIN: Encoding = Encoding::FloatHistogram;
    const WITH_START: Encoding = Encoding::FloatHistogramSt;
    const CUT_SAYS_NOT_RESET: bool = false;
    const KEEPS_UNKNOWN: bool = false;

    fn parts(h: &FloatHistogram) -> Parts<'_, f64, f64> {
        Parts {
            hint: h.counter_reset_hint,
            schema: h.schema,
            zero_threshold: h.zero_threshold,
            zero_count: h.zero_count,
            count: h.count,
            sum: h.sum,
            spans: [Cow::Borrowed(&h.positive_spans), Cow::Borrowed(&h.negative_spans)],
            buckets: [Cow::Borrowed(&h.positive_buckets), Cow::Borrowed(&h.negative_buckets)],
            custom_values: &h.custom_values,
        }
    }

    fn from_value(value: &HistogramValue) -> Option<&FloatHistogram> {
        match value {
            HistogramValue::Integer(_) => None,
            HistogramValue::Float(h) => Some(h),
        }
    }

    fn write_first(&mut self, bits: &mut BitWriter, p: &Parts<'_, f64, f64>) {
        self.count = Written::first(bits, p.count);
        self.zero_count = Written::first(bits, p.zero_count);
        self.sum = Written::first(bits, p.sum);
        for (side, buckets) in p.buckets.iter().enumerate() {
            self.buckets[side] = buckets.iter().map(|&b| Written::first(bits, b)).collect();
        }
    }

    fn write_next(&mut self, bits: &mut BitWriter, p: &Parts<'_, f64, f64>) {
        self.count.next(bits, p.count);
        self.zero_count.next(bits, p.zero_count);
        self.sum.next(bits, p.sum);
        for (side, buckets) in p.buckets.iter().enumerate() {
            for (written, &b) in self.buckets[side].iter_mut().zip(buckets.iter()) {
                written.next(bits, b);
            }
        }
    }

    fn count(&self) -> f64 {
        self.count.value
    }

    fn zero_count(&self) -> f64 {
        self.zero_count.value
    }

    fn sum(&self) -> f64 {
        self.sum.value
    }

    fn compare(
        &self,
        side: usize,
        spans: &[Span],
        p: &Parts<'_, f64, f64>,
        gauge: bool,
    ) -> Option<Difference> {
        let (old, new) = (&self.buckets[side], &p.buckets[side]);
        // NaN is no reset: only a count that is greater is.
        let grew = |a: f64, b: f64| a.partial_cmp(&b) != Some(std::cmp::Ordering::Greater);
        buckets::compare(
            spans,
            &p.spans[side],
            new.len(),
            |i, j| gauge || grew(old[i].value, new[j]),
            |i| gauge || old[i].value == 0.0,
        )
    }

    fn widen(buckets: &[f64], from: &[Span], to: &[Span]) -> Result<Vec<f64>, ChunkError> {
        buckets::widen(buckets, from, to)
    }
}

/// A number and the window its last change was read in.
#[derive(Clone, Copy, Debug)]
struct Read {
    value: u64,
    window: ReadWindow,
}

impl Read {
    const ZERO: Read = Read { value: 0, window: ReadWindow::FULL };

    fn float(self) -> f64 {
        f64::from_bits(self.value)
    }
}

/// The last histogram read.
struct Reader {
    /// Count, zero count, sum.
    numbers: [Read; 3],
    buckets: [Vec<Read>; 2],
}

impl Reader {
    fn first(&mut self, r: &mut BitReader<'_>) -> Result<(), ChunkError> {
        for read in self.numbers.iter_mut().chain(self.buckets.iter_mut().flatten()) {
            read.value = r.read(64)?;
        }
        Ok(())
    }

    fn next(&mut self, r: &mut BitReader<'_>) -> Result<(), ChunkError> {
        for read in &mut self.numbers {
            window::read(r, &mut read.value, &mut read.window)?;
        }
        if !is_stale_nan(self.numbers[2].float()) {
            for read in self.buckets.iter_mut().flatten() {
                window::read(r, &mut read.value, &mut read.window)?;
            }
        }
        Ok(r.check()?)
    }

    fn histogram(
        &self,
        layout: &Layout,
        hint: CounterResetHint,
    ) -> Result<FloatHistogram, ChunkError> {
        let [count, zero_count, sum] = self.numbers.map(Read::float);
        if is_stale_nan(sum) {
            return Ok(FloatHistogram { sum, ..FloatHistogram::default() });
        }
        let buckets = |side: usize| self.buckets[side].iter().map(|read| read.float()).collect();
        let h = FloatHistogram {
            counter_reset_hint: hint,
            schema: layout.schema,
            zero_threshold: layout.zero_threshold,
            zero_count,
            count,
            sum,
            positive_spans: layout.positive_spans.clone(),
            negative_spans: layout.negative_spans.clone(),
            positive_buckets: buckets(0),
            negative_buckets: buckets(1),
            custom_values: layout.custom_values.clone(),
        };
        if h.schema > EXPONENTIAL_SCHEMA_MAX { reduced(h) } else { Ok(h) }
    }
}

/// A histogram of a schema set aside for later versions, at the finest one in use.
fn reduced(mut h: FloatHistogram) -> Result<FloatHistogram, ChunkError> {
    let steps = (h.schema - EXPONENTIAL_SCHEMA_MAX) as u32;
    let side = |spans: &[Span], counts: &[f64]| coarsen(counts, spans, steps, |a, b| a + b);
    (h.positive_spans, h.positive_buckets) = side(&h.positive_spans, &h.positive_buckets)?;
    (h.negative_spans, h.negative_buckets) = side(&h.negative_spans, &h.negative_buckets)?;
    h.schema = EXPONENTIAL_SCHEMA_MAX;
    Ok(h)
}

/// Appends all samples of `data` to `out`; on an error some of them.
pub(super) fn decode(data: &[u8], with_start: bool, out: &mut Columns) -> Result<(), ChunkError> {
    // The first sample has 64 bits a bucket.
    let Some(opened) = Opened::read(data, with_start, 64)? else { return Ok(()) };
    let mut reader =
        Reader { numbers: [Read::ZERO; 3], buckets: opened.buckets.map(|n| vec![Read::ZERO; n]) };
    opened.read_samples(out, |r, layout, hint, first| {
        if first {
            reader.first(r)?
        } else {
            reader.next(r)?
        }
        Ok(HistogramValue::Float(Box::new(reader.histogram(layout, hint)?)))
    })
}
