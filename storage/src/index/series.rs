//! Series entries: the label references and chunk list of one series.
//!
//! Entry, at a multiple of 16 bytes (any offset in version 1): length uvarint, label count, pairs of
//! symbol references, chunk count, chunks (first: mint varint, maxt − mint, reference; then: mint −
//! previous maxt, maxt − mint, reference as a varint difference), CRC-32C.

use model::TimeRange;

use super::numbers::{LabelNumber, label_symbols};
use super::section::{self, corrupt};
use super::{IndexCorruption, SERIES_ALIGN, Version};
use crate::chunk::ChunkRef;
use crate::encoding::{DecBuf, DecodeError, EncBuf, zigzag};

/// One chunk of a series as the index knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkMeta {
    /// First and last sample time, inclusive.
    pub range: TimeRange,
    /// Where it lies in the block's segments.
    pub reference: ChunkRef,
}

impl ChunkMeta {
    /// No chunk: a place for one.
    pub const NONE: ChunkMeta =
        ChunkMeta { range: TimeRange { min: 0, max: 0 }, reference: ChunkRef(0) };
}

/// Offset in the file of the entry of series `id`.
pub(super) fn offset_of(id: u32, version: Version) -> u64 {
    if version == Version::V1 { u64::from(id) } else { u64::from(id) * SERIES_ALIGN }
}

/// The checked content of the entry of series `id`, and its offset.
#[inline]
pub(super) fn entry(
    file: &[u8],
    id: u32,
    version: Version,
) -> Result<(&[u8], u64), IndexCorruption> {
    let offset = offset_of(id, version);
    Ok((section::uvarint_content(file, offset)?, offset))
}

/// The label references of an entry: (name, value) as symbol references.
#[derive(Clone, Debug)]
pub struct LabelRefs<'a> {
    buf: DecBuf<'a>,
    left: u64,
    offset: u64,
}

impl<'a> LabelRefs<'a> {
    /// Starts at the beginning of an entry's content.
    pub(super) fn new(content: &'a [u8], offset: u64) -> Result<LabelRefs<'a>, IndexCorruption> {
        let mut buf = DecBuf::new(content);
        let left = buf.uvarint().map_err(|e| corrupt(offset, e))?;
        Ok(LabelRefs { buf, left, offset })
    }

    #[inline]
    fn pair(&mut self) -> Result<(u32, u32), DecodeError> {
        Ok((self.buf.uvarint32()?, self.buf.uvarint32()?))
    }

    /// The part of the entry's content that is labels.
    pub(super) fn bytes_of(mut self, content: &'a [u8]) -> Option<&'a [u8]> {
        if self.by_ref().any(|pair| pair.is_err()) {
            return None;
        }
        content.get(..content.len() - self.buf.len())
    }

    /// The chunk list behind the labels.
    pub fn chunks(mut self) -> Result<ChunkMetas<'a>, IndexCorruption> {
        for pair in self.by_ref() {
            pair?;
        }
        let left = self.buf.uvarint().map_err(|e| corrupt(self.offset, e))?;
        Ok(ChunkMetas { buf: self.buf, left, last: None, offset: self.offset })
    }
}

impl Iterator for LabelRefs<'_> {
    type Item = Result<(u32, u32), IndexCorruption>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let pair = self.pair();
        if pair.is_err() {
            self.left = 0;
        }
        Some(pair.map_err(|e| corrupt(self.offset, e)))
    }
}

/// The chunks of an entry, ascending in time in every index a store writes.
#[derive(Clone, Debug)]
pub struct ChunkMetas<'a> {
    buf: DecBuf<'a>,
    left: u64,
    last: Option<ChunkMeta>,
    offset: u64,
}

impl ChunkMetas<'_> {
    /// Numbers wrap as they do in Go: what they name is checked where it is read.
    #[inline]
    fn chunk(&mut self) -> Result<ChunkMeta, DecodeError> {
        let (min, reference);
        let max;
        match self.last {
            None => {
                min = self.buf.varint()?;
                max = min.wrapping_add_unsigned(self.buf.uvarint()?);
                reference = self.buf.uvarint()?;
            }
            Some(last) => {
                min = last.range.max.wrapping_add_unsigned(self.buf.uvarint()?);
                max = min.wrapping_add_unsigned(self.buf.uvarint()?);
                reference = last.reference.0.wrapping_add_signed(self.buf.varint()?);
            }
        }
        let chunk = ChunkMeta { range: TimeRange { min, max }, reference: ChunkRef(reference) };
        self.last = Some(chunk);
        Ok(chunk)
    }
}

impl Iterator for ChunkMetas<'_> {
    type Item = Result<ChunkMeta, IndexCorruption>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let chunk = self.chunk();
        if chunk.is_err() {
            self.left = 0;
        }
        Some(chunk.map_err(|e| corrupt(self.offset, e)))
    }
}

/// Appends the content of an entry (without length and checksum) to `out`.
pub(super) fn write_content(out: &mut Vec<u8>, labels: &[LabelNumber], chunks: &[ChunkMeta]) {
    out.put_uvarint(labels.len() as u64);
    for label in labels {
        let (name, value) = label_symbols(*label);
        out.put_uvarint(u64::from(name));
        out.put_uvarint(u64::from(value));
    }
    out.put_uvarint(chunks.len() as u64);
    let mut last: Option<&ChunkMeta> = None;
    for chunk in chunks {
        let span = chunk.range.max.wrapping_sub(chunk.range.min) as u64;
        match last {
            None => {
                out.put_varint(chunk.range.min);
                out.put_uvarint(span);
                out.put_uvarint(chunk.reference.0);
            }
            Some(last) => {
                let gap = chunk.range.min.wrapping_sub(last.range.max) as u64;
                let on = zigzag(chunk.reference.0.wrapping_sub(last.reference.0) as i64);
                out.put_uvarints([gap, span, on]);
            }
        }
        last = Some(chunk);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::label_number;
    use super::*;

    proptest! {
        #[test]
        fn entries_come_back(
            labels in proptest::collection::vec(any::<(u32, u32)>(), 0..12),
            chunks in proptest::collection::vec(any::<(i64, i64, u64)>(), 0..12),
        ) {
            let chunks: Vec<ChunkMeta> = chunks
                .into_iter()
                .map(|(min, max, reference)| {
                    ChunkMeta { range: TimeRange { min, max }, reference: ChunkRef(reference) }
                })
                .collect();
            let mut content = Vec::new();
            let numbers: Vec<LabelNumber> = labels.iter().map(|(n, v)| label_number(*n, *v)).collect();
            write_content(&mut content, &numbers, &chunks);
            let refs = LabelRefs::new(&content, 0).unwrap();
            let got: Vec<(u32, u32)> = refs.clone().map(Result::unwrap).collect();
            prop_assert_eq!(got, labels);
            let got: Vec<ChunkMeta> = refs.chunks().unwrap().map(Result::unwrap).collect();
            prop_assert_eq!(got, chunks);
        }

        #[test]
        fn any_bytes_end(content in proptest::collection::vec(any::<u8>(), 0..40)) {
            if let Ok(refs) = LabelRefs::new(&content, 7) {
                prop_assert!(refs.clone().count() <= 40);
                if let Ok(chunks) = refs.chunks() {
                    prop_assert!(chunks.count() <= 40);
                }
            }
        }
    }
}
