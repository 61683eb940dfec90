//! Appending to histogram chunks: Prometheus's rules, the same for integer and float histograms.
//!
//! A chunk has one layout. A histogram with new buckets makes the chunk be recoded with them, one
//! that lacks buckets (unused ones, unless it is a gauge) is widened, and one that does not fit at
//! all (counter reset, other schema, zero threshold or bounds, something after a staleness marker,
//! gauge after counter) starts a new chunk. The chunk's header says what is known about a counter
//! reset in front of it. Layout in `docs/format/chunk-encodings.md`.

use std::borrow::Cow;
use std::fmt::Debug;

use model::columns::HistogramValue;
use model::histogram::CUSTOM_BUCKETS_SCHEMA;
use model::value::is_stale_nan;
use model::{Columns, CounterResetHint, Span, TimeRange};

use super::buckets::{self, Difference};
use super::float_histogram::FloatNumbers;
use super::histogram::IntNumbers;
use super::layout::{Layout, count_buckets};
use super::start_time::StartWriter;
use super::{ChunkError, Encoding};
use crate::encoding::{BitWriter, varbit};

/// Bytes in front of the bits.
pub const HEADER_SIZE: usize = 3;
/// Bits of the header that hold the counter reset state.
pub(super) const RESET_MASK: u8 = 0b1100_0000;
/// Samples a chunk with start times can count.
pub(super) const ST_COUNT_MASK: usize = 0x3fff;

/// What a chunk says about a counter reset directly in front of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum CounterReset {
    /// Nothing is known.
    #[default]
    Unknown = 0,
    /// The chunk was cut without a reset.
    NotReset = 0b0100_0000,
    /// A reset made the chunk be cut.
    Reset = 0b1000_0000,
    /// Gauge histograms: resets mean nothing.
    Gauge = 0b1100_0000,
}

impl CounterReset {
    /// The state in a header byte.
    pub(super) fn of(byte: u8) -> CounterReset {
        match byte & RESET_MASK {
            0b0100_0000 => CounterReset::NotReset,
            0b1000_0000 => CounterReset::Reset,
            0b1100_0000 => CounterReset::Gauge,
            _ => CounterReset::Unknown,
        }
    }

    /// What readers are told about sample `index` of such a chunk. The first one is unknown even
    /// where the header knows: the chunk it compares with may be gone or no longer the neighbour.
    pub(super) fn hint(self, index: usize) -> CounterResetHint {
        match self {
            CounterReset::Gauge => CounterResetHint::Gauge,
            _ if index > 0 => CounterResetHint::NotReset,
            _ => CounterResetHint::Unknown,
        }
    }
}

/// A histogram taken apart, counts in buckets of type `B`.
#[derive(Clone, Debug)]
pub struct Parts<'a, B: Clone, C> {
    pub(super) hint: CounterResetHint,
    pub(super) schema: i32,
    pub(super) zero_threshold: f64,
    pub(super) zero_count: C,
    pub(super) count: C,
    pub(super) sum: f64,
    /// Positive, negative.
    pub(super) spans: [Cow<'a, [Span]>; 2],
    pub(super) buckets: [Cow<'a, [B]>; 2],
    pub(super) custom_values: &'a [f64],
}

impl<B: Clone, C> Parts<'_, B, C> {
    pub(super) fn is_stale(&self) -> bool {
        is_stale_nan(self.sum)
    }

    fn layout(&self) -> Layout {
        Layout {
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            positive_spans: self.spans[0].to_vec(),
            negative_spans: self.spans[1].to_vec(),
            custom_values: self.custom_values.to_vec(),
        }
    }

    /// Spans and buckets must agree, else what is written could not be read.
    fn validate(&self) -> Result<(), ChunkError> {
        let agree =
            |side: usize| count_buckets(&self.spans[side]) == self.buckets[side].len() as u64;
        if self.is_stale() || agree(0) && agree(1) {
            return Ok(());
        }
        Err(ChunkError::InvalidHistogram("spans and buckets differ in number"))
    }
}

/// The numbers of the last histogram of a chunk being written: what the next is stored against.
/// Implemented for integer and for float histograms, which differ in nothing else.
pub trait Numbers: Clone + Debug + Default + Sized {
    /// The model's type.
    type Histogram;
    /// A bucket as the model stores it.
    type Bucket: Copy + Default + 'static;
    /// A count of observations.
    type Count: Copy + Default + PartialOrd;
    /// Encoding without start times.
    const PLAIN: Encoding;
    /// Encoding with start times.
    const WITH_START: Encoding;
    /// Whether a cut chunk may say that there was no reset (float chunks only ever say that there
    /// was one).
    const CUT_SAYS_NOT_RESET: bool;
    /// Whether a chunk begun beside the last one leaves open what a comparison left open.
    const KEEPS_UNKNOWN: bool;

    /// Takes a histogram apart.
    fn parts(h: &Self::Histogram) -> Parts<'_, Self::Bucket, Self::Count>;
    /// The histogram in a column, if it is of this kind.
    fn from_value(value: &HistogramValue) -> Option<&Self::Histogram>;
    /// Writes the numbers of the first sample of a chunk.
    fn write_first(&mut self, bits: &mut BitWriter, p: &Parts<'_, Self::Bucket, Self::Count>);
    /// Writes the numbers of any later sample.
    fn write_next(&mut self, bits: &mut BitWriter, p: &Parts<'_, Self::Bucket, Self::Count>);
    /// Number of observations of the last sample.
    fn count(&self) -> Self::Count;
    /// Observations in its zero bucket.
    fn zero_count(&self) -> Self::Count;
    /// Sum of its observations.
    fn sum(&self) -> f64;
    /// Compares its buckets of one side (0 positive, 1 negative) with others; `None` = a counter
    /// reset. With `gauge` counts are not looked at.
    fn compare(
        &self,
        side: usize,
        spans: &[Span],
        p: &Parts<'_, Self::Bucket, Self::Count>,
        gauge: bool,
    ) -> Option<Difference>;
    /// Moves buckets from one layout to a wider one.
    fn widen(
        buckets: &[Self::Bucket],
        from: &[Span],
        to: &[Span],
    ) -> Result<Vec<Self::Bucket>, ChunkError>;
}

/// What became of an appended histogram.
#[derive(Debug)]
pub enum Appended<N: Numbers> {
    /// It is in the chunk.
    InPlace,
    /// It is in the chunk, all of which was written anew with more buckets.
    Recoded,
    /// It did not fit: the chunk is complete without it, this new one begins with it.
    Cut(Box<HistogramEncoder<N>>),
}

/// A histogram chunk being written to a vector.
#[derive(Clone, Debug)]
pub struct HistogramEncoder<N: Numbers> {
    with_start: bool,
    samples: usize,
    t: i64,
    delta: i64,
    layout: Layout,
    numbers: N,
    start: StartWriter,
    start_header: u8,
    reset: CounterReset,
    bits: BitWriter,
}

/// Encodings 2 and 5.
pub type IntHistogramEncoder = HistogramEncoder<IntNumbers>;
/// Encodings 3 and 6.
pub type FloatHistogramEncoder = HistogramEncoder<FloatNumbers>;

type PartsOf<'a, N> = Parts<'a, <N as Numbers>::Bucket, <N as Numbers>::Count>;

impl<N: Numbers> HistogramEncoder<N> {
    /// An empty chunk, with room for start times or without.
    pub fn new(with_start: bool) -> HistogramEncoder<N> {
        let mut bytes = Vec::with_capacity(128);
        bytes.resize(HEADER_SIZE, 0);
        HistogramEncoder {
            with_start,
            samples: 0,
            t: i64::MIN,
            delta: 0,
            layout: Layout::default(),
            numbers: N::default(),
            start: StartWriter::default(),
            start_header: 0,
            reset: CounterReset::Unknown,
            bits: BitWriter::new(bytes),
        }
    }

    /// Goes on with a chunk written before, by reading and writing it once.
    pub fn resume(data: &[u8], with_start: bool) -> Result<HistogramEncoder<N>, ChunkError> {
        let encoding = if with_start { N::WITH_START } else { N::PLAIN };
        let at = if with_start { 0 } else { HEADER_SIZE - 1 };
        let byte = *data.get(at).ok_or(ChunkError::Truncated)?;
        let mut encoder = HistogramEncoder::new(with_start);
        for_each_sample::<N>(encoding, data, |start, t, h| encoder.push(start, t, &N::parts(h)))?;
        encoder.set_reset(CounterReset::of(byte));
        Ok(encoder)
    }

    /// Appends a histogram; `start_t` 0 = unknown, dropped when the chunk has no room for it. `prev`
    /// is the chunk in front when this one is empty: it tells whether a counter reset lies between.
    pub fn append(
        &mut self,
        prev: Option<&HistogramEncoder<N>>,
        start_t: i64,
        t: i64,
        h: &N::Histogram,
    ) -> Result<Appended<N>, ChunkError> {
        let p = N::parts(h);
        p.validate()?;
        let gauge = p.hint == CounterResetHint::Gauge;
        if self.samples == 0 {
            self.push(start_t, t, &p)?;
            self.set_reset(match (p.hint, prev) {
                (CounterResetHint::Gauge, _) => CounterReset::Gauge,
                (CounterResetHint::Reset, _) => CounterReset::Reset,
                (_, Some(prev)) => match prev.judge(&p).1 {
                    CounterReset::Unknown if !N::KEEPS_UNKNOWN => CounterReset::NotReset,
                    reset => reset,
                },
                (_, None) => CounterReset::Unknown,
            });
            return Ok(Appended::InPlace);
        }
        let (fit, reset) =
            if gauge { (self.judge_gauge(&p), CounterReset::Gauge) } else { self.judge(&p) };
        let Some(sides) = fit else {
            let mut next = HistogramEncoder::new(self.with_start);
            next.push(start_t, t, &p)?;
            next.set_reset(match reset {
                CounterReset::NotReset if !N::CUT_SAYS_NOT_RESET => CounterReset::Unknown,
                reset => reset,
            });
            return Ok(Appended::Cut(Box::new(next)));
        };
        self.append_fitting(start_t, t, p, gauge, &sides)
    }

    /// Appends a histogram whose buckets lie to those of the chunk as `sides` say.
    fn append_fitting(
        &mut self,
        start_t: i64,
        t: i64,
        mut p: PartsOf<'_, N>,
        gauge: bool,
        sides: &[Difference; 2],
    ) -> Result<Appended<N>, ChunkError> {
        let forward = sides.iter().any(|s| s.forward);
        if sides.iter().any(|s| s.backward) {
            let old = p.spans.clone();
            for (side, difference) in sides.iter().enumerate() {
                if !gauge && !forward {
                    p.spans[side] = Cow::Owned(self.spans(side).to_vec());
                } else if difference.backward || gauge {
                    p.spans[side] = Cow::Owned(match difference.union.as_slice() {
                        [] => buckets::spans_of(&buckets::indexes(&old[side]))?,
                        union => buckets::spans_of(union)?,
                    });
                }
                if difference.backward {
                    let wide = N::widen(&p.buckets[side], &old[side], &p.spans[side])?;
                    p.buckets[side] = Cow::Owned(wide);
                }
            }
        }
        if !forward {
            self.push(start_t, t, &p)?;
            return Ok(Appended::InPlace);
        }
        let mut wide = self.recoded(&p.spans, sides)?;
        wide.push(start_t, t, &p)?;
        *self = wide;
        Ok(Appended::Recoded)
    }

    /// The chunk with the spans of `to`; buckets move on the sides that gain some.
    fn recoded(
        &self,
        to: &[Cow<'_, [Span]>; 2],
        sides: &[Difference; 2],
    ) -> Result<HistogramEncoder<N>, ChunkError> {
        let mut wide = HistogramEncoder::new(self.with_start);
        for_each_sample::<N>(self.encoding(), self.bytes(), |start, t, h| {
            let mut p = N::parts(h);
            for side in 0..2 {
                if sides[side].forward {
                    let moved = N::widen(&p.buckets[side], &p.spans[side], &to[side])?;
                    p.buckets[side] = Cow::Owned(moved);
                }
                p.spans[side] = Cow::Borrowed(&to[side]);
            }
            wide.push(start, t, &p)
        })?;
        wide.set_reset(self.reset);
        Ok(wide)
    }

    fn spans(&self, side: usize) -> &[Span] {
        if side == 0 { &self.layout.positive_spans } else { &self.layout.negative_spans }
    }

    /// How a counter histogram fits behind the last sample (`None` = not at all), and what is known
    /// about a reset in between.
    fn judge(&self, p: &PartsOf<'_, N>) -> (Option<[Difference; 2]>, CounterReset) {
        if self.samples > 0 && self.reset == CounterReset::Gauge {
            return (None, CounterReset::NotReset);
        }
        if p.hint == CounterResetHint::Reset {
            return (None, CounterReset::Reset);
        }
        if p.is_stale() {
            return (Some(Default::default()), CounterReset::NotReset);
        }
        if is_stale_nan(self.numbers.sum()) {
            return (None, CounterReset::Unknown);
        }
        if p.count < self.numbers.count() {
            return (None, CounterReset::Reset);
        }
        if !self.same_resolution(p) {
            return (None, CounterReset::Unknown);
        }
        if !self.same_bounds(p) || p.zero_count < self.numbers.zero_count() {
            return (None, CounterReset::Reset);
        }
        match self.compare(p, false) {
            Some(sides) => (Some(sides), CounterReset::NotReset),
            None => (None, CounterReset::Reset),
        }
    }

    /// How a gauge histogram fits behind the last sample; `None` = not at all.
    fn judge_gauge(&self, p: &PartsOf<'_, N>) -> Option<[Difference; 2]> {
        if self.reset != CounterReset::Gauge {
            return None;
        }
        if p.is_stale() {
            return Some(Default::default());
        }
        if is_stale_nan(self.numbers.sum()) || !self.same_resolution(p) || !self.same_bounds(p) {
            return None;
        }
        self.compare(p, true)
    }

    fn compare(&self, p: &PartsOf<'_, N>, gauge: bool) -> Option<[Difference; 2]> {
        let positive = self.numbers.compare(0, self.spans(0), p, gauge)?;
        Some([positive, self.numbers.compare(1, self.spans(1), p, gauge)?])
    }

    fn same_resolution(&self, p: &PartsOf<'_, N>) -> bool {
        p.schema == self.layout.schema && p.zero_threshold == self.layout.zero_threshold
    }

    fn same_bounds(&self, p: &PartsOf<'_, N>) -> bool {
        p.schema != CUSTOM_BUCKETS_SCHEMA || p.custom_values == self.layout.custom_values.as_slice()
    }

    /// Writes a sample that fits the layout, or the first one with its layout.
    fn push(&mut self, start_t: i64, t: i64, p: &PartsOf<'_, N>) -> Result<(), ChunkError> {
        let most = if self.with_start { ST_COUNT_MASK } else { usize::from(u16::MAX) };
        if self.samples >= most {
            return Err(ChunkError::Full);
        }
        // A stale sample has a sum and nothing else.
        let empty;
        let p = if p.is_stale() {
            empty = stale_parts::<N>(p.sum);
            &empty
        } else {
            p
        };
        let prev_t = self.t;
        if self.samples == 0 {
            self.layout = p.layout();
            self.layout.write(&mut self.bits);
            varbit::put_int(&mut self.bits, t);
            self.numbers.write_first(&mut self.bits, p);
        } else {
            let delta = t.wrapping_sub(prev_t);
            varbit::put_int(&mut self.bits, delta.wrapping_sub(self.delta));
            self.numbers.write_next(&mut self.bits, p);
            self.delta = delta;
        }
        self.t = t;
        if self.with_start {
            let index = self.samples as u32;
            self.start_header = self.start.write(&mut self.bits, index, prev_t, t, start_t);
        }
        self.samples += 1;
        self.write_header();
        Ok(())
    }

    fn set_reset(&mut self, reset: CounterReset) {
        self.reset = reset;
        self.write_header();
    }

    fn write_header(&mut self) {
        let [high, low] = (self.samples as u16).to_be_bytes();
        let reset = self.reset as u8;
        let header = if self.with_start {
            [high | reset, low, self.start_header]
        } else {
            [high, low, reset]
        };
        self.bits.bytes_mut()[..HEADER_SIZE].copy_from_slice(&header);
    }

    /// The byte-sized name of what is written.
    pub fn encoding(&self) -> Encoding {
        if self.with_start { N::WITH_START } else { N::PLAIN }
    }

    /// Samples so far.
    pub fn samples(&self) -> usize {
        self.samples
    }

    /// What the chunk says about a counter reset in front of it.
    pub fn counter_reset(&self) -> CounterReset {
        self.reset
    }

    /// The chunk data so far: always a complete chunk.
    pub fn bytes(&self) -> &[u8] {
        self.bits.bytes()
    }

    /// The finished chunk data.
    pub fn finish(self) -> Vec<u8> {
        self.bits.into_bytes()
    }
}

fn stale_parts<N: Numbers>(sum: f64) -> PartsOf<'static, N> {
    Parts {
        hint: CounterResetHint::Unknown,
        schema: 0,
        zero_threshold: 0.0,
        zero_count: N::Count::default(),
        count: N::Count::default(),
        sum,
        spans: [Cow::Borrowed(&[]), Cow::Borrowed(&[])],
        buckets: [Cow::Borrowed(&[]), Cow::Borrowed(&[])],
        custom_values: &[],
    }
}

/// Hands start time, time and histogram of every sample of a chunk to `f`.
fn for_each_sample<N: Numbers>(
    encoding: Encoding,
    data: &[u8],
    mut f: impl FnMut(i64, i64, &N::Histogram) -> Result<(), ChunkError>,
) -> Result<(), ChunkError> {
    let mut columns = Columns::default();
    super::decode(encoding as u8, data, TimeRange::ALL, &mut columns)?;
    for (i, at) in columns.histograms.iter().enumerate() {
        let start = columns.start_timestamps.get(i).copied().unwrap_or(0);
        if let Some(h) = N::from_value(&at.value) {
            f(start, columns.timestamps[i], h)?;
        }
    }
    Ok(())
}
