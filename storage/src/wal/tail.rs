//! TailReader: follows a log while it is being written, for whoever ships records elsewhere.
//!
//! It reads whole records up to the position the writer has published and waits there. After a
//! failed sync the writer logs a tail again in a new segment; the reader then sees those records
//! twice.

use std::io;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::segment_reader::{Found, SegmentReader};
use super::{Entry, LogPosition, Wal, WalError, segment_path};
use crate::fs::Fs;

/// How far a log is written, as its readers may know.
#[derive(Debug, Default)]
pub(super) struct Published {
    end: Mutex<End>,
    changed: Condvar,
}

#[derive(Clone, Copy, Debug, Default)]
struct End {
    position: LogPosition,
    closed: bool,
}

impl Published {
    pub(super) fn publish(&self, position: LogPosition) {
        self.change(|end| end.position = position);
    }

    pub(super) fn close(&self) {
        self.change(|end| end.closed = true);
    }

    pub(super) fn get(&self) -> LogPosition {
        self.end.lock().unwrap_or_else(PoisonError::into_inner).position
    }

    fn change(&self, change: impl FnOnce(&mut End)) {
        change(&mut self.end.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
    }

    /// Waits until the end is elsewhere, the log is closed or the time is over; whether it moved.
    fn wait(&self, known: LogPosition, timeout: Duration) -> bool {
        let end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        let still = |end: &mut End| end.position == known && !end.closed;
        let (end, _) = self
            .changed
            .wait_timeout_while(end, timeout, still)
            .unwrap_or_else(PoisonError::into_inner);
        end.position != known
    }
}

/// Reads a log behind its writer.
pub struct TailReader {
    fs: Arc<dyn Fs>,
    dir: Arc<Path>,
    published: Arc<Published>,
    segment: u64,
    reader: Option<SegmentReader>,
}

impl TailReader {
    /// Follows `wal` from the start of `segment`.
    pub fn new(wal: &Wal, segment: u64) -> TailReader {
        let (fs, dir, published) = wal.tail_parts();
        TailReader { fs, dir, published, segment, reader: None }
    }

    /// Where the reader stands: behind the last record it gave.
    pub fn position(&self) -> LogPosition {
        let offset = self.reader.as_ref().map_or(0, SegmentReader::offset);
        LogPosition { segment: self.segment, offset }
    }

    /// Gives up on the segment being read, after an error in it.
    pub fn skip_segment(&mut self) {
        self.reader = None;
        self.segment += 1;
    }

    /// The next record, or `None` when the writer has published no more. A segment that was
    /// removed before it was read is [`WalError::SegmentGone`].
    pub fn poll(&mut self) -> Result<Option<Entry<'_>>, WalError> {
        let Some(found) = self.find()? else { return Ok(None) };
        self.reader.as_mut().map(|reader| reader.entry(found)).transpose()
    }

    /// Waits until there may be more to read; false when the time is over.
    pub fn wait(&self, timeout: Duration) -> bool {
        self.published.wait(self.position(), timeout)
    }

    fn find(&mut self) -> Result<Option<Found>, WalError> {
        loop {
            let end = self.published.get();
            if self.segment > end.segment {
                return Ok(None);
            }
            let reader = match &mut self.reader {
                Some(reader) => reader,
                none => none.insert(open(self.fs.as_ref(), &self.dir, self.segment)?),
            };
            if self.segment == end.segment {
                reader.limit_to(end.offset);
                return reader.advance();
            }
            reader.read_to_end()?;
            if let Some(found) = reader.advance()? {
                return Ok(Some(found));
            }
            self.reader = None;
            self.segment += 1;
        }
    }
}

fn open(fs: &dyn Fs, dir: &Arc<Path>, segment: u64) -> Result<SegmentReader, WalError> {
    let path = segment_path(dir, segment);
    SegmentReader::open(fs, dir.clone(), segment, &path, 0).map_err(|err| match err {
        WalError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => {
            WalError::SegmentGone { path }
        }
        err => err,
    })
}
