//! SegmentWriter: writes a directory of segments in one go, for checkpoints and snapshots. Nobody
//! reads it before `finish`, so nothing is flushed or synced early.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::compression::Compressor;
use super::page::{frame, framed_len};
use super::{Compression, WalError, segment_path};
use crate::fs::{File, Fs, OpenMode};

/// Bytes gathered before a write.
const BUFFER: usize = 1 << 20;

/// Writes segments 0, 1, … of a new directory.
pub struct SegmentWriter<'f> {
    fs: &'f dyn Fs,
    dir: PathBuf,
    segment_size: u64,
    compression: Compression,
    compressor: Compressor,
    segment: u64,
    file: Arc<dyn File>,
    /// Bytes of the segment in the file; those in `buffer` come behind.
    written: u64,
    buffer: Vec<u8>,
    compressed: Vec<u8>,
}

impl<'f> SegmentWriter<'f> {
    /// Makes `dir` and its first segment.
    pub fn create(
        fs: &'f dyn Fs,
        dir: &Path,
        segment_size: u64,
        compression: Compression,
    ) -> Result<SegmentWriter<'f>, WalError> {
        fs.create_dir_all(dir).map_err(WalError::io("mkdir", dir))?;
        Ok(SegmentWriter {
            fs,
            dir: dir.to_owned(),
            segment_size,
            compression,
            compressor: Compressor::default(),
            segment: 0,
            file: open(fs, dir, 0)?,
            written: 0,
            buffer: Vec::new(),
            compressed: Vec::new(),
        })
    }

    /// Adds a record.
    pub fn log(&mut self, record: &[u8]) -> Result<(), WalError> {
        self.compressed.clear();
        let smaller = self.compressor.compress(self.compression, record, &mut self.compressed);
        let len = if smaller { self.compressed.len() } else { record.len() };
        let end = self.written + self.buffer.len() as u64;
        if end > 0 && end + framed_len(end, len) > self.segment_size {
            self.close_segment()?;
            self.segment += 1;
            self.file = open(self.fs, &self.dir, self.segment)?;
            self.written = 0;
        }
        let flags = if smaller { self.compression.flags() } else { 0 };
        let data = if smaller { &self.compressed } else { record };
        frame(&mut self.buffer, self.written, data, flags);
        if self.buffer.len() >= BUFFER {
            self.flush()?;
        }
        Ok(())
    }

    /// Writes what is left and makes files and directory durable.
    pub fn finish(mut self) -> Result<(), WalError> {
        self.close_segment()?;
        self.fs.sync_dir(&self.dir).map_err(WalError::io("sync", &self.dir))
    }

    fn close_segment(&mut self) -> Result<(), WalError> {
        self.flush()?;
        let path = segment_path(&self.dir, self.segment);
        self.file.sync().map_err(WalError::io("sync", &path))
    }

    fn flush(&mut self) -> Result<(), WalError> {
        let path = segment_path(&self.dir, self.segment);
        self.file.write_all_at(&self.buffer, self.written).map_err(WalError::io("write", &path))?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}

fn open(fs: &dyn Fs, dir: &Path, segment: u64) -> Result<Arc<dyn File>, WalError> {
    let path = segment_path(dir, segment);
    fs.open(&path, OpenMode::Truncate).map_err(WalError::io("open", &path))
}
