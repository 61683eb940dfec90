//! Writing a block from what other sources have: the cut of a head, the merge of blocks, the rewrite
//! of one without its deleted samples. `docs/format/block.md`.
//!
//! Streaming: a series at a time, its chunks copied as they are unless they overlap chunks of
//! another source or reach over the block's ends. The block appears under its name when all of it is
//! durable; before, and after an error, there is nothing.

use std::borrow::Cow;
use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use model::{CancelToken, Columns, EncodedChunk, Labels, QueryError, TimeRange};

use super::join::join_short;
use crate::block::{BlockMeta, BlockStats, CHUNKS_DIR, INDEX_FILENAME, TMP_FOR_CREATION};
use crate::chunk::{self, ChunkError, CutRule, EncodeOptions, Encoding};
use crate::chunkfile;
use crate::file_error::FileError;
use crate::fs::{Caching, Fs, atomic};
use crate::index::{ChunkMeta, IndexWriteError, IndexWriter, SymbolSet};
use crate::read::{Part, in_label_order, merge_chunks, merge_series};
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
    let symbols = collect_symbols(sources, &lists)?;
    let mut writer = Writer {
        sources,
        range,
        options,
        chunks: chunkfile::Writer::new(fs.clone(), &dir.join(CHUNKS_DIR), options.segment_bytes)?
            .with_caching(options.caching),
        index: IndexWriter::create(&**fs, &dir.join(INDEX_FILENAME), symbols)?,
        stats: BlockStats::default(),
        gathered: Vec::new(),
        metas: Vec::new(),
    };
    merge_series(sources, lists, cancel, |labels, parts| {
        writer.series(labels, parts)?;
        Ok::<bool, CompactError>(true)
    })?;
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

type SymbolIter<'a> = Box<dyn Iterator<Item = Result<Cow<'a, str>, QueryError>> + 'a>;

/// The strings of all sources: what a source says it has, else what its selected series have.
fn collect_symbols(
    sources: &[Arc<dyn BlockReader>],
    lists: &[Vec<SeriesId>],
) -> Result<SymbolSet, CompactError> {
    let mut iterators: Vec<SymbolIter<'_>> = Vec::with_capacity(sources.len());
    for (source, ids) in sources.iter().zip(lists) {
        iterators.push(match source.symbols() {
            Some(symbols) => symbols,
            None => Box::new(symbols_of(&**source, ids)?.into_iter().map(|s| Ok(Cow::Owned(s)))),
        });
    }
    let merged = MergedSymbols::new(iterators);
    Ok(SymbolSet::from_sorted(merged.map(|s| s.map_err(SymbolSource::Read)))?)
}

/// Either way to fail while symbols are gathered.
enum SymbolSource {
    Read(QueryError),
    Symbol(crate::index::SymbolError),
}

impl From<crate::index::SymbolError> for SymbolSource {
    fn from(error: crate::index::SymbolError) -> SymbolSource {
        SymbolSource::Symbol(error)
    }
}

impl From<SymbolSource> for CompactError {
    fn from(error: SymbolSource) -> CompactError {
        match error {
            SymbolSource::Read(error) => error.into(),
            SymbolSource::Symbol(error) => IndexWriteError::Symbol(error).into(),
        }
    }
}

fn symbols_of(source: &dyn BlockReader, ids: &[SeriesId]) -> Result<Vec<String>, QueryError> {
    // Prometheus's head has it from the name and value of its list of all series.
    let mut found: HashSet<String> = HashSet::from([String::new()]);
    for id in ids {
        for (name, value) in source.labels(*id)?.iter() {
            for text in [name, value] {
                if !found.contains(text) {
                    found.insert(text.to_owned());
                }
            }
        }
    }
    let mut symbols: Vec<String> = found.into_iter().collect();
    symbols.sort_unstable();
    Ok(symbols)
}

/// The union of ascending iterators, ascending; what several have comes several times.
struct MergedSymbols<'a> {
    heads: Vec<(Cow<'a, str>, SymbolIter<'a>)>,
    failed: Option<QueryError>,
}

impl<'a> MergedSymbols<'a> {
    fn new(iterators: Vec<SymbolIter<'a>>) -> MergedSymbols<'a> {
        let mut merged = MergedSymbols { heads: Vec::new(), failed: None };
        iterators.into_iter().for_each(|iterator| merged.push(iterator));
        merged
    }

    fn push(&mut self, mut iterator: SymbolIter<'a>) {
        match iterator.next() {
            Some(Ok(symbol)) => self.heads.push((symbol, iterator)),
            Some(Err(error)) => self.failed = Some(error),
            None => {}
        }
    }
}

impl<'a> Iterator for MergedSymbols<'a> {
    type Item = Result<Cow<'a, str>, QueryError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(error) = self.failed.take() {
            self.heads.clear();
            return Some(Err(error));
        }
        // Few sources: looking at every head costs less than keeping them in order.
        let least = (0..self.heads.len()).min_by(|a, b| self.heads[*a].0.cmp(&self.heads[*b].0))?;
        let (symbol, iterator) = self.heads.swap_remove(least);
        self.push(iterator);
        Some(Ok(symbol))
    }
}

struct Writer<'a> {
    sources: &'a [Arc<dyn BlockReader>],
    range: TimeRange,
    options: &'a WriteOptions<'a>,
    chunks: chunkfile::Writer,
    index: IndexWriter,
    stats: BlockStats,
    /// Of the series being written, like the next one.
    gathered: Vec<SourceChunk<'a>>,
    metas: Vec<ChunkMeta>,
}

impl<'a> Writer<'a> {
    fn series(&mut self, labels: &Labels, parts: &[Part]) -> Result<(), CompactError> {
        let mut gathered = std::mem::take(&mut self.gathered);
        gathered.clear();
        self.metas.clear();
        self.gather(parts, &mut gathered)?;
        // Sources come in order of time, so one behind the other is the common case.
        let apart = gathered.is_sorted_by(|a, b| a.range().max < b.range().min);
        if parts.len() > 1 && !apart {
            let merged = self.merged(parts)?;
            gathered.clear();
            gathered.extend(merged.into_iter().map(SourceChunk::Made));
        } else if gathered.len() > 1 && self.options.join_samples > 0 {
            join_short(&mut gathered, self.options.join_samples)?;
        }
        for one in &gathered {
            self.chunk(one)?;
        }
        self.gathered = gathered;
        if self.metas.is_empty() {
            return Ok(());
        }
        self.index.add_series(labels, &self.metas)?;
        self.stats.num_series += 1;
        Ok(())
    }

    /// Appends the chunks of `parts`, one part behind the other.
    fn gather(&self, parts: &[Part], out: &mut Vec<SourceChunk<'a>>) -> Result<(), CompactError> {
        for part in parts {
            let start = out.len();
            let source: &'a dyn BlockReader = &*self.sources[part.source as usize];
            source.stored_chunks(part.id, self.range, out)?;
            if out.iter().skip(start).any(|c| self.reaches_over(c.range())) {
                for one in out.split_off(start) {
                    out.extend(self.trim(one)?);
                }
            }
        }
        Ok(())
    }

    /// The chunks of parts that overlap, merged.
    fn merged(&self, parts: &[Part]) -> Result<Vec<EncodedChunk>, CompactError> {
        let mut lists = Vec::with_capacity(parts.len());
        for part in parts {
            let mut chunks = Vec::new();
            self.gather(std::slice::from_ref(part), &mut chunks)?;
            lists.push(chunks.into_iter().map(SourceChunk::into_owned).collect());
        }
        Ok(merge_chunks(lists, self.options.xor2)?)
    }

    fn reaches_over(&self, range: TimeRange) -> bool {
        range.min < self.range.min || range.max > self.range.max
    }

    /// A chunk without the samples outside the block's span; `None` when none is left.
    fn trim(&self, chunk: SourceChunk<'a>) -> Result<Option<SourceChunk<'a>>, ChunkError> {
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
        let reference = match one {
            SourceChunk::Stored(_, stored) => self.chunks.copy(stored)?,
            SourceChunk::Made(_) => self.chunks.write(encoding, data)?,
        };
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
