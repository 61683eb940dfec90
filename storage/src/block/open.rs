//! Block: an open block. It never changes: deleting samples or changing the meta gives a new one
//! that shares the mapped files, so whoever reads the old one goes on seeing what it saw.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::{CancelToken, Matcher, QueryError, TimeRange};

use super::meta::{BlockMeta, META_FILENAME};
use crate::chunkfile;
use crate::file_error::FileError;
use crate::fs::{Caching, FileKind, Fs, atomic};
use crate::index::{ChunkMeta, IndexReader};
use crate::postings::{PostingsCache, postings_for_matchers};
use crate::tombstones::{self, Tombstones};

/// Name of the index in a block's directory.
pub const INDEX_FILENAME: &str = "index";
/// Name of the directory with the chunk segments.
pub const CHUNKS_DIR: &str = "chunks";
/// Most bytes of matcher results a block keeps.
const CACHE_BYTES: usize = 4 << 20;

/// An open block. Its files stay mapped until the last user is gone, whatever happens to their
/// names.
pub struct Block {
    pub(super) dir: PathBuf,
    pub(super) meta: BlockMeta,
    pub(super) index: Arc<IndexReader>,
    pub(super) chunks: Arc<chunkfile::Reader>,
    pub(super) tombstones: Arc<Tombstones>,
    pub(super) cache: Arc<PostingsCache>,
    /// Where and how a merge reads the chunks, when they are not to come from their mapping.
    pub(super) ahead: Option<(Arc<dyn Fs>, Caching)>,
    meta_bytes: u64,
    tombstone_bytes: u64,
}

impl Block {
    /// Opens the block in `dir`.
    pub fn open(fs: &dyn Fs, dir: &Path) -> Result<Block, QueryError> {
        let (meta, meta_bytes) = BlockMeta::read(fs, dir)?;
        let chunks = chunkfile::Reader::open(fs, &dir.join(CHUNKS_DIR))?;
        let path = dir.join(INDEX_FILENAME);
        let file = fs.map(&path).map_err(FileError::io("map", &path))?;
        let index = IndexReader::open(file, &path)?;
        let (tombstones, tombstone_bytes) = tombstones::read(fs, dir)?;
        Ok(Block {
            dir: dir.to_owned(),
            meta,
            index: Arc::new(index),
            chunks: Arc::new(chunks),
            tombstones: Arc::new(tombstones),
            cache: Arc::new(PostingsCache::new(CACHE_BYTES)),
            ahead: None,
            meta_bytes,
            tombstone_bytes,
        })
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What the block says about itself.
    pub fn meta(&self) -> &BlockMeta {
        &self.meta
    }

    /// The index.
    pub fn index(&self) -> &IndexReader {
        &self.index
    }

    /// The chunk segments, deleted samples included.
    pub fn chunk_files(&self) -> &chunkfile::Reader {
        &self.chunks
    }

    /// The deleted times, by series id.
    pub fn tombstones(&self) -> &Tombstones {
        &self.tombstones
    }

    /// Bytes of its files.
    pub fn size_bytes(&self) -> u64 {
        self.chunks.size_bytes() + self.index.size_bytes() + self.tombstone_bytes + self.meta_bytes
    }

    /// Changes the meta on disk; the new block has it.
    pub fn with_meta(
        &self,
        fs: &dyn Fs,
        change: impl FnOnce(&mut BlockMeta),
    ) -> Result<Block, QueryError> {
        let mut meta = self.meta.clone();
        change(&mut meta);
        let meta_bytes = meta
            .write(fs, &self.dir)
            .map_err(FileError::io("write", &self.dir.join(META_FILENAME)))?;
        Ok(Block { meta, meta_bytes, ..self.share() })
    }

    /// Deletes the samples inside `range` of the series that satisfy all matchers; `None` when there
    /// are none, else the block without them.
    pub fn delete(
        &self,
        fs: &dyn Fs,
        range: TimeRange,
        matchers: &[Matcher],
        cancel: &CancelToken,
    ) -> Result<Option<Block>, QueryError> {
        let mut tombstones = (*self.tombstones).clone();
        let mut changed = false;
        for &id in postings_for_matchers(&*self.index, matchers, Some(&self.cache), cancel)?.iter()
        {
            let chunks: Result<Vec<ChunkMeta>, _> = self.index.chunks(id)?.collect();
            let chunks = chunks.map_err(|e| self.index.corruption(e))?;
            let (Some(first), Some(last)) = (chunks.first(), chunks.last()) else { continue };
            if chunks.iter().any(|c| c.range.overlaps(range)) {
                let min = range.min.max(first.range.min);
                let max = range.max.min(last.range.max);
                tombstones.add(u64::from(id), TimeRange { min, max });
                changed = true;
            }
        }
        if !changed {
            return Ok(None);
        }
        let tombstone_bytes = tombstones::write(fs, &self.dir, &tombstones)?;
        let total = tombstones.total();
        let block = self.with_meta(fs, |meta| meta.stats.num_tombstones = total)?;
        Ok(Some(Block { tombstones: Arc::new(tombstones), tombstone_bytes, ..block }))
    }

    /// Hard-links the block's files into a directory of its name below `dir`.
    pub fn link_into(&self, fs: &dyn Fs, dir: &Path) -> Result<(), QueryError> {
        let to = dir.join(self.meta.ulid.to_string());
        let chunks = to.join(CHUNKS_DIR);
        fs.create_dir_all(&chunks).map_err(FileError::io("create", &chunks))?;
        let link = |from: PathBuf, to: PathBuf| {
            fs.hard_link(&from, &to).map_err(FileError::io("link", &from))
        };
        for (from, to) in [(&self.dir, &to), (&self.dir.join(CHUNKS_DIR), &chunks)] {
            for entry in fs.list(from).map_err(FileError::io("list", from))? {
                if entry.kind == FileKind::File && !entry.name.ends_with(".tmp") {
                    link(from.join(&entry.name), to.join(&entry.name))?;
                }
            }
            fs.sync_dir(to).map_err(FileError::io("sync", to))?;
        }
        let parent = atomic::parent(&to);
        Ok(fs.sync_dir(parent).map_err(FileError::io("sync", parent))?)
    }

    /// The block with its chunks read in large pieces when it is merged: front to back, once, past
    /// the page cache or not.
    pub fn read_ahead(&self, fs: &Arc<dyn Fs>, caching: Caching) -> Block {
        Block { ahead: Some((fs.clone(), caching)), ..self.share() }
    }

    fn share(&self) -> Block {
        Block {
            dir: self.dir.clone(),
            meta: self.meta.clone(),
            index: self.index.clone(),
            chunks: self.chunks.clone(),
            tombstones: self.tombstones.clone(),
            cache: self.cache.clone(),
            ahead: None,
            meta_bytes: self.meta_bytes,
            tombstone_bytes: self.tombstone_bytes,
        }
    }
}
