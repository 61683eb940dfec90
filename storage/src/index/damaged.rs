//! DamagedIndex: what can still be read of an index that cannot be opened: with the symbols whole,
//! every series whose entry is whole. Tables and postings are not needed: entries are walked, and
//! behind a damaged one the next is looked for at every place where one could begin.

use std::ops::Range;

use model::Labels;

use super::series::{self, ChunkMeta, LabelRefs};
use super::symbols::SymbolTable;
use super::toc::Toc;
use super::{HEADER_LEN, IndexCorruption, SERIES_ALIGN, Version, section};
use crate::encoding::DecBuf;
use crate::fs::Mapped;

/// An index as far as it can be read.
pub struct DamagedIndex {
    file: Mapped,
    version: Version,
    symbols: SymbolTable,
    /// Where series entries may lie.
    series: Range<u64>,
}

/// A step over the series section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Walked {
    /// A whole entry, by the series' id.
    Series(u32),
    /// Bytes in which no whole entry was found.
    Lost(Range<u64>),
}

impl DamagedIndex {
    /// Finds symbols and series. Without whole symbols nothing has a name.
    pub fn open(file: Mapped) -> Result<DamagedIndex, IndexCorruption> {
        let bytes = (*file).as_ref();
        let version = match bytes.get(4) {
            Some(1) => Version::V1,
            Some(3) => Version::V3,
            _ => Version::V2,
        };
        let toc = Toc::read(bytes).ok();
        let at = toc.map_or(HEADER_LEN as u64, |toc| toc.symbols);
        let symbols = SymbolTable::read(bytes, at, version)?;
        let section_len = section::content(bytes, at, false)?.len();
        let start = at + (4 + section_len + section::CRC_LEN) as u64;
        let ends = toc.map(|toc| {
            let behind =
                [toc.label_indices, toc.label_indices_table, toc.postings, toc.postings_table];
            behind.into_iter().filter(|offset| *offset >= start).min()
        });
        let len = bytes.len() as u64;
        let end = ends.flatten().unwrap_or(len).min(len);
        Ok(DamagedIndex { version, symbols, series: start..end, file })
    }

    fn bytes(&self) -> &[u8] {
        (*self.file).as_ref()
    }

    /// Walks over all series, in the order of the file.
    pub fn walk(&self) -> impl Iterator<Item = Walked> + '_ {
        let align = if self.version == Version::V1 { 1 } else { SERIES_ALIGN };
        let mut at = self.series.start;
        let mut waiting = None;
        std::iter::from_fn(move || {
            if let Some(found) = waiting.take() {
                return Some(found);
            }
            at = at.checked_next_multiple_of(align)?;
            let from = at;
            while at < self.series.end {
                let Some((id, end)) = self.whole_entry(at) else {
                    at += align;
                    continue;
                };
                let found = Walked::Series(id);
                let lost = from..at;
                at = end;
                if lost.is_empty() {
                    return Some(found);
                }
                waiting = Some(found);
                return Some(Walked::Lost(lost));
            }
            (from < self.series.end).then_some(Walked::Lost(from..self.series.end))
        })
    }

    /// Id and end of the entry at `offset`, if one begins there that is whole.
    fn whole_entry(&self, offset: u64) -> Option<(u32, u64)> {
        let id = match self.version {
            Version::V1 => u32::try_from(offset).ok()?,
            _ => u32::try_from(offset / SERIES_ALIGN).ok()?,
        };
        let mut buf = section::at(self.bytes(), offset).ok()?;
        let before = buf.len();
        let len = buf.uvarint_usize().ok()?;
        let header = before - buf.len();
        // The form is looked at before the checksum: of bytes that are no entry it is soon wrong,
        // and a length out of nowhere must not cost a checksum over half the file.
        let content = buf.bytes(len).ok()?;
        if !self.has_form(content) {
            return None;
        }
        series::entry(self.bytes(), id, self.version).ok()?;
        Some((id, offset + (header + len + section::CRC_LEN) as u64))
    }

    fn has_form(&self, content: &[u8]) -> bool {
        let mut buf = DecBuf::new(content);
        let mut labels = || -> Option<()> {
            let labels = buf.uvarint().ok()?;
            for _ in 0..labels.checked_mul(2)? {
                let symbol = buf.uvarint32().ok()?;
                if self.version != Version::V1 && symbol as usize >= self.symbols.len() {
                    return None;
                }
            }
            let chunks = buf.uvarint().ok()?;
            for chunk in 0..chunks {
                buf.varint().ok()?;
                buf.uvarint().ok()?;
                if chunk == 0 { buf.uvarint().map(drop) } else { buf.varint().map(drop) }.ok()?;
            }
            (labels > 0 && buf.is_empty()).then_some(())
        };
        labels().is_some()
    }

    /// The labels of a series of the walk.
    pub fn labels(&self, id: u32) -> Result<Labels, IndexCorruption> {
        let (content, offset) = series::entry(self.bytes(), id, self.version)?;
        let mut pairs = Vec::new();
        for pair in LabelRefs::new(content, offset)? {
            let (name, value) = pair?;
            let text = |symbol| self.symbols.get(self.bytes(), symbol);
            pairs.push((text(name)?, text(value)?));
        }
        Ok(Labels::from_pairs(pairs))
    }

    /// The chunks of a series of the walk.
    pub fn chunks(&self, id: u32) -> Result<Vec<ChunkMeta>, IndexCorruption> {
        let (content, offset) = series::entry(self.bytes(), id, self.version)?;
        LabelRefs::new(content, offset)?.chunks()?.collect()
    }
}
