//! Chunk: a run of samples of one series, compressed. Six encodings, one file each; all of them are
//! Prometheus's, bit for bit, and described in `docs/format/chunk-encodings.md`.
//!
//! Reading decodes a whole chunk straight into the arrays of [`Columns`]; there is no per-sample
//! iterator. Writing goes through one encoder per encoding ([`xor::XorEncoder`],
//! [`xor2::Xor2Encoder`], [`histogram_append::HistogramEncoder`]), or [`encode()`] for a whole column run.

mod buckets;
mod chunk_ref;
pub mod cut;
mod encode;
pub mod float_histogram;
pub mod histogram;
pub mod histogram_append;
mod layout;
mod run;
mod start_time;
mod window;
pub mod xor;
pub mod xor2;

use model::{Columns, TimeRange};

pub use chunk_ref::ChunkRef;
pub use encode::{ChunkEncoder, CutRule, EncodeOptions, encode};

use crate::encoding::DecodeError;

/// The encodings by the byte that names them on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Encoding {
    /// Floats.
    Xor = 1,
    /// Integer histograms.
    Histogram = 2,
    /// Float histograms.
    FloatHistogram = 3,
    /// Floats with optional start timestamps.
    Xor2 = 4,
    /// Integer histograms with optional start timestamps.
    HistogramSt = 5,
    /// Float histograms with optional start timestamps.
    FloatHistogramSt = 6,
}

impl Encoding {
    /// The encoding a byte names.
    pub fn from_u8(byte: u8) -> Result<Encoding, ChunkError> {
        Ok(match byte {
            1 => Encoding::Xor,
            2 => Encoding::Histogram,
            3 => Encoding::FloatHistogram,
            4 => Encoding::Xor2,
            5 => Encoding::HistogramSt,
            6 => Encoding::FloatHistogramSt,
            other => return Err(ChunkError::UnknownEncoding(other)),
        })
    }

    /// Whether its samples are floats.
    pub fn is_float(self) -> bool {
        matches!(self, Encoding::Xor | Encoding::Xor2)
    }

    /// Whether it can hold start timestamps.
    pub fn has_start(self) -> bool {
        matches!(self, Encoding::Xor2 | Encoding::HistogramSt | Encoding::FloatHistogramSt)
    }
}

/// Why chunk bytes could not be read or made.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ChunkError {
    /// No encoding has this number.
    #[error("invalid chunk encoding {0}")]
    UnknownEncoding(u8),
    /// The data ends before its last sample, or a number in it does not fit its type.
    #[error("chunk data ends before its last sample")]
    Truncated,
    /// A value window that is wider than a value.
    #[error("chunk data has a window of {leading} leading zeros and {bits} bits")]
    InvalidWindow { leading: u32, bits: u32 },
    /// A histogram schema this version does not know.
    #[error(
        "histogram has an unknown schema, which must be between -9 and 52 for exponential buckets, or -53 for custom buckets, got schema {0}"
    )]
    UnknownSchema(i64),
    /// A histogram whose parts do not fit each other.
    #[error("invalid histogram in chunk: {0}")]
    InvalidHistogram(&'static str),
    /// A sample of another type than the chunk's.
    #[error("sample type does not fit the chunk encoding")]
    WrongType,
    /// The chunk holds as many samples as its header can count.
    #[error("chunk capacity exceeded")]
    Full,
}

impl From<DecodeError> for ChunkError {
    fn from(_: DecodeError) -> ChunkError {
        ChunkError::Truncated
    }
}

/// Appends the samples of a chunk that lie inside `range` to `out`. On an error `out` is as before.
///
/// Samples come in stored order, which is ascending in every chunk a store writes; the order is not
/// checked here. Float chunks tell `out` whether their samples lie equally far apart
/// ([`Columns::regular`]).
pub fn decode(
    encoding: u8,
    data: &[u8],
    range: TimeRange,
    out: &mut Columns,
) -> Result<(), ChunkError> {
    let start = out.len();
    let histograms = out.histograms.len();
    let had_starts = !out.start_timestamps.is_empty();
    let decoded = match Encoding::from_u8(encoding)? {
        Encoding::Xor => xor::decode(data, out),
        Encoding::Xor2 => xor2::decode(data, out),
        Encoding::Histogram => histogram::decode(data, false, out).map(|()| None),
        Encoding::HistogramSt => histogram::decode(data, true, out).map(|()| None),
        Encoding::FloatHistogram => float_histogram::decode(data, false, out).map(|()| None),
        Encoding::FloatHistogramSt => float_histogram::decode(data, true, out).map(|()| None),
    };
    let step = match decoded {
        Ok(step) => step,
        Err(error) => {
            out.timestamps.truncate(start);
            out.floats.truncate(start);
            out.start_timestamps.truncate(if had_starts { start } else { 0 });
            out.histograms.truncate(histograms);
            return Err(error);
        }
    };
    if had_starts {
        out.start_timestamps.resize(out.timestamps.len(), 0);
    }
    clip(out, start, histograms, range);
    out.note_step(start, step);
    Ok(())
}

/// Drops the samples from position `start` (histogram entry `histograms`) on that lie outside
/// `range`.
fn clip(out: &mut Columns, start: usize, histograms: usize, range: TimeRange) {
    let added = &out.timestamps[start..];
    let outside = |t: Option<&i64>| t.is_some_and(|&t| !range.contains(t));
    if !outside(added.first()) && !outside(added.last()) {
        return;
    }
    let end = start + added.partition_point(|&t| t <= range.max);
    let skip = added.partition_point(|&t| t < range.min).min(end - start);
    out.timestamps.truncate(end);
    out.timestamps.drain(start..start + skip);
    out.floats.truncate(end);
    out.floats.drain(start..start + skip);
    if !out.start_timestamps.is_empty() {
        out.start_timestamps.truncate(end);
        out.start_timestamps.drain(start..start + skip);
    }
    if out.histograms.len() > histograms {
        let keep = |at: usize| move |h: &model::columns::HistogramAt| (h.index as usize) < at;
        let added = &out.histograms[histograms..];
        let last = histograms + added.partition_point(keep(end));
        let first = added.partition_point(keep(start + skip)).min(last - histograms);
        out.histograms.truncate(last);
        out.histograms.drain(histograms..histograms + first);
        for h in &mut out.histograms[histograms..] {
            h.index -= skip as u32;
        }
    }
}

/// The number of samples a chunk's header counts.
pub fn num_samples(encoding: u8, data: &[u8]) -> Result<usize, ChunkError> {
    let encoding = Encoding::from_u8(encoding)?;
    let count = data.first_chunk::<2>().ok_or(ChunkError::Truncated)?;
    let count = usize::from(u16::from_be_bytes(*count));
    Ok(match encoding {
        Encoding::HistogramSt | Encoding::FloatHistogramSt => count & histogram::ST_COUNT_MASK,
        _ => count,
    })
}
