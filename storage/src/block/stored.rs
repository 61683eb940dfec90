//! Stored: the series of a block as they lie in its files, for a merge that copies them.

use std::ops::Range;

use model::{QueryError, TimeRange};

use super::open::Block;
use crate::chunkfile::{ReadAhead, Run};
use crate::index::{ChunkMeta, LabelNumber, label_number};
use crate::source::{SeriesId, StoredSeries};

pub(super) struct Stored<'a> {
    block: &'a Block,
    /// Reads the chunks when they are not to come from their mapping.
    ahead: Option<ReadAhead<'a>>,
    entries: Entries<'a>,
}

/// Where the entries of the chunks read last are.
enum Entries<'a> {
    Mapped(&'a [u8]),
    Ahead(Range<usize>),
}

impl<'a> Stored<'a> {
    pub(super) fn new(block: &'a Block) -> Stored<'a> {
        let ahead = block.ahead.as_ref();
        let ahead = ahead.map(|(fs, caching)| ReadAhead::new(fs.clone(), &block.chunks, *caching));
        Stored { block, ahead, entries: Entries::Mapped(&[]) }
    }
}

impl StoredSeries for Stored<'_> {
    fn next(
        &mut self,
        id: SeriesId,
        range: TimeRange,
        labels: &mut Vec<LabelNumber>,
        chunks: &mut Vec<ChunkMeta>,
    ) -> Result<Option<Run>, QueryError> {
        let index = &*self.block.index;
        let corrupt = |error| index.corruption(error);
        let mut refs = index.label_refs(id)?;
        for pair in refs.by_ref() {
            let (name, value) = pair.map_err(corrupt)?;
            labels.push(label_number(name, value));
        }
        let mut plain = self.block.deleted(id).is_none();
        for chunk in refs.chunks().map_err(corrupt)? {
            let chunk = chunk.map_err(corrupt)?;
            if chunk.range.min > range.max {
                break;
            }
            if chunk.range.max >= range.min {
                plain &= chunk.range.min >= range.min && chunk.range.max <= range.max;
                chunks.push(chunk);
            }
        }
        if !plain {
            return Ok(None);
        }
        let at = chunks.iter().map(|chunk| chunk.reference);
        let found = match &mut self.ahead {
            Some(ahead) => ahead.run(at)?.map(|(run, place)| (run, Entries::Ahead(place))),
            None => self.block.chunks.run(at).map(|(run, bytes)| (run, Entries::Mapped(bytes))),
        };
        Ok(found.map(|(run, entries)| {
            self.entries = entries;
            run
        }))
    }

    fn entries(&self) -> &[u8] {
        match (&self.entries, &self.ahead) {
            (Entries::Mapped(bytes), _) => bytes,
            (Entries::Ahead(place), Some(ahead)) => ahead.bytes(place.clone()),
            (Entries::Ahead(_), None) => &[],
        }
    }
}
