//! Saving a block: a copy when nothing is wrong with it, else a new one of its whole parts.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use model::{CancelToken, Columns, EncodedChunk, Labels, Matcher, QueryError, TimeRange};
use ulid::Ulid;

use super::{RepairError, Repairer, copy};
use crate::block::{BlockMeta, CHUNKS_DIR, INDEX_FILENAME};
use crate::chunk::{self, CutRule, EncodeOptions, Encoding};
use crate::chunkfile;
use crate::compact::{CompactError, WriteOptions, write_block};
use crate::file_error::FileError;
use crate::index::{ChunkMeta, DamagedIndex, IndexCorruption, Walked};
use crate::source::{BlockReader, SeriesId, SeriesIds};
use crate::tombstones::{self, Tombstones};
use crate::verify::verify_block;

impl Repairer<'_> {
    pub(super) fn block(&mut self, dir: &Path, to: &Path) -> Result<(), RepairError> {
        let name = dir.file_name().unwrap_or_default();
        if verify_block(&self.fs, dir, &mut |_| {}).faults == 0 {
            copy::directory(&*self.fs, dir, &to.join(name))?;
            self.saved.blocks_copied += 1;
            return Ok(());
        }
        let lost = |repairer: &mut Self, why: &dyn std::fmt::Display| {
            repairer.saved.blocks_lost += 1;
            repairer.lost(format!("block {}: {why}", name.to_string_lossy()));
        };
        let path = dir.join(INDEX_FILENAME);
        let opened = match self.fs.map(&path) {
            Ok(bytes) => DamagedIndex::open(bytes).map_err(|e| corrupt(&path, e)),
            Err(error) => Err(FileError::io("map", &path)(error)),
        };
        let index = match opened {
            Ok(index) => index,
            Err(error) => {
                lost(self, &error);
                return Ok(());
            }
        };
        let (salvaged, mut meta) = self.salvage(dir, index);
        if let Ok(ulid) = Ulid::from_string(&name.to_string_lossy()) {
            meta.ulid = ulid;
        }
        let losses = salvaged.losses.clone();
        let source: Arc<dyn BlockReader> = Arc::new(salvaged);
        let options = WriteOptions::default();
        let written = write_block(&self.fs, to, &[source], meta, &options, &CancelToken::default());
        for text in losses.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            self.lost(text);
        }
        match written {
            Ok(Some(meta)) => {
                self.saved.blocks_rewritten += 1;
                let (series, samples) = (meta.stats.num_series, meta.stats.num_samples);
                let name = name.to_string_lossy();
                self.mended(format!(
                    "block {name}: written anew, {series} series, {samples} samples"
                ));
            }
            Ok(None) => lost(self, &"no sample is left"),
            Err(CompactError::File(error)) => return Err(error.into()),
            Err(error) => lost(self, &error),
        }
        Ok(())
    }

    /// Finds the whole series of a block.
    fn salvage(&mut self, dir: &Path, index: DamagedIndex) -> (Salvaged, BlockMeta) {
        let path = dir.join(INDEX_FILENAME);
        let mut found: Vec<SeriesId> = Vec::new();
        let (mut ordered, mut last) = (true, Labels::empty());
        let mut span: Option<TimeRange> = None;
        for step in index.walk() {
            let id = match step {
                Walked::Series(id) => id,
                Walked::Lost(bytes) => {
                    let (from, to) = (bytes.start, bytes.end);
                    let path = path.display();
                    self.lost(format!("{path}: no series found from offset {from} to {to}"));
                    continue;
                }
            };
            let read = index.labels(id).and_then(|labels| Ok((labels, index.chunks(id)?)));
            let (labels, chunks) = match read {
                Ok(read) => read,
                Err(error) => {
                    self.lost(corrupt(&path, error));
                    continue;
                }
            };
            for range in chunks.iter().map(|c| c.range) {
                let all = span.get_or_insert(range);
                *all = TimeRange { min: all.min.min(range.min), max: all.max.max(range.max) };
            }
            ordered &= labels > last;
            last = labels;
            found.push(id);
        }
        if !ordered {
            self.in_order(&index, &mut found);
        }
        let deleted = match tombstones::read(&*self.fs, dir) {
            Ok((deleted, _)) => deleted,
            Err(error) => {
                self.lost(format!("{error}: deleted samples are back"));
                Tombstones::new()
            }
        };
        let span = span.unwrap_or(TimeRange { min: 0, max: 0 });
        let end = span.max.saturating_add(1);
        let meta = match BlockMeta::read(&*self.fs, dir) {
            Ok((meta, _)) => {
                let (min, max) = (meta.min_time.min(span.min), meta.max_time.max(end));
                BlockMeta { min_time: min, max_time: max, ..meta }
            }
            Err(error) => {
                self.mended(format!("{error}: made from what the block holds"));
                BlockMeta::new(Ulid::nil(), span.min, end, None)
            }
        };
        let salvaged = Salvaged {
            chunks: chunkfile::Reader::open_damaged(&*self.fs, &dir.join(CHUNKS_DIR)),
            index,
            ids: found,
            deleted,
            range: TimeRange { min: meta.min_time, max: meta.max_time.saturating_sub(1) },
            losses: Arc::default(),
        };
        (salvaged, meta)
    }

    /// Sorts series by their labels; of equal ones the first stays.
    fn in_order(&mut self, index: &DamagedIndex, found: &mut Vec<SeriesId>) {
        let mut labelled: Vec<(Labels, SeriesId)> =
            found.iter().filter_map(|id| Some((index.labels(*id).ok()?, *id))).collect();
        labelled.sort();
        found.clear();
        let mut last = Labels::empty();
        for (labels, id) in labelled {
            if labels == last {
                self.lost(format!("series {labels}: stands twice in the index, entry {id}"));
                continue;
            }
            found.push(id);
            last = labels;
        }
    }
}

fn corrupt(path: &Path, error: IndexCorruption) -> FileError {
    let path = path.to_owned();
    FileError::Corrupt { what: "index", path, offset: error.offset, reason: error.what }
}

/// The whole parts of a damaged block as a source for a new one.
struct Salvaged {
    index: DamagedIndex,
    chunks: chunkfile::Reader,
    /// In label order.
    ids: Vec<SeriesId>,
    deleted: Tombstones,
    range: TimeRange,
    losses: Arc<Mutex<Vec<String>>>,
}

impl Salvaged {
    /// A chunk as it is stored, if it is whole and begins behind `last`.
    fn whole(
        &self,
        meta: &ChunkMeta,
        last: Option<i64>,
    ) -> Result<(EncodedChunk, Columns), String> {
        let stored = self.chunks.chunk(meta.reference).map_err(|e| e.to_string())?;
        let wrong = |reason: String| {
            let path = self.chunks.path(meta.reference.file()).to_owned();
            let offset = u64::from(meta.reference.offset());
            FileError::Corrupt { what: "chunk segment", path, offset, reason }.to_string()
        };
        let mut columns = Columns::default();
        chunk::decode(stored.encoding, stored.data, TimeRange::ALL, &mut columns)
            .map_err(|e| wrong(e.to_string()))?;
        let times = &columns.timestamps;
        let (Some(&min), Some(&max)) = (times.first(), times.last()) else {
            return Err(wrong("no samples".to_owned()));
        };
        if !times.is_sorted_by(|a, b| a < b) {
            return Err(wrong("samples are not in order".to_owned()));
        }
        if let Some(last) = last.filter(|last| min <= *last) {
            return Err(wrong(format!("samples from {min} on, behind a chunk up to {last}")));
        }
        let (encoding, data) = (stored.encoding, stored.data.to_vec());
        Ok((EncodedChunk { range: TimeRange { min, max }, encoding, data }, columns))
    }

    /// A chunk without what was deleted of it.
    fn without_deleted(
        &self,
        id: SeriesId,
        chunk: EncodedChunk,
        mut columns: Columns,
    ) -> Result<Option<EncodedChunk>, QueryError> {
        let deleted = self.deleted.get(u64::from(id)).filter(|d| d.overlaps(chunk.range));
        let Some(deleted) = deleted else { return Ok(Some(chunk)) };
        deleted.subtract(&mut columns, 0);
        let failed = |e: chunk::ChunkError| QueryError::Corrupt(e.to_string());
        let rule = CutRule::Keep(Encoding::from_u8(chunk.encoding).map_err(failed)?);
        let encoded = chunk::encode(&columns, EncodeOptions { rule, ..Default::default() });
        Ok(encoded.map_err(failed)?.into_iter().next())
    }

    fn lose(&self, text: String) {
        self.losses.lock().unwrap_or_else(PoisonError::into_inner).push(text);
    }
}

fn unreadable(error: IndexCorruption) -> QueryError {
    QueryError::Corrupt(error.to_string())
}

impl BlockReader for Salvaged {
    fn range(&self) -> TimeRange {
        self.range
    }

    fn postings(
        &self,
        matchers: &[Matcher],
        _cancel: &CancelToken,
    ) -> Result<SeriesIds, QueryError> {
        // Only written from, never asked.
        debug_assert!(matchers.is_empty());
        Ok(Arc::new(self.ids.clone()))
    }

    fn label_ordered(&self) -> bool {
        true
    }

    fn labels(&self, id: SeriesId) -> Result<Labels, QueryError> {
        self.index.labels(id).map_err(unreadable)
    }

    fn label_value(
        &self,
        id: SeriesId,
        name: &str,
        with: &mut dyn FnMut(&str),
    ) -> Result<(), QueryError> {
        with(self.labels(id)?.get(name).unwrap_or_default());
        Ok(())
    }

    fn label_names(&self, _matchers: &[Matcher]) -> Result<Vec<String>, QueryError> {
        let mut names = Vec::new();
        for id in &self.ids {
            names.extend(self.labels(*id)?.iter().map(|(name, _)| name.to_owned()));
            names.sort_unstable();
            names.dedup();
        }
        Ok(names)
    }

    fn label_values(&self, name: &str, _matchers: &[Matcher]) -> Result<Vec<String>, QueryError> {
        let mut values = Vec::new();
        for id in &self.ids {
            values.extend(self.labels(*id)?.get(name).map(str::to_owned));
        }
        values.sort_unstable();
        values.dedup();
        Ok(values)
    }

    fn read(&self, id: SeriesId, range: TimeRange, out: &mut Columns) -> Result<(), QueryError> {
        for one in self.chunks(id, range)? {
            let decoded = chunk::decode(one.encoding, &one.data, range, out);
            decoded.map_err(|e| QueryError::Corrupt(e.to_string()))?;
        }
        Ok(())
    }

    fn chunks(&self, id: SeriesId, _range: TimeRange) -> Result<Vec<EncodedChunk>, QueryError> {
        let mut chunks = Vec::new();
        let mut last = None;
        for meta in self.index.chunks(id).map_err(unreadable)? {
            match self.whole(&meta, last) {
                Ok((one, columns)) => {
                    last = Some(one.range.max);
                    chunks.extend(self.without_deleted(id, one, columns)?);
                }
                Err(why) => {
                    let (labels, TimeRange { min, max }) = (self.labels(id)?, meta.range);
                    self.lose(format!("series {labels}: samples from {min} to {max}: {why}"));
                }
            }
        }
        Ok(chunks)
    }
}
