//! Reading the chunk segments of a block through mappings. The checksum is verified at every read.

use std::path::{Path, PathBuf};

use super::{MAGIC, WHAT, file_name, header_fault};
use crate::chunk::ChunkRef;
use crate::encoding::{DecBuf, DecodeError, crc32c, uvarint_len};
use crate::file_error::FileError;
use crate::fs::{FileKind, Fs, Mapped};

/// The mapped segments of a block.
pub struct Reader {
    segments: Vec<Segment>,
}

struct Segment {
    path: PathBuf,
    bytes: Mapped,
}

/// Bytes of the checksum behind a chunk.
pub(super) const CRC_LEN: usize = 4;

/// A chunk as it lies in a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredChunk<'a> {
    /// Encoding byte, not looked at.
    pub encoding: u8,
    pub data: &'a [u8],
    /// All bytes of its segment, or of a piece of it.
    pub(super) segment: &'a [u8],
    /// Where it lies in there: from, to.
    pub(super) place: (usize, usize),
    /// Offset behind the chunk: where the next one of the segment starts.
    pub end: u32,
}

impl<'a> StoredChunk<'a> {
    /// All bytes of it: length, encoding, data, checksum.
    pub fn entry(&self) -> &'a [u8] {
        self.entries_to(self)
    }

    /// Whether its length is written with as few bytes as it takes.
    pub fn is_canonical(&self) -> bool {
        let len = self.data.len();
        self.place.1 - self.place.0 == uvarint_len(len as u64) + 1 + len + CRC_LEN
    }

    /// Whether it lies directly behind `before`.
    pub fn follows(&self, before: &StoredChunk<'_>) -> bool {
        self.place.0 == before.place.1 && std::ptr::eq(self.segment, before.segment)
    }

    /// All bytes from here to the end of `last`, which is of the same segment.
    pub fn entries_to(&self, last: &StoredChunk<'a>) -> &'a [u8] {
        self.segment.get(self.place.0..last.place.1).unwrap_or_default()
    }
}

impl Reader {
    /// Maps the segments of `dir` and checks their headers.
    pub fn open(fs: &dyn Fs, dir: &Path) -> Result<Reader, FileError> {
        let mut numbered = Vec::new();
        for entry in fs.list(dir).map_err(FileError::io("list", dir))? {
            if let (Ok(number), FileKind::File) = (entry.name.parse::<u64>(), entry.kind) {
                numbered.push((number, dir.join(entry.name)));
            }
        }
        numbered.sort();
        let mut segments = Vec::with_capacity(numbered.len());
        for (_, path) in numbered {
            let bytes = fs.map(&path).map_err(FileError::io("map", &path))?;
            segments.push((path, bytes));
        }
        Reader::from_segments(segments)
    }

    /// Maps what there is of segments of `dir`, headers unseen: a segment that is not there, or
    /// cannot be mapped, is an empty one.
    pub fn open_damaged(fs: &dyn Fs, dir: &Path) -> Reader {
        let mut segments = Vec::new();
        let mut number = 1;
        let entries = fs.list(dir).unwrap_or_default();
        let count = entries.iter().filter_map(|e| e.name.parse::<u32>().ok()).max().unwrap_or(0);
        // Names of millions of segments that are not there must not take memory.
        while number <= count.min(1 << 20) {
            let path = dir.join(file_name(number));
            let bytes = fs.map(&path).unwrap_or_else(|_| std::sync::Arc::new(Vec::new()));
            segments.push(Segment { path, bytes });
            number += 1;
        }
        Reader { segments }
    }

    /// Reads segments that are mapped already, in order.
    pub fn from_segments(segments: Vec<(PathBuf, Mapped)>) -> Result<Reader, FileError> {
        let segments: Vec<Segment> =
            segments.into_iter().map(|(path, bytes)| Segment { path, bytes }).collect();
        for segment in &segments {
            if let Some((offset, reason)) = header_fault((*segment.bytes).as_ref(), MAGIC) {
                return Err(segment.corrupt(offset, reason));
            }
        }
        Ok(Reader { segments })
    }

    /// Number of segments.
    pub fn segments(&self) -> usize {
        self.segments.len()
    }

    /// The file of segment `segment`, counted from 0; empty when there is none.
    pub fn path(&self, segment: u32) -> &Path {
        self.segments.get(segment as usize).map_or(Path::new(""), |s| &s.path)
    }

    /// Bytes of all segments.
    pub fn size_bytes(&self) -> u64 {
        self.segments.iter().map(|s| (*s.bytes).as_ref().len() as u64).sum()
    }

    /// The chunk at `at`.
    pub fn chunk(&self, at: ChunkRef) -> Result<StoredChunk<'_>, FileError> {
        let Some(segment) = self.segments.get(at.file() as usize) else {
            let path = self.segments.last().map_or_else(PathBuf::new, |s| s.path.clone());
            let reason = format!("segment index {} out of range", at.file());
            let offset = u64::from(at.offset());
            return Err(FileError::Corrupt { what: WHAT, path, offset, reason });
        };
        segment.chunk(at.offset())
    }
}

impl Segment {
    fn chunk(&self, offset: u32) -> Result<StoredChunk<'_>, FileError> {
        let bytes = (*self.bytes).as_ref();
        stored(bytes, offset as usize, 0).map_err(|fault| {
            let reason = match fault {
                Fault::Short => format!(
                    "segment doesn't include enough bytes to read the chunk, available:{}",
                    bytes.len()
                ),
                Fault::Checksum { stored, actual } => {
                    format!("checksum mismatch expected:{stored:x}, actual:{actual:x}")
                }
            };
            self.corrupt(u64::from(offset), reason)
        })
    }

    #[cold]
    fn corrupt(&self, offset: u64, reason: String) -> FileError {
        FileError::Corrupt { what: WHAT, path: self.path.clone(), offset, reason }
    }
}

/// Why there is no chunk at a place.
pub(super) enum Fault {
    /// Bytes end before it does.
    Short,
    Checksum {
        stored: u32,
        actual: u32,
    },
}

/// The chunk at `place` of `bytes`, which lie at `offset` of a segment; the checksum is verified.
#[inline]
pub(super) fn stored(bytes: &[u8], place: usize, offset: u64) -> Result<StoredChunk<'_>, Fault> {
    let entry = bytes.get(place..).unwrap_or_default();
    let (read, stored) = parse(entry).map_err(|_| Fault::Short)?;
    let actual = crc32c(read.checked);
    if actual != stored {
        return Err(Fault::Checksum { stored, actual });
    }
    let end = place + read.len;
    Ok(StoredChunk {
        encoding: read.encoding,
        data: read.data,
        segment: bytes,
        place: (place, end),
        end: u32::try_from(offset + end as u64).unwrap_or(u32::MAX),
    })
}

struct Parsed<'a> {
    encoding: u8,
    data: &'a [u8],
    /// What the checksum covers: encoding and data.
    checked: &'a [u8],
    /// Bytes of the whole entry.
    len: usize,
}

/// An entry and its stored checksum.
#[inline]
fn parse(entry: &[u8]) -> Result<(Parsed<'_>, u32), DecodeError> {
    let mut d = DecBuf::new(entry);
    let len = d.uvarint_usize()?;
    let checked = d.bytes(len.checked_add(1).ok_or(DecodeError::InvalidSize)?)?;
    let stored = d.be32()?;
    let (&encoding, data) = checked.split_first().ok_or(DecodeError::InvalidSize)?;
    Ok((Parsed { encoding, data, checked, len: entry.len() - d.len() }, stored))
}
