//! Columns back to chunks, by the rules with which Prometheus re-encodes: after a vertical merge,
//! around deleted samples, for out-of-order samples. And one encoder type over all encodings.

use model::columns::HistogramValue;
use model::{Columns, EncodedChunk, TimeRange, Value};

use super::cut::{HISTOGRAM_TARGET_BYTES, MAX_FLOAT_BYTES_BEFORE_APPEND, MIN_HISTOGRAM_SAMPLES};
use super::histogram_append::{Appended, FloatHistogramEncoder, IntHistogramEncoder};
use super::xor::XorEncoder;
use super::xor2::Xor2Encoder;
use super::{ChunkError, Encoding, cut};

/// An open chunk of any encoding.
#[derive(Clone, Debug)]
pub enum ChunkEncoder {
    Xor(XorEncoder),
    Xor2(Xor2Encoder),
    Histogram(IntHistogramEncoder),
    FloatHistogram(FloatHistogramEncoder),
}

impl ChunkEncoder {
    /// An empty chunk.
    pub fn new(encoding: Encoding) -> ChunkEncoder {
        let start = encoding.has_start();
        match encoding {
            Encoding::Xor => ChunkEncoder::Xor(XorEncoder::new()),
            Encoding::Xor2 => ChunkEncoder::Xor2(Xor2Encoder::new()),
            Encoding::Histogram | Encoding::HistogramSt => {
                ChunkEncoder::Histogram(IntHistogramEncoder::new(start))
            }
            Encoding::FloatHistogram | Encoding::FloatHistogramSt => {
                ChunkEncoder::FloatHistogram(FloatHistogramEncoder::new(start))
            }
        }
    }

    /// Goes on with a chunk written before.
    pub fn resume(encoding: Encoding, data: Vec<u8>) -> Result<ChunkEncoder, ChunkError> {
        let start = encoding.has_start();
        Ok(match encoding {
            Encoding::Xor => ChunkEncoder::Xor(XorEncoder::resume(data)?),
            Encoding::Xor2 => ChunkEncoder::Xor2(Xor2Encoder::resume(data)?),
            Encoding::Histogram | Encoding::HistogramSt => {
                ChunkEncoder::Histogram(IntHistogramEncoder::resume(&data, start)?)
            }
            Encoding::FloatHistogram | Encoding::FloatHistogramSt => {
                ChunkEncoder::FloatHistogram(FloatHistogramEncoder::resume(&data, start)?)
            }
        })
    }

    /// Appends a sample; `start_t` 0 = unknown, dropped by encodings without start times. `prev` is
    /// the chunk in front, looked at for the first histogram of this one. When the sample did not
    /// fit, this chunk is complete without it and the one that begins with it is returned.
    pub fn append(
        &mut self,
        prev: Option<&ChunkEncoder>,
        start_t: i64,
        t: i64,
        value: Value<'_>,
    ) -> Result<Option<ChunkEncoder>, ChunkError> {
        match (self, value) {
            (ChunkEncoder::Xor(e), Value::Float(v)) => e.append(t, v).map(|()| None),
            (ChunkEncoder::Xor2(e), Value::Float(v)) => e.append(start_t, t, v).map(|()| None),
            (ChunkEncoder::Histogram(e), Value::Histogram(h)) => {
                let prev = match prev {
                    Some(ChunkEncoder::Histogram(prev)) => Some(prev),
                    _ => None,
                };
                Ok(match e.append(prev, start_t, t, h)? {
                    Appended::Cut(next) => Some(ChunkEncoder::Histogram(*next)),
                    Appended::InPlace | Appended::Recoded => None,
                })
            }
            (ChunkEncoder::FloatHistogram(e), Value::FloatHistogram(h)) => {
                let prev = match prev {
                    Some(ChunkEncoder::FloatHistogram(prev)) => Some(prev),
                    _ => None,
                };
                Ok(match e.append(prev, start_t, t, h)? {
                    Appended::Cut(next) => Some(ChunkEncoder::FloatHistogram(*next)),
                    Appended::InPlace | Appended::Recoded => None,
                })
            }
            _ => Err(ChunkError::WrongType),
        }
    }

    /// What is written.
    pub fn encoding(&self) -> Encoding {
        match self {
            ChunkEncoder::Xor(_) => Encoding::Xor,
            ChunkEncoder::Xor2(_) => Encoding::Xor2,
            ChunkEncoder::Histogram(e) => e.encoding(),
            ChunkEncoder::FloatHistogram(e) => e.encoding(),
        }
    }

    /// Samples so far.
    pub fn samples(&self) -> usize {
        match self {
            ChunkEncoder::Xor(e) => e.samples(),
            ChunkEncoder::Xor2(e) => e.samples(),
            ChunkEncoder::Histogram(e) => e.samples(),
            ChunkEncoder::FloatHistogram(e) => e.samples(),
        }
    }

    /// The chunk data so far: always a complete chunk.
    pub fn bytes(&self) -> &[u8] {
        match self {
            ChunkEncoder::Xor(e) => e.bytes(),
            ChunkEncoder::Xor2(e) => e.bytes(),
            ChunkEncoder::Histogram(e) => e.bytes(),
            ChunkEncoder::FloatHistogram(e) => e.bytes(),
        }
    }

    /// The finished chunk data.
    pub fn finish(self) -> Vec<u8> {
        match self {
            ChunkEncoder::Xor(e) => e.finish(),
            ChunkEncoder::Xor2(e) => e.finish(),
            ChunkEncoder::Histogram(e) => e.finish(),
            ChunkEncoder::FloatHistogram(e) => e.finish(),
        }
    }
}

/// Where a run of samples is cut into chunks, beside where it has to be: at a change of type, of
/// histogram layout, and where the encoding changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CutRule {
    /// After 120 samples: merged blocks. Histograms with a start time get the encoding that holds it.
    Merge,
    /// By size: chunks of the head that overlap and are written as one run. Samples with a start
    /// time get the encodings that hold it.
    Overlap,
    /// Nowhere else: the samples that gathered out of order.
    OutOfOrder,
    /// Nowhere else, and everything in this encoding: a chunk with deleted samples, left alone
    /// otherwise.
    Keep(Encoding),
}

/// How to re-encode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncodeOptions {
    pub rule: CutRule,
    /// Floats without start times become XOR2 instead of XOR ([`CutRule::Merge`], `OutOfOrder`).
    pub xor2: bool,
    /// Histograms get the encodings with start times ([`CutRule::OutOfOrder`]).
    pub histogram_st: bool,
}

impl Default for EncodeOptions {
    fn default() -> EncodeOptions {
        EncodeOptions { rule: CutRule::Merge, xor2: false, histogram_st: false }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Float,
    Integer,
    FloatHistogram,
}

/// Encodes the samples of `columns` into consecutive chunks.
pub fn encode(columns: &Columns, options: EncodeOptions) -> Result<Vec<EncodedChunk>, ChunkError> {
    let mut run = Run { options, done: Vec::new(), open: None };
    let mut histograms = columns.histograms.iter().peekable();
    for (i, (&t, &float)) in columns.timestamps.iter().zip(&columns.floats).enumerate() {
        let start = columns.start_timestamps.get(i).copied().unwrap_or(0);
        let value = match histograms.next_if(|h| h.index as usize == i) {
            None => Value::Float(float),
            Some(at) => match &at.value {
                HistogramValue::Integer(h) => Value::Histogram(h),
                HistogramValue::Float(h) => Value::FloatHistogram(h),
            },
        };
        run.append(start, t, value)?;
    }
    run.finish_open();
    Ok(run.done)
}

/// Chunks done and the one being written, with the times of its first and last sample.
struct Run {
    options: EncodeOptions,
    done: Vec<EncodedChunk>,
    open: Option<Open>,
}

struct Open {
    encoder: ChunkEncoder,
    kind: Kind,
    range: TimeRange,
}

impl Run {
    fn append(&mut self, start: i64, t: i64, value: Value<'_>) -> Result<(), ChunkError> {
        let kind = match value {
            Value::Float(_) => Kind::Float,
            Value::Histogram(_) => Kind::Integer,
            Value::FloatHistogram(_) => Kind::FloatHistogram,
        };
        let encoding = self.desired(kind, start != 0);
        if self.must_cut(kind, encoding, start != 0) {
            self.finish_open();
        }
        let open = self.open.get_or_insert_with(|| Open {
            encoder: ChunkEncoder::new(encoding),
            kind,
            range: TimeRange { min: t, max: t },
        });
        if let Some(next) = open.encoder.append(None, start, t, value)? {
            self.finish_open();
            self.open = Some(Open { encoder: next, kind, range: TimeRange { min: t, max: t } });
        } else {
            open.range.max = t;
        }
        Ok(())
    }

    fn desired(&self, kind: Kind, start: bool) -> Encoding {
        let (xor2, st) = match self.options.rule {
            CutRule::Merge => (start || self.options.xor2, start),
            CutRule::Overlap => (start, start),
            CutRule::OutOfOrder => (self.options.xor2, self.options.histogram_st),
            CutRule::Keep(encoding) => return encoding,
        };
        match kind {
            Kind::Float if xor2 => Encoding::Xor2,
            Kind::Float => Encoding::Xor,
            Kind::Integer if st => Encoding::HistogramSt,
            Kind::Integer => Encoding::Histogram,
            Kind::FloatHistogram if st => Encoding::FloatHistogramSt,
            Kind::FloatHistogram => Encoding::FloatHistogram,
        }
    }

    fn must_cut(&self, kind: Kind, desired: Encoding, start: bool) -> bool {
        let Some(open) = &self.open else { return false };
        if kind != open.kind {
            return true;
        }
        let (samples, bytes) = (open.encoder.samples(), open.encoder.bytes().len());
        let encoding = open.encoder.encoding();
        match self.options.rule {
            CutRule::Merge => {
                // Floats go on in the encoding they began in, unless it cannot hold a start time.
                let fits = encoding == desired
                    || kind == Kind::Float && !(start && encoding == Encoding::Xor);
                samples >= cut::SAMPLES_PER_CHUNK || !fits
            }
            CutRule::Overlap => {
                let full = match kind {
                    Kind::Float => bytes > MAX_FLOAT_BYTES_BEFORE_APPEND,
                    _ => bytes > HISTOGRAM_TARGET_BYTES && samples > MIN_HISTOGRAM_SAMPLES,
                };
                full || start && !encoding.has_start()
            }
            CutRule::OutOfOrder | CutRule::Keep(_) => false,
        }
    }

    fn finish_open(&mut self) {
        if let Some(open) = self.open.take() {
            self.done.push(EncodedChunk {
                range: open.range,
                encoding: open.encoder.encoding() as u8,
                data: open.encoder.finish(),
            });
        }
    }
}
