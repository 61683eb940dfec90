//! SegmentReader: the records of one segment file, in order.
//!
//! Accepts what Prometheus's reader accepts (a short last page counts as filled with zeros) and
//! says the same of what it does not. On top, it notices a lost write: zeros from a sector's start
//! to the page's end with records behind them. No writer leaves that, but a power cut can, and to
//! read on would be to leave something out of the middle.

use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use super::compression::{Compression, Decompressor};
use super::page::{
    HEADER_SIZE, Header, MAX_FRAGMENT, PAGE_SIZE, PAGE_TERM, check_order, continues, fragment_type,
};
use super::{CorruptionError, WalError, segment_path};
use crate::encoding::crc32c;
use crate::fs::{File, Fs, OpenMode, read_full_at};

/// What is read from the file at once. At least two pages, so that a fragment always fits.
const WINDOW: usize = 16 * PAGE_SIZE as usize;

/// The smallest piece a disk writes as a whole.
const SECTOR: u64 = 512;

/// Where a record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    pub segment: u64,
    /// First byte of its first fragment.
    pub start: u64,
    /// Behind its last fragment.
    pub end: u64,
}

/// A record as it was logged.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    pub position: Position,
    pub record: &'a [u8],
}

/// A record still compressed, for readers that decompress elsewhere.
#[derive(Clone, Copy, Debug)]
pub struct RawEntry<'a> {
    pub position: Position,
    pub compression: Compression,
    pub data: &'a [u8],
}

/// Where the bytes of the record just found are.
#[derive(Clone, Debug)]
enum Place {
    Window(Range<usize>),
    Assembled,
}

/// A record found: what is left is to look at it.
#[derive(Clone, Debug)]
pub(super) struct Found {
    position: Position,
    compression: Compression,
    place: Place,
}

/// What the next bytes are.
enum Next {
    End,
    Zeros,
    Fragment(Header, Range<usize>),
}

/// Reads one segment.
pub(super) struct SegmentReader {
    file: Arc<dyn File>,
    dir: Arc<Path>,
    segment: u64,
    /// Bytes of the file that may be read; what a writer has published, or all.
    limit: Limit,
    window: Vec<u8>,
    /// Offset of the window's first byte in the segment.
    window_start: u64,
    /// Offset of the next byte to look at.
    at: u64,
    /// Where a lost write seems to begin, if nothing comes behind it.
    hole: Option<u64>,
    assembled: Vec<u8>,
    plain: Vec<u8>,
    decompressor: Decompressor,
}

#[derive(Clone, Copy)]
enum Limit {
    /// A finished segment: its length, filled up to a whole page.
    Padded { len: u64 },
    /// A segment being written: whole records up to here.
    Published(u64),
}

impl SegmentReader {
    /// Opens a finished segment to read it from `start`, a record's start.
    pub(super) fn open(
        fs: &dyn Fs,
        dir: Arc<Path>,
        segment: u64,
        path: &Path,
        start: u64,
    ) -> Result<SegmentReader, WalError> {
        let file = fs.open(path, OpenMode::Read).map_err(WalError::io("open", path))?;
        let len = file.len().map_err(WalError::io("stat", path))?;
        Ok(SegmentReader {
            file,
            dir,
            segment,
            limit: Limit::Padded { len },
            window: Vec::new(),
            window_start: start,
            at: start,
            hole: None,
            assembled: Vec::new(),
            plain: Vec::new(),
            decompressor: Decompressor::default(),
        })
    }

    /// The directory and number of the segment.
    pub(super) fn place(&self) -> (&Path, u64) {
        (&self.dir, self.segment)
    }

    /// Behind the last record found.
    pub(super) fn offset(&self) -> u64 {
        self.at
    }

    /// Reads whole records up to `end` and no byte further: the segment is being written.
    pub(super) fn limit_to(&mut self, end: u64) {
        self.limit = Limit::Published(end);
    }

    /// The segment is finished: reads to its end.
    pub(super) fn read_to_end(&mut self) -> Result<(), WalError> {
        let len = self.file.len().map_err(|err| self.io(err))?;
        self.limit = Limit::Padded { len };
        Ok(())
    }

    /// Finds the next record; look at it by `raw` or `entry` before the next call.
    pub(super) fn advance(&mut self) -> Result<Option<Found>, WalError> {
        let start = self.skip_zeros()?;
        let mut index = 0;
        let mut kind = PAGE_TERM;
        loop {
            let (header, data) = match self.next(start)? {
                Next::Fragment(header, data) => (header, data),
                Next::Zeros => continue,
                Next::End if continues(kind) => {
                    return Err(self.corrupt(start, "last record is torn"));
                }
                Next::End => return Ok(None),
            };
            if let Some(hole) = self.hole {
                self.at = hole;
                let reason = "unexpected record behind a page that ends early";
                return Err(self.corrupt(start.min(hole), reason));
            }
            if header.len == 0 {
                self.suspect_empty();
            }
            kind = fragment_type(header.flags);
            check_order(kind, index).map_err(|reason| self.corrupt(start, reason))?;
            let place = if index == 0 && !continues(kind) {
                Place::Window(data)
            } else {
                if index == 0 {
                    self.assembled.clear();
                }
                self.assembled.extend_from_slice(&self.window[data]);
                Place::Assembled
            };
            if !continues(kind) {
                let position = Position { segment: self.segment, start, end: self.at };
                let compression = Compression::of_flags(header.flags);
                return Ok(Some(Found { position, compression, place }));
            }
            index += 1;
        }
    }

    /// The record just found, still compressed.
    pub(super) fn raw(&self, found: &Found) -> RawEntry<'_> {
        let data = match &found.place {
            Place::Window(range) => self.window.get(range.clone()).unwrap_or_default(),
            Place::Assembled => &self.assembled,
        };
        RawEntry { position: found.position, compression: found.compression, data }
    }

    /// The record just found.
    pub(super) fn entry(&mut self, found: Found) -> Result<Entry<'_>, WalError> {
        if found.compression != Compression::None {
            let data = match &found.place {
                Place::Window(range) => self.window.get(range.clone()).unwrap_or_default(),
                Place::Assembled => &self.assembled,
            };
            self.decompressor
                .decompress(found.compression, data, &mut self.plain)
                .map_err(|reason| self.corrupt(found.position.start, reason))?;
            return Ok(Entry { position: found.position, record: &self.plain });
        }
        Ok(Entry { position: found.position, record: self.raw(&found).data })
    }

    /// Passes over ends of pages; the offset of the next record.
    fn skip_zeros(&mut self) -> Result<u64, WalError> {
        while self.need(1)? > 0 && fragment_type(self.window[self.in_window()]) == PAGE_TERM {
            self.page_term(self.at)?;
        }
        Ok(self.at)
    }

    /// Takes the next fragment, or the zeros at a page's end.
    fn next(&mut self, record_start: u64) -> Result<Next, WalError> {
        let have = self.need(HEADER_SIZE + MAX_FRAGMENT)?;
        let from = self.in_window();
        let Some(flags) = self.window.get(from).copied().filter(|_| have > 0) else {
            return Ok(Next::End);
        };
        if fragment_type(flags) == PAGE_TERM {
            self.page_term(record_start)?;
            return Ok(Next::Zeros);
        }
        let Some(bytes) = self.window[from..].first_chunk::<HEADER_SIZE>() else {
            return self.cut_short(record_start, flags, have, 1, "read remaining header: ");
        };
        let header = Header::parse(*bytes);
        if header.len > MAX_FRAGMENT {
            self.at += HEADER_SIZE as u64;
            return Err(self.corrupt(record_start, format!("invalid record size {}", header.len)));
        }
        let data = from + HEADER_SIZE..from + HEADER_SIZE + header.len;
        let Some(bytes) = self.window.get(data.clone()) else {
            return self.cut_short(record_start, flags, have, HEADER_SIZE, "");
        };
        self.at += (HEADER_SIZE + header.len) as u64;
        let crc = crc32c(bytes);
        if crc != header.crc {
            let reason = format!("unexpected checksum {crc:x}, expected {:x}", header.crc);
            return Err(self.corrupt(record_start, reason));
        }
        Ok(Next::Fragment(header, data))
    }

    /// An empty fragment has only zeros behind its type, and if these begin with a sector they
    /// may stand for a lost write: then nothing may come behind.
    fn suspect_empty(&mut self) {
        let begin = self.at - HEADER_SIZE as u64;
        if (self.at - 1) / SECTOR > begin / SECTOR {
            self.hole.get_or_insert(begin);
        }
    }

    /// The segment ends inside a fragment, `have` bytes behind its start. As in Prometheus, an end
    /// right behind the first byte or the header counts as the end of the log unless a record was
    /// begun before.
    fn cut_short(
        &mut self,
        record_start: u64,
        flags: u8,
        have: usize,
        clean: usize,
        context: &str,
    ) -> Result<Next, WalError> {
        self.at += have as u64;
        let reason = if have > clean {
            format!("{context}unexpected EOF")
        } else if continues(fragment_type(flags)) {
            "last record is torn".to_owned()
        } else {
            return Ok(Next::End);
        };
        Err(self.corrupt(record_start, reason))
    }

    /// Passes over the zeros from here to the end of the page.
    fn page_term(&mut self, record_start: u64) -> Result<(), WalError> {
        let begin = self.at;
        let len = (PAGE_SIZE - begin % PAGE_SIZE) as usize;
        let have = self.need(len)?.min(len);
        let from = self.in_window();
        let zeros = self.window.get(from..from + have).unwrap_or_default();
        // The type bits are zero; flags beside them do not make it a fragment.
        let clean = zeros.get(1..).unwrap_or_default().iter().all(|b| *b == 0);
        self.at += have as u64;
        if !clean {
            return Err(self.corrupt(record_start, "unexpected non-zero byte in padded page"));
        }
        if begin.is_multiple_of(SECTOR) {
            self.hole.get_or_insert(begin);
        }
        Ok(())
    }

    /// Tries to have `n` bytes from the current offset on in the window; how many there are.
    fn need(&mut self, n: usize) -> Result<usize, WalError> {
        let have = self.window.len() - self.in_window();
        let end = match self.limit {
            Limit::Padded { len } => len.next_multiple_of(PAGE_SIZE),
            Limit::Published(end) => end,
        };
        let left = end.saturating_sub(self.window_start + self.window.len() as u64);
        if have >= n || left == 0 {
            return Ok(have);
        }
        self.window.drain(..self.window.len() - have);
        self.window_start = self.at;
        let more = WINDOW.min(usize::try_from(left).unwrap_or(WINDOW));
        let old = self.window.len();
        self.window.resize(old + more, 0);
        let from = self.window_start + old as u64;
        let read = read_full_at(self.file.as_ref(), &mut self.window[old..], from);
        let read = read.map_err(|err| self.io(err))?;
        // Behind a short file the window keeps its zeros, but not behind one that is being written:
        // it was cut at a record's end after a failed sync.
        if matches!(self.limit, Limit::Published(_)) {
            self.window.truncate(old + read);
        }
        Ok(self.window.len())
    }

    fn in_window(&self) -> usize {
        (self.at - self.window_start) as usize
    }

    fn corrupt(&self, record_start: u64, reason: impl Into<String>) -> WalError {
        WalError::Corruption(CorruptionError {
            dir: self.dir.to_path_buf(),
            segment: self.segment,
            offset: self.at,
            record_start,
            reason: reason.into(),
        })
    }

    fn io(&self, err: io::Error) -> WalError {
        WalError::io("read", &segment_path(&self.dir, self.segment))(err)
    }
}
