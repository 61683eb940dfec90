//! Image: what a snapshot says of one series, and the series from it. Layout in
//! `docs/format/head-snapshot.md`.
//!
//! What must hold: an image that decodes is restored whole or refused, whatever it says: chunks
//! ascend, the open chunk goes on where its bits end.

use model::columns::HistogramValue;
use model::{Columns, FloatHistogram, Histogram, Metadata, SeriesRef, TimeRange};

use super::Head;
use super::apply::{Done, Series};
use super::mmap::HeadChunks;
use super::ooo::{OooSample, OooSeries, OooValue};
use super::open::BoxedChunk;
use super::series::{MappedChunk, OpenKind};
use super::tail::TailSink;
use crate::chunk::xor::{self, XorState};
use crate::chunk::{ChunkEncoder, ChunkRef, Encoding, decode, num_samples};
use crate::encoding::{BitSink, DecBuf, DecodeError, EncBuf};
use crate::record::{HistogramPayload, RefMetadata};

/// Why an image is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ImageError {
    #[error(transparent)]
    Decode(#[from] DecodeError),
    #[error(transparent)]
    Chunk(#[from] crate::chunk::ChunkError),
    #[error("{0}")]
    Unusable(&'static str),
    #[error("head chunk: {0}")]
    Mapped(String),
}

/// More than the bits of an open XOR chunk ever take, and less than a tail can hold.
const MAX_TAIL_BYTES: usize = 12_000;

/// Bits of an image's first byte.
mod flag {
    pub const STALE: u8 = 1;
    pub const CHUNKS: u8 = 2;
    pub const OPEN: u8 = 4;
    pub const LATE: u8 = 8;
    pub const METADATA: u8 = 16;
    /// The end of the open histogram chunk has been predicted.
    pub const PREDICTED: u8 = 32;
}

/// The last sample of an open chunk, as far as its bits do not say it.
pub(crate) enum Last {
    Float(f64),
    Histogram(HistogramValue),
}

/// An open chunk.
pub(crate) struct OpenImage {
    pub encoding: Encoding,
    pub min_t: i64,
    pub max_t: i64,
    pub next_at: i64,
    pub predicted: bool,
    pub last: Last,
}

impl Series<'_> {
    /// The open chunk, its data appended to `data`.
    pub(super) fn open_image(&self, data: &mut Vec<u8>) -> Option<OpenImage> {
        let (hot, cold) = (&self.records.hot[self.place], &self.records.cold[self.place]);
        let (min_t, next_at) = (hot.min_t, hot.next_at);
        match hot.open {
            OpenKind::None => None,
            OpenKind::Xor => {
                hot.tail.copy_to(&self.records.slab, hot.xor.samples(), data);
                let last = Last::Float(hot.xor.last_value());
                let (encoding, max_t) = (Encoding::Xor, hot.xor.last_t());
                Some(OpenImage { encoding, min_t, max_t, next_at, predicted: false, last })
            }
            OpenKind::Boxed => {
                let open = cold.boxed()?;
                data.extend_from_slice(open.bytes());
                let last = match open.last_float() {
                    Some(v) => Last::Float(v),
                    None => Last::Histogram(cold.last_histogram()?.clone()),
                };
                let (encoding, max_t) = (open.encoding(), open.last_t());
                let predicted = open.is_predicted();
                Some(OpenImage { encoding, min_t, max_t, next_at, predicted, last })
            }
        }
    }

    /// Opens a chunk that was open before, behind what the series has. `columns` is memory to use.
    pub(super) fn restore_open(
        &mut self,
        image: OpenImage,
        data: &[u8],
        columns: &mut Columns,
    ) -> Result<(), ImageError> {
        let OpenImage { encoding, min_t, max_t, next_at, predicted, last } = image;
        if max_t.abs_diff(min_t) > u64::from(u32::MAX) {
            return Err(ImageError::Unusable("an open chunk spans more time than any"));
        }
        if self.last_t().is_some_and(|last| last >= min_t) {
            return Err(ImageError::Unusable("an open chunk begins before the full ones end"));
        }
        let records = &mut *self.records;
        let (hot, cold) = (&mut records.hot[self.place], &mut records.cold[self.place]);
        columns.clear();
        let fits = |columns: &Columns| {
            let times = &columns.timestamps;
            let ends = (times.first(), times.last()) == (Some(&min_t), Some(&max_t));
            match ends && times.is_sorted_by(|a, b| a < b) {
                true => Ok(()),
                false => Err(ImageError::Unusable("times of an open chunk are not what they were")),
            }
        };
        if encoding == Encoding::Xor {
            if data.len() > MAX_TAIL_BYTES {
                return Err(ImageError::Unusable("an open chunk is larger than any"));
            }
            let (state, bits) = XorState::resume(data, columns)?;
            fits(columns)?;
            let mut sink = TailSink { tail: &mut hot.tail, slab: &mut records.slab };
            put_bits(&mut sink, data.get(xor::HEADER_SIZE..).unwrap_or_default(), bits);
            hot.xor = state;
            hot.open = OpenKind::Xor;
        } else {
            decode(encoding as u8, data, TimeRange::ALL, columns)?;
            fits(columns)?;
            let encoder = ChunkEncoder::resume(encoding, data.to_vec())?;
            let last_float = if let Last::Float(v) = last { v } else { 0.0 };
            let extra = cold.extra_mut();
            extra.open = Some(BoxedChunk::restore(encoder, max_t, last_float, predicted));
            if let Last::Histogram(h) = last {
                extra.last_histogram = Some(h);
            }
            hot.open = OpenKind::Boxed;
        }
        (hot.min_t, hot.next_at) = (min_t, next_at);
        self.page.set_last_t(self.place, max_t);
        Ok(())
    }
}

/// The first `bits` bits of `data`.
fn put_bits(sink: &mut TailSink<'_>, data: &[u8], bits: usize) {
    let mut left = bits;
    for word in data.chunks(8) {
        if left == 0 {
            return;
        }
        let mut bytes = [0; 8];
        bytes[..word.len()].copy_from_slice(word);
        let n = left.min(word.len() * 8);
        sink.write_bits(u64::from_be_bytes(bytes) >> (64 - n), n as u32);
        left -= n;
    }
}

/// Appends the image of a series; `false` for one that cannot have any, because full chunks of it
/// are in memory only.
pub(super) fn put(series: &Series<'_>, out: &mut Vec<u8>, scratch: &mut Vec<u8>) -> bool {
    scratch.clear();
    let (hot, cold) = (&series.records.hot[series.place], &series.records.cold[series.place]);
    let open = series.open_image(scratch);
    let ooo = cold.ooo().filter(|ooo| !ooo.is_empty());
    if !cold.unwritten().is_empty() || ooo.is_some_and(|ooo| !ooo.unwritten.is_empty()) {
        return false;
    }
    let metadata = cold.extra.as_ref().and_then(|e| e.metadata.as_ref());
    let chunks: Vec<MappedChunk> = cold.chunks.iter().collect();
    let bit = |on: bool, bit: u8| if on { bit } else { 0 };
    out.put_u8(
        bit(hot.stale, flag::STALE)
            | bit(!chunks.is_empty(), flag::CHUNKS)
            | bit(open.is_some(), flag::OPEN)
            | bit(ooo.is_some(), flag::LATE)
            | bit(metadata.is_some(), flag::METADATA)
            | bit(open.as_ref().is_some_and(|o| o.predicted), flag::PREDICTED),
    );
    if !chunks.is_empty() {
        put_chunks(&chunks, out);
    }
    if let Some(open) = open {
        out.put_u8(open.encoding as u8);
        out.put_varint(open.min_t);
        out.put_varint(open.max_t.wrapping_sub(open.min_t));
        out.put_varint(open.next_at.wrapping_sub(open.min_t));
        out.put_uvarint_bytes(scratch);
        match &open.last {
            Last::Float(v) if open.encoding != Encoding::Xor => out.put_be_f64(*v),
            Last::Float(_) => {}
            Last::Histogram(h) => put_histogram(h, out),
        }
    }
    if let Some(ooo) = ooo {
        put_chunks(&ooo.chunks, out);
        out.put_uvarint(ooo.samples.len() as u64);
        for s in &ooo.samples {
            out.put_varint(s.t);
            out.put_varint(s.start_t);
            match &s.value {
                OooValue::Float(v) => {
                    out.put_u8(Encoding::Xor as u8);
                    out.put_be_f64(*v);
                }
                OooValue::Histogram(h) => {
                    out.put_u8(super::open::encoding_of(h, false) as u8);
                    put_histogram(h, out);
                }
            }
        }
    }
    if let Some(m) = metadata {
        out.put_u8(m.metric_type as u8);
        out.put_uvarint_str(&m.unit);
        out.put_uvarint_str(&m.help);
    }
    true
}

fn put_histogram(h: &HistogramValue, out: &mut Vec<u8>) {
    match h {
        HistogramValue::Integer(h) => h.put(out),
        HistogramValue::Float(h) => h.put(out),
    }
}

fn put_chunks(chunks: &[MappedChunk], out: &mut Vec<u8>) {
    out.put_uvarint(chunks.len() as u64);
    for c in chunks {
        out.put_be64(c.chunk_ref);
        out.put_varint(c.min_t);
        out.put_uvarint(u64::from(c.span_ms));
        out.put_uvarint(u64::from(c.samples));
        out.put_u8(c.encoding);
    }
}

/// Restores series from images, for one thread.
pub(super) struct Restorer<'h> {
    head: &'h Head,
    /// In-order chunks that end before it are in blocks.
    pub min_valid: i64,
    pub done: Done,
    columns: Columns,
}

impl<'h> Restorer<'h> {
    pub fn new(head: &'h Head, min_valid: i64) -> Restorer<'h> {
        Restorer { head, min_valid, done: Done::NOTHING, columns: Columns::default() }
    }

    /// Takes an image off the front of `buf` and gives an empty series what it says.
    pub fn series(
        &mut self,
        series: &mut Series<'_>,
        buf: &mut DecBuf<'_>,
    ) -> Result<(), ImageError> {
        let Image { stale, mut chunks, open, late, metadata } = Image::read(buf)?;
        let place = series.place;
        if let Some(last) = chunks.last() {
            series.page.set_last_t(place, last.max_t());
            // Those in blocks may be gone with their files.
            chunks.retain(|c| c.max_t() >= self.min_valid);
            chunks.iter().try_for_each(|chunk| verify(&self.head.chunks, chunk))?;
            self.done.chunks_created += chunks.len() as u64;
            series.records.cold[place].chunks.extend(&chunks);
        }
        if let Some((open, data)) = open {
            series.restore_open(open, data, &mut self.columns)?;
            self.done.chunks_created += 1;
        }
        if let Some(late) = late {
            late.chunks.iter().try_for_each(|chunk| verify(&self.head.chunks, chunk))?;
            let (min, max) = late.bounds();
            if min <= max {
                self.head.extend_late(min, max);
            }
            self.done.chunks_created += late.chunk_count();
            series.records.cold[place].extra_mut().ooo = Some(late);
        }
        if let Some(metadata) = metadata {
            series.records.cold[place].extra_mut().metadata = Some(metadata);
        }
        if stale {
            series.records.hot[place].stale = true;
            self.done.stale += 1;
        }
        Ok(())
    }
}

/// What a snapshot says of one series, decoded and not yet compared with anything.
pub(crate) struct Image<'a> {
    /// The last sample is a staleness marker.
    pub stale: bool,
    /// Full chunks, ascending.
    pub chunks: Vec<MappedChunk>,
    /// The open chunk with its data.
    pub open: Option<(OpenImage, &'a [u8])>,
    pub late: Option<OooSeries>,
    pub metadata: Option<Metadata>,
}

impl<'a> Image<'a> {
    /// Takes an image off the front of `buf`.
    pub fn read(buf: &mut DecBuf<'a>) -> Result<Image<'a>, ImageError> {
        let flags = buf.u8()?;
        let has = |bit: u8| flags & bit != 0;
        let chunks = if has(flag::CHUNKS) { read_chunks(buf)? } else { Vec::new() };
        if !chunks.is_sorted_by(|a, b| a.max_t() < b.min_t) {
            return Err(ImageError::Unusable("chunks of a series do not ascend"));
        }
        let open = match has(flag::OPEN) {
            true => Some(read_open(buf, has(flag::PREDICTED))?),
            false => None,
        };
        let late = if has(flag::LATE) { Some(read_late(buf)?) } else { None };
        let metadata = if has(flag::METADATA) { Some(read_metadata(buf)?) } else { None };
        Ok(Image { stale: has(flag::STALE), chunks, open, late, metadata })
    }
}

fn read_open<'a>(
    buf: &mut DecBuf<'a>,
    predicted: bool,
) -> Result<(OpenImage, &'a [u8]), ImageError> {
    let encoding = Encoding::from_u8(buf.u8()?)?;
    let min_t = buf.varint()?;
    let max_t = min_t.wrapping_add(buf.varint()?);
    let next_at = min_t.wrapping_add(buf.varint()?);
    let data = buf.uvarint_bytes()?;
    let last = match encoding {
        Encoding::Xor => Last::Float(0.0),
        Encoding::Xor2 => Last::Float(buf.be_f64()?),
        other => Last::Histogram(read_histogram(other, buf)?),
    };
    Ok((OpenImage { encoding, min_t, max_t, next_at, predicted, last }, data))
}

fn read_late(buf: &mut DecBuf<'_>) -> Result<OooSeries, ImageError> {
    let mut late = OooSeries { chunks: read_chunks(buf)?, ..OooSeries::default() };
    for _ in 0..buf.uvarint()? {
        let (t, start_t) = (buf.varint()?, buf.varint()?);
        let value = match Encoding::from_u8(buf.u8()?)? {
            Encoding::Xor => OooValue::Float(buf.be_f64()?),
            other => OooValue::Histogram(read_histogram(other, buf)?),
        };
        if !late.insert(OooSample { t, start_t, value }) {
            return Err(ImageError::Unusable("late samples of a series repeat a time"));
        }
    }
    Ok(late)
}

fn read_metadata(buf: &mut DecBuf<'_>) -> Result<Metadata, ImageError> {
    let stored = RefMetadata {
        series: SeriesRef::default(),
        type_number: buf.u8()?,
        unit: buf.uvarint_str()?,
        help: buf.uvarint_str()?,
    };
    Ok(Metadata {
        metric_type: stored.metric_type(),
        unit: stored.unit.to_owned(),
        help: stored.help.to_owned(),
    })
}

/// A list of chunks of `chunks_head`.
fn read_chunks(buf: &mut DecBuf<'_>) -> Result<Vec<MappedChunk>, ImageError> {
    let count = buf.uvarint_usize()?;
    let mut chunks = Vec::with_capacity(count.min(buf.len() / 12 + 1));
    for _ in 0..count {
        chunks.push(MappedChunk {
            chunk_ref: buf.be64()?,
            min_t: buf.varint()?,
            span_ms: buf.uvarint32()?,
            samples: u16::try_from(buf.uvarint()?).map_err(|_| DecodeError::InvalidSize)?,
            encoding: buf.u8()?,
        });
    }
    Ok(chunks)
}

/// Looks whether a chunk is where and what it should be.
fn verify(chunks: &HeadChunks, chunk: &MappedChunk) -> Result<(), ImageError> {
    let found = chunks.files().read(ChunkRef(chunk.chunk_ref));
    let found = found.map_err(|e| ImageError::Mapped(e.to_string()))?;
    let same = found.range.min == chunk.min_t
        && found.range.max == chunk.max_t()
        && found.encoding == chunk.encoding
        && num_samples(found.encoding, &found.data)? == usize::from(chunk.samples);
    if !same {
        return Err(ImageError::Unusable("a head chunk is not what it was"));
    }
    chunks.found(chunk.chunk_ref);
    Ok(())
}

pub(super) fn read_histogram(
    encoding: Encoding,
    buf: &mut DecBuf<'_>,
) -> Result<HistogramValue, ImageError> {
    Ok(match encoding {
        Encoding::Histogram | Encoding::HistogramSt => {
            let mut h = Histogram::default();
            h.read(buf)?;
            HistogramValue::Integer(Box::new(h))
        }
        Encoding::FloatHistogram | Encoding::FloatHistogramSt => {
            let mut h = FloatHistogram::default();
            h.read(buf)?;
            HistogramValue::Float(Box::new(h))
        }
        _ => return Err(ImageError::Unusable("a float where a histogram should be")),
    })
}
