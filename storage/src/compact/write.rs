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
use crate::block::{BlockMeta, BlockStats, CHUNKS_DIR, INDEX_FILENAME, TMP_FOR_CREATION};
use crate::chunk::{self, ChunkError, ChunkRef, CutRule, EncodeOptions, Encoding};
use crate::chunkfile::{self, StoredChunk};
use crate::file_error::FileError;
use crate::fs::{Caching, Fs, atomic};
use crate::index::{ChunkMeta, IndexWriteError, IndexWriter};
use crate::read::{in_label_order, merge_chunks};
use crate::source::{BlockReader, SeriesId, SourceChunk};
use crate::tombstones::{self, Tombstones};

/// Most chunks copied at once: where a segment ends they are looked at one by one.
const LONGEST_RUN: usize = 64;

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
/// when there is no sample.
pub fn write_block(
    fs: &Arc<dyn Fs>,
    dir: &Path,
    sources: &[Arc<dyn BlockReader>],
    meta: BlockMeta,
    options: &WriteOptions<'_>,
    cancel: &CancelToken,
) -> Result<Option<BlockMeta>, CompactError> {
    let name = meta.ulid.to_string();
    let making = dir.join(format!("{name}{TMP_FOR_CREATION}"));
    let written = write_files(fs, &making, sources, meta, options, cancel);
    match written {
        Ok(Some(meta)) => {
            let done = dir.join(name);
            atomic::replace(&**fs, &making, &done).map_err(FileError::io("rename", &making))?;
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
    let mut merge = SeriesMerge::new(sources, lists, &symbols.maps, range);
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
        series.each_part(|chunks| self.trim_all(chunks))?;
        if series.parts() == 1 && self.options.join_samples > 0 {
            series.each_part(|chunks| Ok(join_short(chunks, self.options.join_samples)?))?;
        }
        if !series.each_in_turn(|chunks| self.part(chunks))? {
            let mut lists = Vec::with_capacity(series.parts());
            series.each_part(|chunks| {
                lists.push(chunks.drain(..).map(SourceChunk::into_owned).collect());
                Ok(())
            })?;
            for one in merge_chunks(lists, self.options.xor2)? {
                self.chunk(&SourceChunk::Made(one))?;
            }
        }
        if self.metas.is_empty() {
            return Ok(());
        }
        self.index.add_numbered(series.labels(), &self.metas)?;
        self.stats.num_series += 1;
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

    /// Writes the chunks of a part, those that lie one behind the other with one copy.
    fn part(&mut self, chunks: &[SourceChunk<'_>]) -> Result<(), CompactError> {
        let mut rest = chunks;
        while let Some((first, _)) = rest.split_first() {
            let run = run_len(rest.get(..rest.len().min(LONGEST_RUN)).unwrap_or_default());
            if run > 1 && self.run(rest.get(..run).unwrap_or_default())? {
                rest = rest.get(run..).unwrap_or_default();
            } else {
                self.chunk(first)?;
                rest = rest.get(1..).unwrap_or_default();
            }
        }
        Ok(())
    }

    /// Writes and counts stored chunks that lie one behind the other; `false`, and nothing happens,
    /// when the segment may not have room for all.
    fn run(&mut self, chunks: &[SourceChunk<'_>]) -> Result<bool, CompactError> {
        let (first, last) = (chunks.first(), chunks.last());
        let Some(entries) = first
            .and_then(SourceChunk::stored)
            .zip(last.and_then(SourceChunk::stored))
            .map(|(first, last)| first.entries_to(&last))
        else {
            return Ok(false);
        };
        let Some(mut reference) = self.chunks.copy_run(entries)? else { return Ok(false) };
        for one in chunks {
            self.count(one, reference)?;
            reference.0 += one.stored().map_or(0, |stored| stored.entry().len() as u64);
        }
        Ok(true)
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
        let reference = match one.stored() {
            Some(stored) => self.chunks.copy(&stored)?,
            None => self.chunks.write(encoding, data)?,
        };
        self.count(one, reference)
    }

    fn count(&mut self, one: &SourceChunk<'_>, reference: ChunkRef) -> Result<(), CompactError> {
        let (encoding, data) = one.parts();
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

/// How many of the first of `chunks` lie one behind the other in one segment as they would be
/// written.
fn run_len(chunks: &[SourceChunk<'_>]) -> usize {
    let mut before: Option<StoredChunk<'_>> = None;
    let mut len = 0;
    for one in chunks {
        match one.stored() {
            Some(stored) if stored.is_canonical() && before.is_none_or(|b| stored.follows(&b)) => {
                before = Some(stored);
                len += 1;
            }
            _ => break,
        }
    }
    len
}

#[cfg(test)]
mod tests;
