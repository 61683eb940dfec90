//! Writing the chunk segments of a new block.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{HEADER_SIZE, MAGIC, StoredChunk, VERSION, file_name, header};
use crate::chunk::ChunkRef;
use crate::encoding::{Crc32c, EncBuf, MAX_VARINT_LEN_32, uvarint_len};
use crate::file_error::FileError;
use crate::fs::{File, Fs, OpenMode};

/// Bytes a segment holds at most, unless its only chunk is larger.
pub const DEFAULT_SEGMENT_BYTES: u64 = 512 << 20;
/// Bytes gathered before they are written.
const BUFFER_BYTES: usize = 1 << 20;

/// Appends chunks to numbered segments of a directory. Nothing is durable before
/// [`finish`](Self::finish).
pub struct Writer {
    fs: Arc<dyn Fs>,
    dir: PathBuf,
    segment_bytes: u64,
    /// Segments begun.
    segments: u32,
    open: Option<Segment>,
}

struct Segment {
    path: PathBuf,
    file: Arc<dyn File>,
    written: u64,
    buffer: Vec<u8>,
}

impl Segment {
    fn len(&self) -> u64 {
        self.written + self.buffer.len() as u64
    }

    fn flush(&mut self) -> Result<(), FileError> {
        self.file
            .write_all_at(&self.buffer, self.written)
            .map_err(FileError::io("write", &self.path))?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    fn finish(mut self) -> Result<(), FileError> {
        self.flush()?;
        self.file.sync().map_err(FileError::io("sync", &self.path))
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
        Ok(Writer { fs, dir: dir.to_path_buf(), segment_bytes, segments: 0, open: None })
    }

    /// Appends a chunk and says where it went.
    pub fn write(&mut self, encoding: u8, data: &[u8]) -> Result<ChunkRef, FileError> {
        self.append(data.len(), |buffer| {
            buffer.put_uvarint(data.len() as u64);
            buffer.put_u8(encoding);
            buffer.put_bytes(data);
            let mut crc = Crc32c::new();
            crc.update(&[encoding]);
            crc.update(data);
            buffer.put_be32(crc.value());
        })
    }

    /// Appends a chunk of another segment, whose checksum was right when it was read, as it lies
    /// there.
    pub fn copy(&mut self, chunk: &StoredChunk<'_>) -> Result<ChunkRef, FileError> {
        let len = chunk.data.len();
        if chunk.entry.len() != uvarint_len(len as u64) + 1 + len + 4 {
            // Its length is written with more bytes than it takes.
            return self.write(chunk.encoding, chunk.data);
        }
        self.append(len, |buffer| buffer.put_bytes(chunk.entry))
    }

    /// Makes room for a chunk of `len` bytes of data and has `put` append its entry.
    fn append(
        &mut self,
        len: usize,
        put: impl FnOnce(&mut Vec<u8>),
    ) -> Result<ChunkRef, FileError> {
        let most = (MAX_VARINT_LEN_32 + 1 + len + 4) as u64;
        let full =
            |s: &Segment| s.len() > HEADER_SIZE as u64 && s.len() + most > self.segment_bytes;
        if self.open.as_ref().is_none_or(full) {
            self.cut()?;
        }
        let Some(segment) = &mut self.open else { return Ok(ChunkRef::default()) };
        // Offsets stay below `segment_bytes`, which fits 32 bits.
        let at = ChunkRef::new(self.segments - 1, segment.len() as u32);
        put(&mut segment.buffer);
        if segment.buffer.len() >= BUFFER_BYTES {
            segment.flush()?;
        }
        Ok(at)
    }

    fn cut(&mut self) -> Result<(), FileError> {
        if let Some(segment) = self.open.take() {
            segment.finish()?;
        }
        self.segments += 1;
        let path = self.dir.join(file_name(self.segments));
        let file =
            self.fs.open(&path, OpenMode::CreateNew).map_err(FileError::io("create", &path))?;
        let buffer = header(MAGIC, VERSION).to_vec();
        self.open = Some(Segment { path, file, written: 0, buffer });
        Ok(())
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
