//! HeadChunks as the head uses them: chunks in, records of them out. A chunk that cannot be written
//! stays where it is; the head keeps it in memory and tries again at the next round.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use model::{EncodedChunk, QueryError, SeriesRef};

use super::series::MappedChunk;
use crate::chunk::{ChunkRef, num_samples};
use crate::file_error::FileError;
use crate::fs::Fs;
use crate::headchunks::{self, Entry, Sealed};

/// The directory `chunks_head`.
pub(crate) struct HeadChunks {
    files: headchunks::HeadChunks,
    failed: AtomicBool,
    last_written: AtomicU64,
}

impl HeadChunks {
    /// Opens the directory.
    pub fn open(fs: Arc<dyn Fs>, dir: &Path) -> Result<HeadChunks, FileError> {
        let files = headchunks::HeadChunks::open(fs, dir)?;
        Ok(HeadChunks { files, failed: AtomicBool::new(false), last_written: AtomicU64::new(0) })
    }

    /// The files themselves.
    pub fn files(&self) -> &headchunks::HeadChunks {
        &self.files
    }

    /// Writes a full chunk; `None` when that failed or the chunk cannot be described.
    pub fn write(
        &self,
        series_ref: u64,
        chunk: &EncodedChunk,
        out_of_order: bool,
    ) -> Option<MappedChunk> {
        let span_ms = u32::try_from(chunk.range.max.abs_diff(chunk.range.min)).ok()?;
        let samples = num_samples(chunk.encoding, &chunk.data).ok()?;
        let series = SeriesRef(series_ref);
        match self.files.write(series, chunk.range, chunk.encoding, out_of_order, &chunk.data) {
            Ok(at) => {
                self.last_written.fetch_max(at.0, Ordering::AcqRel);
                Some(MappedChunk {
                    chunk_ref: at.0,
                    min_t: chunk.range.min,
                    span_ms,
                    samples: samples as u16,
                    encoding: chunk.encoding,
                })
            }
            Err(_) => {
                self.failed.store(true, Ordering::Release);
                None
            }
        }
    }

    /// Whether a write failed since this was asked last.
    pub fn take_failed(&self) -> bool {
        self.failed.swap(false, Ordering::AcqRel)
    }

    /// Place of the newest chunk this process wrote or found.
    pub fn last_written(&self) -> u64 {
        self.last_written.load(Ordering::Acquire)
    }

    /// A chunk was found there.
    pub fn found(&self, at: u64) {
        self.last_written.fetch_max(at, Ordering::AcqRel);
    }

    /// Hands encoding and data of a chunk to `with`; quickly, if it is in one of the files `sealed`.
    pub fn with_chunk<R>(
        &self,
        sealed: &Sealed,
        mapped: &MappedChunk,
        with: impl FnOnce(u8, &[u8]) -> R,
    ) -> Result<R, QueryError> {
        self.files.with_chunk(sealed, ChunkRef(mapped.chunk_ref), with).map_err(failed)
    }

    /// Reads a chunk back.
    pub fn read(&self, mapped: &MappedChunk) -> Result<EncodedChunk, QueryError> {
        let chunk = self.files.read(ChunkRef(mapped.chunk_ref)).map_err(failed)?;
        Ok(EncodedChunk { range: chunk.range, encoding: chunk.encoding, data: chunk.data.to_vec() })
    }
}

fn failed(error: FileError) -> QueryError {
    match &error {
        FileError::Io { .. } => QueryError::Io(error.to_string()),
        _ => QueryError::Corrupt(error.to_string()),
    }
}

/// What the head remembers of an entry; `None` for one it cannot use.
pub(crate) fn mapped(entry: &Entry) -> Option<MappedChunk> {
    Some(MappedChunk {
        chunk_ref: entry.at.0,
        min_t: entry.range.min,
        span_ms: u32::try_from(entry.range.max.checked_sub(entry.range.min)?).ok()?,
        samples: entry.samples,
        encoding: entry.encoding,
    })
    .filter(|c| c.samples > 0)
}
