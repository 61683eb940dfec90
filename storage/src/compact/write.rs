//! Writing a block from what other sources have: the cut of a head, the merge of blocks, the rewrite
//! of one without its deleted samples. `docs/format/block.md`.
//!
//! Streaming: a series at a time, its chunks copied as they are unless they overlap chunks of
//! another source or reach over the block's ends. The block appears under its name when all of it is
//! durable; before, and after an error, there is nothing.

use std::path::Path;
use std::sync::Arc;

use model::{CancelToken, Columns, EncodedChunk, QueryError, TimeRange};

use super::join::join_short;
use super::merge::{Series, SeriesMerge};
use super::symbols::Symbols;
use crate::block::{self, BlockMeta, BlockStats, CHUNKS_DIR, INDEX_FILENAME, TMP_FOR_CREATION};
use crate::chunk::{self, ChunkError, ChunkRef, CutRule, EncodeOptions, Encoding};
use crate::chunkfile;
use crate::file_error::FileError;
use crate::fs::{Caching, Fs, atomic};
use crate::index::{ChunkMeta, IndexWriteError, IndexWriter};
use crate::read::{in_label_order, merge_chunks};
use crate::source::{BlockReader, SeriesId, SourceChunk};
use crate::tombstones::{self, Tombstones};

/// Takes a chunk and its number of samples.
pub type ChunkObserver<'a> = dyn Fn(&EncodedChunk, usize) + 'a;

/// How to write.
#[derive(Clone, Copy, Default)]
pub struct WriteOptions<'a> {
    /// Most bytes of a chunk segment; 0 = the default.
    pub segment_bytes: u64,
    /// Floats that have to be encoded anew become XOR2.
    pub xor2: bool,
    /// Whether the chunks stay in the page cache. The index always does: it is opened next.
    pub caching: Caching,
    /// Float chunks that a head ended early are joined up to so many samples; 0 = not at all.
    pub join_samples: usize,
    /// Told of every chunk written, with its number of samples.
    pub on_chunk: Option<&'a ChunkObserver<'a>>,
}

/// Why a block could not be written.
#[derive(Debug, thiserror::Error)]
pub enum CompactError {
    /// Reading a source failed, or it was told to stop.
    #[error("populate block: {0}")]
    Read(#[from] QueryError),
    #[error("populate block: {0}")]
    Index(IndexWriteError),
    #[error("populate block: {0}")]
    Chunk(#[from] ChunkError),
    #[error(transparent)]
    File(#[from] FileError),
}

impl From<IndexWriteError> for CompactError {
    fn from(error: IndexWriteError) -> CompactError {
        match error {
            IndexWriteError::Cancelled(reason) => QueryError::Cancelled(reason).into(),
            IndexWriteError::File(error) => CompactError::File(error),
            other => CompactError::Index(other),
        }
    }
}

impl CompactError {
    /// Whether a source is damaged.
    pub fn is_corruption(&self) -> bool {
        match self {
            CompactError::Read(error) => matches!(error, QueryError::Corrupt(_)),
            CompactError::Chunk(_) => true,
            CompactError::File(error) => error.is_corruption(),
            CompactError::Index(_) => false,
        }
    }

    /// Whether it was told to stop, so that nothing is wrong with the sources.
    pub fn is_cancelled(&self) -> bool {
        matches!(self, CompactError::Read(QueryError::Cancelled(_)))
    }
}

/// Writes the union of `sources` (in order of time) inside `meta`'s span to a block named by
/// `meta.ulid` below `dir`, and returns its meta with the stats filled in. `None`, and no block,
/// when there is no sample; nor is there one after an error.
pub fn write_block(
    fs: &Arc<dyn Fs>,
    dir: &Path,
    sources: &[Arc<dyn BlockReader>],
    meta: BlockMeta,
    options: &WriteOptions<'_>,
    cancel: &CancelToken,
) -> Result<Option<BlockMeta>, CompactError> {
    let (ulid, name) = (meta.ulid, meta.ulid.to_string());
    let making = dir.join(format!("{name}{TMP_FOR_CREATION}"));
    let written = write_files(fs, &making, sources, meta, options, cancel);
    match written {
        Ok(Some(meta)) => {
            let done = dir.join(name);
            if let Err(error) = atomic::replace(&**fs, &making, &done) {
                // It may have its name, and only that not be durable. Nobody knows of it, so nobody
                // would delete samples from it, and the next start would show them again.
                let _ = block::delete(&**fs, dir, ulid);
                let _ = fs.remove_dir_all(&making);
                return Err(FileError::io("rename", &making)(error).into());
            }
            Ok(Some(meta))
        }
        other => {
            // Best effort: what stays is removed at the next start.
            let _ = fs.remove_dir_all(&making);
            other
        }
    }
}

fn write_files(
    fs: &Arc<dyn Fs>,
    dir: &Path,
    sources: &[Arc<dyn BlockReader>],
    mut meta: BlockMeta,
    options: &WriteOptions<'_>,
    cancel: &CancelToken,
) -> Result<Option<BlockMeta>, CompactError> {
    if fs.exists(dir).map_err(FileError::io("stat", dir))? {
        fs.remove_dir_all(dir).map_err(FileError::io("remove", dir))?;
    }
    fs.create_dir_all(dir).map_err(FileError::io("create", dir))?;

    let range = TimeRange { min: meta.min_time, max: meta.max_time.saturating_sub(1) };
    let lists = select(sources, range, cancel)?;
    let symbols = Symbols::collect(sources, &lists)?;
    let mut writer = Writer {
        range,
        options,
        chunks: chunkfile::Writer::new(fs.clone(), &dir.join(CHUNKS_DIR), options.segment_bytes)?
            .with_caching(options.caching),
        index: IndexWriter::create(&**fs, &dir.join(INDEX_FILENAME), symbols.set)?,
        stats: BlockStats::default(),
        metas: Vec::new(),
    };
    let copy = options.on_chunk.is_none();
    let mut merge = SeriesMerge::new(sources, lists, &symbols.maps, range, copy);
    while let Some(mut series) = merge.next(writer.index.symbols(), cancel)? {
        writer.series(&mut series)?;
    }
    writer.chunks.finish()?;
    writer.index.finish(cancel)?;
    if writer.stats.num_samples == 0 {
        return Ok(None);
    }
    meta.stats = writer.stats;
    meta.write(&**fs, dir).map_err(FileError::io("write meta of", dir))?;
    tombstones::write(&**fs, dir, &Tombstones::new())?;
    fs.sync_dir(dir).map_err(FileError::io("sync", dir))?;
    Ok(Some(meta))
}

/// The series of each source with data inside `range`, in label order.
fn select(
    sources: &[Arc<dyn BlockReader>],
    range: TimeRange,
    cancel: &CancelToken,
) -> Result<Vec<Vec<SeriesId>>, QueryError> {
    let ids = |source: &Arc<dyn BlockReader>| {
        let mut ids = source.postings(&[], cancel)?;
        // Only symbols depend on it: what has no chunk inside is left out when it is written.
        if source.symbols().is_none() {
            source.retain_in_range(&mut ids, range)?;
        }
        in_label_order(&**source, Arc::unwrap_or_clone(ids), cancel)
    };
    sources.iter().map(ids).collect()
}

struct Writer<'a> {
    range: TimeRange,
    options: &'a WriteOptions<'a>,
    chunks: chunkfile::Writer,
    index: IndexWriter,
    stats: BlockStats,
    /// Of the series being written, like the next one.
    metas: Vec<ChunkMeta>,
}

impl Writer<'_> {
    fn series(&mut self, series: &mut Series<'_, '_>) -> Result<(), CompactError> {
        self.metas.clear();
        if !self.copy(series)? {
            self.merge(series)?;
        }
        if self.metas.is_empty() {
            return Ok(());
        }
        self.index.add_numbered(series.labels(), &self.metas)?;
        self.stats.num_series += 1;
        Ok(())
    }

    /// Copies the chunks of a series as they lie in their segments; `false`, and nothing happens,
    /// when they are not like that or the new segment may not have room for all.
    fn copy(&mut self, series: &mut Series<'_, '_>) -> Result<bool, CompactError> {
        let Some(parts) = series.stored() else { return Ok(false) };
        let entries = parts.clone().map(|part| part.entries.len()).sum();
        if !self.chunks.has_room(entries) {
            return Ok(false);
        }
        for part in parts {
            let Some(first) = part.chunks.first() else { continue };
            let to = self.chunks.copy_run(part.entries)?;
            let moved = |meta: &ChunkMeta| {
                let reference = ChunkRef(meta.reference.0 - first.reference.0 + to.0);
                ChunkMeta { reference, ..*meta }
            };
            self.metas.extend(part.chunks.iter().map(moved));
            let run = part.run;
            self.stats.num_chunks += part.chunks.len() as u64;
            self.stats.num_samples += run.samples;
            self.stats.num_float_samples += run.float_samples;
            self.stats.num_histogram_samples += run.samples - run.float_samples;
        }
        Ok(true)
    }

    /// Writes the chunks of a series one by one.
    fn merge(&mut self, series: &mut Series<'_, '_>) -> Result<(), CompactError> {
        series.get_chunks()?;
        series.each_part(|chunks| self.trim_all(chunks))?;
        if series.parts() == 1 && self.options.join_samples > 0 {
            series.each_part(|chunks| Ok(join_short(chunks, self.options.join_samples)?))?;
        }
        if series.each_in_turn(|chunks| chunks.iter().try_for_each(|one| self.chunk(one)))? {
            return Ok(());
        }
        let mut lists = Vec::with_capacity(series.parts());
        series.each_part(|chunks| {
            lists.push(chunks.drain(..).map(SourceChunk::into_owned).collect());
            Ok(())
        })?;
        for one in merge_chunks(lists, self.options.xor2)? {
            self.chunk(&SourceChunk::Made(one))?;
        }
        Ok(())
    }

    /// Takes what lies outside the block's span from the chunks of a part.
    fn trim_all<'c>(&self, chunks: &mut Vec<SourceChunk<'c>>) -> Result<(), CompactError> {
        if chunks.iter().any(|c| self.reaches_over(c.range())) {
            for one in std::mem::take(chunks) {
                chunks.extend(self.trim(one)?);
            }
        }
        Ok(())
    }

    fn reaches_over(&self, range: TimeRange) -> bool {
        range.min < self.range.min || range.max > self.range.max
    }

    /// A chunk without the samples outside the block's span; `None` when none is left.
    fn trim<'c>(&self, chunk: SourceChunk<'c>) -> Result<Option<SourceChunk<'c>>, ChunkError> {
        if !self.reaches_over(chunk.range()) {
            return Ok(Some(chunk));
        }
        let (encoding, data) = chunk.parts();
        let mut columns = Columns::default();
        chunk::decode(encoding, data, self.range, &mut columns)?;
        let rule = CutRule::Keep(Encoding::from_u8(encoding)?);
        let encoded = chunk::encode(&columns, EncodeOptions { rule, ..Default::default() })?;
        Ok(encoded.into_iter().next().map(SourceChunk::Made))
    }

    /// Writes and counts a chunk.
    fn chunk(&mut self, one: &SourceChunk<'_>) -> Result<(), CompactError> {
        let (encoding, data) = one.parts();
        let reference = self.chunks.write(encoding, data)?;
        self.metas.push(ChunkMeta { range: one.range(), reference });
        let samples = chunk::num_samples(encoding, data)?;
        if let Some(on_chunk) = self.options.on_chunk {
            on_chunk(&one.clone().into_owned(), samples);
        }
        self.stats.num_chunks += 1;
        self.stats.num_samples += samples as u64;
        if Encoding::from_u8(encoding)?.is_float() {
            self.stats.num_float_samples += samples as u64;
        } else {
            self.stats.num_histogram_samples += samples as u64;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
