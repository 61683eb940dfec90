//! Integer histograms (encodings 2 and 5): everything but the sum as deltas of deltas.
//! Layout in `docs/format/chunk-encodings.md`.

use std::borrow::Cow;

use model::columns::{HistogramAt, HistogramValue};
use model::histogram::EXPONENTIAL_SCHEMA_MAX;
use model::value::is_stale_nan;
use model::{Columns, CounterResetHint, Histogram, Span};

use super::buckets::{self, Difference, coarsen, to_absolute, to_deltas};
use super::histogram_append::{CounterReset, HEADER_SIZE, Numbers, Parts};
use super::layout::{Layout, count_buckets};
use super::start_time::StartReader;
use super::window::{self, ReadWindow, WriteWindow};
use super::{ChunkError, Encoding};
use crate::encoding::{BitReader, BitSink, BitWriter, varbit};

pub(super) use super::histogram_append::ST_COUNT_MASK;

/// Most spans and bounds that the samples of one chunk may repeat: far beyond real histograms, it
/// keeps a few hostile bytes from becoming gigabytes.
const MAX_REPEATED: usize = 1 << 22;

/// The last histogram written.
#[derive(Clone, Debug)]
pub struct IntNumbers {
    count: u64,
    count_delta: i64,
    zero_count: u64,
    zero_delta: i64,
    sum: u64,
    window: WriteWindow,
    /// Positive, negative: buckets as deltas to the bucket before, and their change over time.
    buckets: [Vec<i64>; 2],
    changes: [Vec<i64>; 2],
}

impl Default for IntNumbers {
    fn default() -> IntNumbers {
        IntNumbers {
            count: 0,
            count_delta: 0,
            zero_count: 0,
            zero_delta: 0,
            sum: 0,
            window: WriteWindow::EMPTY,
            buckets: Default::default(),
            changes: Default::default(),
        }
    }
}

impl Numbers for IntNumbers {
    type Histogram = Histogram;
    type Bucket = i64;
    type Count = u64;
    const PLAIN: Encoding = Encoding::Histogram;
    const WITH_START: Encoding = Encoding::HistogramSt;
    const CUT_SAYS_NOT_RESET: bool = true;
    const KEEPS_UNKNOWN: bool = true;

    fn parts(h: &Histogram) -> Parts<'_, i64, u64> {
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

    fn from_value(value: &HistogramValue) -> Option<&Histogram> {
        match value {
            HistogramValue::Integer(h) => Some(h),
            HistogramValue::Float(_) => None,
        }
    }

    fn write_first(&mut self, bits: &mut BitWriter, p: &Parts<'_, i64, u64>) {
        varbit::put_uint(bits, p.count);
        varbit::put_uint(bits, p.zero_count);
        bits.write_bits(p.sum.to_bits(), 64);
        for (side, buckets) in p.buckets.iter().enumerate() {
            buckets.iter().for_each(|&b| varbit::put_int(bits, b));
            self.buckets[side] = buckets.to_vec();
            self.changes[side] = vec![0; buckets.len()];
        }
        (self.count, self.zero_count, self.sum) = (p.count, p.zero_count, p.sum.to_bits());
    }

    fn write_next(&mut self, bits: &mut BitWriter, p: &Parts<'_, i64, u64>) {
        let count_delta = p.count.wrapping_sub(self.count) as i64;
        let zero_delta = p.zero_count.wrapping_sub(self.zero_count) as i64;
        // The counts of a stale sample mean nothing: they go on as before.
        let (count_dod, zero_dod) = if p.is_stale() {
            (0, 0)
        } else {
            (count_delta.wrapping_sub(self.count_delta), zero_delta.wrapping_sub(self.zero_delta))
        };
        varbit::put_int(bits, count_dod);
        varbit::put_int(bits, zero_dod);
        window::write(bits, (0, 0), self.sum, p.sum.to_bits(), &mut self.window);
        for (side, buckets) in p.buckets.iter().enumerate() {
            let state = self.buckets[side].iter_mut().zip(&mut self.changes[side]);
            for (&b, (last, change)) in buckets.iter().zip(state) {
                let delta = b.wrapping_sub(*last);
                varbit::put_int(bits, delta.wrapping_sub(*change));
                (*last, *change) = (b, delta);
            }
        }
        (self.count, self.zero_count, self.sum) = (p.count, p.zero_count, p.sum.to_bits());
        (self.count_delta, self.zero_delta) = (count_delta, zero_delta);
    }

    fn count(&self) -> u64 {
        self.count
    }

    fn zero_count(&self) -> u64 {
        self.zero_count
    }

    fn sum(&self) -> f64 {
        f64::from_bits(self.sum)
    }

    fn compare(
        &self,
        side: usize,
        spans: &[Span],
        p: &Parts<'_, i64, u64>,
        gauge: bool,
    ) -> Option<Difference> {
        let (old, new) = (to_absolute(&self.buckets[side]), to_absolute(&p.buckets[side]));
        buckets::compare(
            spans,
            &p.spans[side],
            new.len(),
            |i, j| gauge || old[i] <= new[j],
            |i| gauge || old[i] == 0,
        )
    }

    fn widen(buckets: &[i64], from: &[Span], to: &[Span]) -> Result<Vec<i64>, ChunkError> {
        let mut wide = buckets::widen(&to_absolute(buckets), from, to)?;
        to_deltas(&mut wide);
        Ok(wide)
    }
}

/// The header and layout of a histogram chunk, read.
pub(super) struct Opened<'a> {
    pub(super) samples: usize,
    pub(super) reset: CounterReset,
    pub(super) start: StartReader,
    pub(super) layout: Layout,
    /// Buckets, positive and negative; every one of them has `bucket_bits` bits at least.
    pub(super) buckets: [usize; 2],
    pub(super) r: BitReader<'a>,
}

impl<'a> Opened<'a> {
    /// Reads up to the first sample; `None` when there is none. What the layout makes every sample
    /// take in memory is bounded by what is really there.
    pub(super) fn read(
        data: &'a [u8],
        with_start: bool,
        bucket_bits: usize,
    ) -> Result<Option<Opened<'a>>, ChunkError> {
        let (header, bits) =
            data.split_first_chunk::<HEADER_SIZE>().ok_or(ChunkError::Truncated)?;
        let count = usize::from(u16::from_be_bytes([header[0], header[1]]));
        let (samples, reset, start) = if with_start {
            (count & ST_COUNT_MASK, header[0], StartReader::new(header[2]))
        } else {
            (count, header[2], StartReader::new(0))
        };
        if samples == 0 {
            return Ok(None);
        }
        let mut r = BitReader::new(bits);
        let layout = Layout::read(&mut r)?;
        let positive = count_buckets(&layout.positive_spans);
        let negative = count_buckets(&layout.negative_spans);
        if positive + negative > (r.remaining() / bucket_bits) as u64 || samples > r.remaining() {
            return Err(ChunkError::Truncated);
        }
        let repeated =
            layout.positive_spans.len() + layout.negative_spans.len() + layout.custom_values.len();
        if repeated.saturating_mul(samples) > MAX_REPEATED {
            return Err(ChunkError::InvalidHistogram("too many spans or bounds"));
        }
        Ok(Some(Opened {
            samples,
            reset: CounterReset::of(reset),
            start,
            layout,
            buckets: [positive as usize, negative as usize],
            r,
        }))
    }

    /// Reads all samples: `read` reads numbers and gives the histogram, whose sum it returns with it.
    pub(super) fn read_samples(
        mut self,
        out: &mut Columns,
        mut read: impl FnMut(
            &mut BitReader<'_>,
            &Layout,
            CounterResetHint,
            bool,
        ) -> Result<HistogramValue, ChunkError>,
    ) -> Result<(), ChunkError> {
        let any_start = self.start.any();
        if any_start {
            out.start_timestamps.resize(out.timestamps.len(), 0);
        }
        let (mut t, mut delta) = (0i64, 0i64);
        for i in 0..self.samples {
            let prev_t = t;
            if i == 0 {
                t = varbit::read_int(&mut self.r)?;
            } else {
                delta = delta.wrapping_add(varbit::read_int(&mut self.r)?);
                t = t.wrapping_add(delta);
            }
            let value = read(&mut self.r, &self.layout, self.reset.hint(i), i == 0)?;
            let start = self.start.read(&mut self.r, i as u32, prev_t, t)?;
            let index = u32::try_from(out.timestamps.len())
                .map_err(|_| ChunkError::InvalidHistogram("too many samples"))?;
            out.histograms.push(HistogramAt { index, value });
            out.timestamps.push(t);
            out.floats.push(0.0);
            if any_start {
                out.start_timestamps.push(start);
            }
        }
        self.r.check().map_err(ChunkError::from)
    }
}

/// The last histogram read.
struct Reader {
    count: u64,
    count_delta: i64,
    zero_count: u64,
    zero_delta: i64,
    sum: u64,
    window: ReadWindow,
    buckets: [Vec<i64>; 2],
    changes: [Vec<i64>; 2],
}

impl Reader {
    fn first(&mut self, r: &mut BitReader<'_>) -> Result<(), ChunkError> {
        self.count = varbit::read_uint(r)?;
        self.zero_count = varbit::read_uint(r)?;
        self.sum = r.read(64)?;
        for bucket in self.buckets.iter_mut().flatten() {
            *bucket = varbit::read_int(r)?;
        }
        Ok(())
    }

    fn next(&mut self, r: &mut BitReader<'_>) -> Result<(), ChunkError> {
        self.count_delta = self.count_delta.wrapping_add(varbit::read_int(r)?);
        self.count = self.count.wrapping_add_signed(self.count_delta);
        self.zero_delta = self.zero_delta.wrapping_add(varbit::read_int(r)?);
        self.zero_count = self.zero_count.wrapping_add_signed(self.zero_delta);
        window::read(r, &mut self.sum, &mut self.window)?;
        r.check()?;
        if is_stale_nan(f64::from_bits(self.sum)) {
            return Ok(());
        }
        let state = self.buckets.iter_mut().flatten().zip(self.changes.iter_mut().flatten());
        for (bucket, change) in state {
            *change = change.wrapping_add(varbit::read_int(r)?);
            *bucket = bucket.wrapping_add(*change);
        }
        Ok(())
    }

    fn histogram(&self, layout: &Layout, hint: CounterResetHint) -> Result<Histogram, ChunkError> {
        let sum = f64::from_bits(self.sum);
        if is_stale_nan(sum) {
            return Ok(Histogram { sum, ..Histogram::default() });
        }
        let h = Histogram {
            counter_reset_hint: hint,
            schema: layout.schema,
            zero_threshold: layout.zero_threshold,
            zero_count: self.zero_count,
            count: self.count,
            sum,
            positive_spans: layout.positive_spans.clone(),
            negative_spans: layout.negative_spans.clone(),
            positive_buckets: self.buckets[0].clone(),
            negative_buckets: self.buckets[1].clone(),
            custom_values: layout.custom_values.clone(),
        };
        if h.schema > EXPONENTIAL_SCHEMA_MAX { reduced(h) } else { Ok(h) }
    }
}

/// A histogram of a schema set aside for later versions, at the finest one in use.
fn reduced(mut h: Histogram) -> Result<Histogram, ChunkError> {
    let steps = (h.schema - EXPONENTIAL_SCHEMA_MAX) as u32;
    let side = |spans: &[Span], deltas: &[i64]| {
        let (spans, mut counts) = coarsen(&to_absolute(deltas), spans, steps, i64::wrapping_add)?;
        to_deltas(&mut counts);
        Ok::<_, ChunkError>((spans, counts))
    };
    (h.positive_spans, h.positive_buckets) = side(&h.positive_spans, &h.positive_buckets)?;
    (h.negative_spans, h.negative_buckets) = side(&h.negative_spans, &h.negative_buckets)?;
    h.schema = EXPONENTIAL_SCHEMA_MAX;
    Ok(h)
}

/// Appends all samples of `data` to `out`; on an error some of them.
pub(super) fn decode(data: &[u8], with_start: bool, out: &mut Columns) -> Result<(), ChunkError> {
    let Some(opened) = Opened::read(data, with_start, 1)? else { return Ok(()) };
    let mut reader = Reader {
        count: 0,
        count_delta: 0,
        zero_count: 0,
        zero_delta: 0,
        sum: 0,
        window: ReadWindow::FULL,
        buckets: opened.buckets.map(|n| vec![0; n]),
        changes: opened.buckets.map(|n| vec![0; n]),
    };
    opened.read_samples(out, |r, layout, hint, first| {
        if first {
            reader.first(r)?
        } else {
            reader.next(r)?
        }
        Ok(HistogramValue::Integer(Box::new(reader.histogram(layout, hint)?)))
    })
}
