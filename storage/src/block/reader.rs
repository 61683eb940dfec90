//! Reading a block: its side of the seam that queries and compaction see.

use std::borrow::Cow;
use std::ops::ControlFlow;
use std::sync::Arc;

use model::{CancelToken, Columns, EncodedChunk, Labels, Matcher, QueryError, TimeRange};

use super::open::Block;
use super::stored::Stored;
use crate::chunk::{self, ChunkError, ChunkRef, CutRule, EncodeOptions, Encoding};
use crate::chunkfile::AT_ONCE;
use crate::index::{ChunkMeta, Version};
use crate::postings::{PostingsSource, label_values, postings_for_matchers, subtract};
use crate::source::{BlockReader, SeriesId, SeriesIds, SourceChunk, StoredSeries, Symbols};
use crate::tombstones::Intervals;

impl Block {
    pub(super) fn deleted(&self, id: SeriesId) -> Option<&Intervals> {
        self.tombstones.get(u64::from(id))
    }

    /// Visits the chunks of a series that overlap `range` and are not wholly deleted.
    fn visit_chunks(
        &self,
        id: SeriesId,
        range: TimeRange,
        deleted: Option<&Intervals>,
        mut visit: impl FnMut(ChunkMeta) -> Result<ControlFlow<()>, QueryError>,
    ) -> Result<(), QueryError> {
        for meta in self.index.chunks(id)? {
            let meta = meta.map_err(|e| self.index.corruption(e))?;
            if meta.range.min > range.max {
                break;
            }
            let shows =
                meta.range.max >= range.min && !deleted.is_some_and(|d| d.covers(meta.range));
            if shows && visit(meta)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    /// Appends the samples of chunks, [`AT_ONCE`] at most, inside `range`.
    fn decode(
        &self,
        metas: &[ChunkMeta],
        range: TimeRange,
        out: &mut Columns,
    ) -> Result<(), QueryError> {
        let (mut places, mut chunks) = ([ChunkRef(0); AT_ONCE], [(0, &[][..]); AT_ONCE]);
        places.iter_mut().zip(metas).for_each(|(place, meta)| *place = meta.reference);
        self.chunks.chunks(places.get(..metas.len()).unwrap_or(&places), &mut chunks)?;
        for (meta, (encoding, data)) in metas.iter().zip(chunks) {
            chunk::decode(encoding, data, range, out).map_err(|e| self.corrupt(meta, &e))?;
        }
        Ok(())
    }

    fn corrupt(&self, meta: &ChunkMeta, error: &ChunkError) -> QueryError {
        QueryError::Corrupt(format!(
            "cannot populate chunk {} from block {}: {error}",
            meta.reference.0, self.meta.ulid
        ))
    }

    /// A chunk without its deleted samples; `None` when nothing is left.
    fn without_deleted(
        &self,
        encoding: u8,
        data: &[u8],
        deleted: &Intervals,
    ) -> Result<Option<EncodedChunk>, ChunkError> {
        let mut columns = Columns::default();
        chunk::decode(encoding, data, TimeRange::ALL, &mut columns)?;
        deleted.subtract(&mut columns, 0);
        let rule = CutRule::Keep(Encoding::from_u8(encoding)?);
        let encoded = chunk::encode(&columns, EncodeOptions { rule, ..Default::default() })?;
        Ok(encoded.into_iter().next())
    }
}

impl BlockReader for Block {
    fn range(&self) -> TimeRange {
        TimeRange { min: self.meta.min_time, max: self.meta.max_time.saturating_sub(1) }
    }

    fn postings(
        &self,
        matchers: &[Matcher],
        cancel: &CancelToken,
    ) -> Result<SeriesIds, QueryError> {
        postings_for_matchers(&*self.index, matchers, Some(&self.cache), cancel)
    }

    fn retain_in_range(&self, ids: &mut SeriesIds, range: TimeRange) -> Result<(), QueryError> {
        // Mostly all have, and what is shared is not copied then.
        let mut gone: Vec<SeriesId> = Vec::new();
        for id in ids.iter() {
            let mut found = false;
            self.visit_chunks(*id, range, self.deleted(*id), |_| {
                found = true;
                Ok(ControlFlow::Break(()))
            })?;
            if !found {
                gone.push(*id);
            }
        }
        if !gone.is_empty() {
            subtract(Arc::make_mut(ids), gone.as_slice());
        }
        Ok(())
    }

    fn symbols(&self) -> Option<Symbols<'_>> {
        Some(Box::new(self.index.symbols().map(|s| s.map(Cow::Borrowed))))
    }

    fn label_ordered(&self) -> bool {
        true
    }

    fn labels(&self, id: SeriesId) -> Result<Labels, QueryError> {
        self.index.labels(id)
    }

    fn labels_of(&self, ids: &[SeriesId], out: &mut Vec<Labels>) -> Result<(), QueryError> {
        self.index.labels_of(ids, out)
    }

    fn lies_in(&self, range: TimeRange) -> bool {
        let own = self.range();
        range.min <= own.min && own.max <= range.max && self.tombstones.is_empty()
    }

    fn symbol_bytes(&self) -> Option<&[u8]> {
        self.index.symbol_bytes()
    }

    fn label_bytes(&self, id: SeriesId) -> Option<&[u8]> {
        self.index.label_bytes(id)
    }

    fn has_label_bytes(&self, id: SeriesId, bytes: &[u8]) -> bool {
        self.index.has_label_bytes(id, bytes)
    }

    fn label_value(
        &self,
        id: SeriesId,
        name: &str,
        with: &mut dyn FnMut(&str),
    ) -> Result<(), QueryError> {
        PostingsSource::label_value(&*self.index, id, name, with)
    }

    fn label_ids(&self, ids: &[SeriesId], name: &str, out: &mut Vec<u32>) -> bool {
        let before = out.len();
        let read = self.index.value_refs(ids, name, out);
        if read.is_err() {
            out.truncate(before);
        }
        read.is_ok()
    }

    fn label_names(&self, matchers: &[Matcher]) -> Result<Vec<String>, QueryError> {
        if matchers.is_empty() {
            return Ok(self.index.label_names().map(str::to_owned).collect());
        }
        self.index.label_names_of(&self.postings(matchers, &CancelToken::default())?)
    }

    fn label_values(&self, name: &str, matchers: &[Matcher]) -> Result<Vec<String>, QueryError> {
        label_values(&*self.index, name, matchers, &CancelToken::default())
    }

    fn read(&self, id: SeriesId, range: TimeRange, out: &mut Columns) -> Result<(), QueryError> {
        let deleted = self.deleted(id);
        let start = out.len();
        let (mut metas, mut n) = ([ChunkMeta::NONE; AT_ONCE], 0);
        self.visit_chunks(id, range, deleted, |meta| {
            metas[n % AT_ONCE] = meta;
            n += 1;
            if n == AT_ONCE {
                self.decode(&metas, range, out)?;
                n = 0;
            }
            Ok(ControlFlow::Continue(()))
        })?;
        self.decode(metas.get(..n).unwrap_or_default(), range, out)?;
        if let Some(deleted) = deleted {
            deleted.subtract(out, start);
        }
        Ok(())
    }

    fn read_last(
        &self,
        id: SeriesId,
        range: TimeRange,
        out: &mut Columns,
    ) -> Result<(), QueryError> {
        if self.deleted(id).is_some() {
            return self.read(id, range, out);
        }
        // The last chunk has it, if no chunk overlaps another.
        let (mut last, mut overlap): (Option<ChunkMeta>, bool) = (None, false);
        self.visit_chunks(id, range, None, |meta| {
            overlap |= last.is_some_and(|last| last.range.max >= meta.range.min);
            last = Some(meta);
            Ok(ControlFlow::Continue(()))
        })?;
        match last {
            Some(meta) if !overlap => {
                let start = out.len();
                self.decode(&[meta], range, out)?;
                // It began before the range and had a gap in it.
                if out.len() == start { self.read(id, range, out) } else { Ok(()) }
            }
            Some(_) => self.read(id, range, out),
            None => Ok(()),
        }
    }

    fn chunks(&self, id: SeriesId, range: TimeRange) -> Result<Vec<EncodedChunk>, QueryError> {
        let mut chunks = Vec::new();
        self.stored_chunks(id, range, &mut chunks)?;
        Ok(chunks.into_iter().map(SourceChunk::into_owned).collect())
    }

    fn stored_chunks<'a>(
        &'a self,
        id: SeriesId,
        range: TimeRange,
        out: &mut Vec<SourceChunk<'a>>,
    ) -> Result<(), QueryError> {
        let deleted = self.deleted(id);
        self.visit_chunks(id, range, deleted, |meta| {
            let chunk = SourceChunk::Stored(meta.range, self.chunks.chunk(meta.reference)?);
            match deleted.filter(|d| d.overlaps(meta.range)) {
                Some(deleted) => {
                    let (encoding, data) = chunk.parts();
                    let left = self
                        .without_deleted(encoding, data, deleted)
                        .map_err(|e| self.corrupt(&meta, &e))?;
                    out.extend(left.map(SourceChunk::Made));
                }
                None => out.push(chunk),
            }
            Ok(ControlFlow::Continue(()))
        })
    }

    fn stored_series(&self) -> Option<Box<dyn StoredSeries + '_>> {
        // Version 1 names symbols by offset.
        (self.index.version() != Version::V1).then(|| Box::new(Stored::new(self)) as _)
    }
}
