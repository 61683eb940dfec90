//! FileWriter: a new file written front to back through one buffer, which knows its position.

use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::fs::{File, Fs, OpenMode};

/// Bytes gathered before they are written.
const BUFFER_BYTES: usize = 1 << 20;

/// A file being written. Nothing is durable before `finish`.
pub(super) struct FileWriter {
    file: Arc<dyn File>,
    buffer: Vec<u8>,
    /// Offset in the file of the start of `buffer`.
    flushed: u64,
}

impl FileWriter {
    /// An empty file at `path`.
    pub(super) fn create(fs: &dyn Fs, path: &Path) -> io::Result<FileWriter> {
        let file = fs.open(path, OpenMode::Truncate)?;
        Ok(FileWriter { file, buffer: Vec::with_capacity(BUFFER_BYTES), flushed: 0 })
    }

    /// Offset of the next byte.
    pub(super) fn position(&self) -> u64 {
        self.flushed + self.buffer.len() as u64
    }

    /// Appends `bytes`.
    pub(super) fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.buffer.len() + bytes.len() > BUFFER_BYTES {
            self.flush()?;
        }
        if bytes.len() >= BUFFER_BYTES {
            self.file.write_all_at(bytes, self.flushed)?;
            self.flushed += bytes.len() as u64;
        } else {
            self.buffer.extend_from_slice(bytes);
        }
        Ok(())
    }

    /// Appends zeros up to the next multiple of `align`.
    pub(super) fn pad(&mut self, align: u64) -> io::Result<()> {
        const ZEROS: [u8; 16] = [0; 16];
        let missing = self.position().next_multiple_of(align) - self.position();
        self.put(&ZEROS[..missing as usize])
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.write_all_at(&self.buffer, self.flushed)?;
        self.flushed += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// Writes what is left and makes the content durable; returns the file's length.
    pub(super) fn finish(mut self) -> io::Result<u64> {
        self.flush()?;
        self.file.sync()?;
        Ok(self.flushed)
    }
}
