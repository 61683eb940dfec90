//! Reader: one pass over a checkpoint and segments.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::segment_reader::SegmentReader;
use super::{
    CorruptionError, Entry, Position, RawEntry, WalError, checkpoint, segment_path, segments,
};
use crate::fs::Fs;

/// Segments of one directory, both ends included; an open end is `None`.
#[derive(Clone, Debug)]
pub struct SegmentRange {
    pub dir: PathBuf,
    pub first: Option<u64>,
    pub last: Option<u64>,
}

/// A segment waiting to be read.
struct Waiting {
    dir: Arc<Path>,
    segment: u64,
    path: PathBuf,
    start: u64,
}

/// Reads records across segments, in order. Each record lies in one segment.
pub struct Reader {
    fs: Arc<dyn Fs>,
    waiting: VecDeque<Waiting>,
    current: Option<SegmentReader>,
}

impl Reader {
    /// Reads the segments of these ranges, one range after the other.
    pub fn open(fs: Arc<dyn Fs>, ranges: &[SegmentRange]) -> Result<Reader, WalError> {
        let mut waiting = VecDeque::new();
        for range in ranges {
            let dir: Arc<Path> = range.dir.as_path().into();
            for found in segments(fs.as_ref(), &range.dir)? {
                let after_first = range.first.is_none_or(|first| found.index >= first);
                let before_last = range.last.is_none_or(|last| found.index <= last);
                if after_first && before_last {
                    let path = dir.join(&found.name);
                    let segment = found.index;
                    waiting.push_back(Waiting { dir: dir.clone(), segment, path, start: 0 });
                }
            }
        }
        Ok(Reader { fs, waiting, current: None })
    }

    /// Reads everything a start needs: the latest checkpoint, if there is one, and the segments
    /// behind it.
    pub fn replay(fs: Arc<dyn Fs>, dir: &Path) -> Result<Reader, WalError> {
        let mut ranges = Vec::new();
        let mut first = None;
        if let Some(last) = checkpoint::last(fs.as_ref(), dir)? {
            ranges.push(SegmentRange { dir: last.dir, first: None, last: None });
            first = last.index.checked_add(1);
        }
        ranges.push(SegmentRange { dir: dir.to_owned(), first, last: None });
        let reader = Reader::open(fs, &ranges)?;
        // The segment right behind the checkpoint must be there if any is.
        let behind = reader.waiting.iter().find(|waiting| *waiting.dir == *dir);
        match (first, behind) {
            (Some(first), Some(found)) if found.segment != first => {
                let missing = std::io::Error::from(std::io::ErrorKind::NotFound);
                Err(WalError::io("open", &segment_path(dir, first))(missing))
            }
            _ => Ok(reader),
        }
    }

    /// Reads the segments of `dir` from a record's start on: what a snapshot does not cover.
    pub fn replay_from(
        fs: Arc<dyn Fs>,
        dir: &Path,
        segment: u64,
        offset: u64,
    ) -> Result<Reader, WalError> {
        let range = SegmentRange { dir: dir.to_owned(), first: Some(segment), last: None };
        let mut reader = Reader::open(fs, &[range])?;
        if let Some(first) = reader.waiting.front_mut()
            && first.segment == segment
        {
            first.start = offset;
        }
        Ok(reader)
    }

    /// Reads one segment, in file `path`, from a record's start on, whatever else there is.
    pub fn open_segment(
        fs: Arc<dyn Fs>,
        dir: &Path,
        (segment, path): (u64, &Path),
        start: u64,
    ) -> Reader {
        let one = Waiting { dir: dir.into(), segment, path: path.to_owned(), start };
        Reader { fs, waiting: VecDeque::from([one]), current: None }
    }

    /// First and last segment of `dir` that are still to be read.
    pub fn remaining(&self, dir: &Path) -> Option<(u64, u64)> {
        let mut of_dir = self.waiting.iter().filter(|w| *w.dir == *dir).map(|w| w.segment);
        let first = of_dir.next()?;
        Some((first, of_dir.next_back().unwrap_or(first)))
    }

    /// The directory and number of the segment being read.
    pub fn current(&self) -> Option<(&Path, u64)> {
        self.current.as_ref().map(SegmentReader::place)
    }

    /// The next record; `None` at the end. After an error there is nothing more to read.
    pub fn next_entry(&mut self) -> Result<Option<Entry<'_>>, WalError> {
        let found = match self.current.as_mut().map(SegmentReader::advance).transpose()?.flatten() {
            Some(found) => found,
            None => match self.next_segment()? {
                Some(found) => found,
                None => return Ok(None),
            },
        };
        match &mut self.current {
            Some(current) => current.entry(found).map(Some),
            None => Ok(None),
        }
    }

    /// The next record, still compressed.
    pub fn next_raw(&mut self) -> Result<Option<RawEntry<'_>>, WalError> {
        let found = match self.current.as_mut().map(SegmentReader::advance).transpose()?.flatten() {
            Some(found) => found,
            None => match self.next_segment()? {
                Some(found) => found,
                None => return Ok(None),
            },
        };
        Ok(self.current.as_ref().map(|current| current.raw(&found)))
    }

    /// Opens segments until one has a record.
    fn next_segment(&mut self) -> Result<Option<super::segment_reader::Found>, WalError> {
        while let Some(next) = self.waiting.pop_front() {
            let Waiting { dir, segment, path, start } = next;
            let mut current = SegmentReader::open(self.fs.as_ref(), dir, segment, &path, start)?;
            let found = current.advance();
            self.current = Some(current);
            if let Some(found) = found? {
                return Ok(Some(found));
            }
        }
        self.current = None;
        Ok(None)
    }
}

impl Position {
    /// The error for a record of `dir` that was read whole but makes no sense.
    pub fn corruption(&self, dir: &Path, reason: impl ToString) -> CorruptionError {
        CorruptionError {
            dir: dir.to_owned(),
            segment: self.segment,
            offset: self.end,
            record_start: self.start,
            reason: reason.to_string(),
        }
    }
}
