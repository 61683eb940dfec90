//! Writing the chunk segments of a new block.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{HEADER_SIZE, MAGIC, VERSION, file_name, header};
use crate::chunk::ChunkRef;
use crate::encoding::{EncBuf, MAX_VARINT_LEN_32, crc32c};
use crate::file_error::FileError;
use crate::fs::{Caching, Fs, Stream};

/// Bytes a segment holds at most, unless its only chunk is larger.
pub const DEFAULT_SEGMENT_BYTES: u64 = 512 << 20;

/// Appends chunks to numbered segments of a directory. Nothing is durable before
/// [`finish`](Self::finish).
pub struct Writer {
    fs: Arc<dyn Fs>,
    dir: PathBuf,
    segment_bytes: u64,
    caching: Caching,
    /// Segments begun.
    segments: u32,
    open: Option<Segment>,
    /// The entry being written, like the next one.
    entry: Vec<u8>,
}

struct Segment {
    path: PathBuf,
    out: Stream,
}

impl Segment {
    fn put(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        self.out.put(bytes).map_err(|error| FileError::io("write", &self.path)(error))
    }

    fn finish(self) -> Result<(), FileError> {
        self.out.finish().map_err(FileError::io("write", &self.path))?;
        Ok(())
    }
}

impl Writer {
    /// Writes to `dir`, which is made when absent and must hold no segment. `segment_bytes` 0 = the
    /// default.
    pub fn new(fs: Arc<dyn Fs>, dir: &Path, segment_bytes: u64) -> Result<Writer, FileError> {
        fs.create_dir_all(dir).map_err(FileError::io("create", dir))?;
        let segment_bytes = match segment_bytes {
            0 => DEFAULT_SEGMENT_BYTES,
            n => n.min(u64::from(u32::MAX)),
        };
        Ok(Writer {
            fs,
            dir: dir.to_path_buf(),
            segment_bytes,
            caching: Caching::Cached,
            segments: 0,
            open: None,
            entry: Vec::new(),
        })
    }

    /// Writes segments that stay in the page cache, or not.
    pub fn with_caching(self, caching: Caching) -> Writer {
        Writer { caching, ..self }
    }

    /// Appends a chunk and says where it went.
    pub fn write(&mut self, encoding: u8, data: &[u8]) -> Result<ChunkRef, FileError> {
        let mut entry = std::mem::take(&mut self.entry);
        entry.clear();
        entry.put_uvarint(data.len() as u64);
        let checked = entry.len();
        entry.put_u8(encoding);
        entry.put_bytes(data);
        let sum = crc32c(entry.get(checked..).unwrap_or_default());
        entry.put_be32(sum);
        let at = self.append(data.len(), &entry);
        self.entry = entry;
        at
    }

    /// Whether `len` bytes of entries are sure to fit into the segment, as far as chunks written one
    /// by one would be.
    pub fn has_room(&self, len: usize) -> bool {
        let most = (len + MAX_VARINT_LEN_32) as u64;
        self.open.as_ref().is_some_and(|s| s.out.position() + most <= self.segment_bytes)
    }

    /// Appends chunks for which there [is room](Self::has_room), entries that lie one behind the
    /// other in another segment (a [`Run`](super::Run), so they are right and as we write them), and
    /// says where the first went.
    pub fn copy_run(&mut self, entries: &[u8]) -> Result<ChunkRef, FileError> {
        let Some(segment) = &mut self.open else { return Ok(ChunkRef::default()) };
        let at = segment.out.position();
        segment.put(entries)?;
        Ok(ChunkRef::new(self.segments - 1, at as u32))
    }

    /// Appends the entry of a chunk of `len` bytes of data where there is room for it.
    fn append(&mut self, len: usize, entry: &[u8]) -> Result<ChunkRef, FileError> {
        let most = (MAX_VARINT_LEN_32 + 1 + len + 4) as u64;
        let full = |s: &Segment| {
            let at = s.out.position();
            at > HEADER_SIZE as u64 && at + most > self.segment_bytes
        };
        if self.open.as_ref().is_none_or(full) {
            self.cut()?;
        }
        let Some(segment) = &mut self.open else { return Ok(ChunkRef::default()) };
        // Offsets stay below `segment_bytes`, which fits 32 bits.
        let at = ChunkRef::new(self.segments - 1, segment.out.position() as u32);
        segment.put(entry)?;
        Ok(at)
    }

    fn cut(&mut self) -> Result<(), FileError> {
        if let Some(segment) = self.open.take() {
            segment.finish()?;
        }
        self.segments += 1;
        let path = self.dir.join(file_name(self.segments));
        let out = Stream::create(&*self.fs, &path, self.caching)
            .map_err(FileError::io("create", &path))?;
        self.open.insert(Segment { path, out }).put(&header(MAGIC, VERSION))
    }

    /// Writes what is left and makes files and names durable. Gives the number of segments.
    pub fn finish(mut self) -> Result<u32, FileError> {
        if let Some(segment) = self.open.take() {
            segment.finish()?;
        }
        self.fs.sync_dir(&self.dir).map_err(FileError::io("sync", &self.dir))?;
        Ok(self.segments)
    }
}
