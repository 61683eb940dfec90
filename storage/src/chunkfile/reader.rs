//! Reading the chunk segments of a block through mappings. The checksum is verified at every read.

use std::path::{Path, PathBuf};

use super::run::{self, Run};
use super::{MAGIC, WHAT, file_name, header_fault};
use crate::chunk::ChunkRef;
use crate::encoding::{DecBuf, DecodeError, crc32c, crc32c_mismatch, uvarint_len};
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

/// Chunks that can be asked for together.
pub const AT_ONCE: usize = 8;
/// Bytes of the checksum behind a chunk.
const CRC_LEN: usize = 4;

/// A chunk as it lies in a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredChunk<'a> {
    /// Encoding byte, not looked at.
    pub encoding: u8,
    pub data: &'a [u8],
    /// Offset behind the chunk: where the next one of the segment starts.
    pub end: u32,
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

    /// The bytes of segment `segment`, counted from 0, from `offset` on; empty when there are none.
    fn from(&self, segment: u32, offset: u32) -> &[u8] {
        let bytes = self.segments.get(segment as usize).map_or(&[][..], |s| (*s.bytes).as_ref());
        bytes.get(offset as usize..).unwrap_or_default()
    }

    /// The chunks at `refs` and the bytes of their entries, if they lie one behind the other, are
    /// written as they would be, and have the right checksums.
    pub fn run(&self, refs: impl Iterator<Item = ChunkRef> + Clone) -> Option<(Run, &[u8])> {
        let Some(first) = refs.clone().next() else { return Some((Run::default(), &[])) };
        let bytes = self.from(first.file(), first.offset());
        let run = run::check(bytes, refs).ok()?;
        Some((run, bytes.get(..run.len)?))
    }

    /// The chunk at `at`.
    pub fn chunk(&self, at: ChunkRef) -> Result<StoredChunk<'_>, FileError> {
        self.segment(at)?.chunk(at.offset())
    }

    /// Encoding bytes (not looked at) and data of the chunks at `places`, at most [`AT_ONCE`]. Their
    /// checksums are verified side by side, and so is the memory they lie in waited for.
    pub fn chunks<'a>(
        &'a self,
        places: &[ChunkRef],
        out: &mut [(u8, &'a [u8]); AT_ONCE],
    ) -> Result<(), FileError> {
        let mut sums: [(&[u8], u32); AT_ONCE] = [(&[], 0); AT_ONCE];
        let places = places.get(..AT_ONCE).unwrap_or(places);
        for ((at, out), sum) in places.iter().zip(out).zip(&mut sums) {
            let segment = self.segment(*at)?;
            let bytes = (*segment.bytes).as_ref();
            let Ok((read, stored)) = parse(bytes.get(at.offset() as usize..).unwrap_or_default())
            else {
                return segment.chunk(at.offset()).map(|_| ());
            };
            *out = (read.encoding, read.data);
            *sum = (read.checked, stored);
        }
        match crc32c_mismatch(sums.get(..places.len()).unwrap_or_default()) {
            None => Ok(()),
            // Which one it is, in its words.
            Some(_) => places.iter().try_for_each(|at| self.chunk(*at).map(|_| ())),
        }
    }

    fn segment(&self, at: ChunkRef) -> Result<&Segment, FileError> {
        self.segments.get(at.file() as usize).ok_or_else(|| {
            let path = self.segments.last().map_or_else(PathBuf::new, |s| s.path.clone());
            let reason = format!("segment index {} out of range", at.file());
            let offset = u64::from(at.offset());
            FileError::Corrupt { what: WHAT, path, offset, reason }
        })
    }
}

impl Segment {
    fn chunk(&self, offset: u32) -> Result<StoredChunk<'_>, FileError> {
        let bytes = (*self.bytes).as_ref();
        let entry = bytes.get(offset as usize..).unwrap_or_default();
        let (parsed, sum) = parse(entry).map_err(|_| {
            let reason = format!(
                "segment doesn't include enough bytes to read the chunk, available:{}",
                bytes.len()
            );
            self.corrupt(u64::from(offset), reason)
        })?;
        let actual = crc32c(parsed.checked);
        if actual != sum {
            let reason = format!("checksum mismatch expected:{sum:x}, actual:{actual:x}");
            return Err(self.corrupt(u64::from(offset), reason));
        }
        let end = u64::from(offset) + parsed.len as u64;
        Ok(StoredChunk {
            encoding: parsed.encoding,
            data: parsed.data,
            end: u32::try_from(end).unwrap_or(u32::MAX),
        })
    }

    #[cold]
    fn corrupt(&self, offset: u64, reason: String) -> FileError {
        FileError::Corrupt { what: WHAT, path: self.path.clone(), offset, reason }
    }
}

/// An entry of a segment.
pub(super) struct Parsed<'a> {
    pub(super) encoding: u8,
    pub(super) data: &'a [u8],
    /// What the checksum covers: encoding and data.
    pub(super) checked: &'a [u8],
    /// Bytes of the whole entry.
    pub(super) len: usize,
}

impl Parsed<'_> {
    /// Whether its length is written with as few bytes as it takes.
    pub(super) fn is_canonical(&self) -> bool {
        let len = self.data.len();
        self.len == uvarint_len(len as u64) + 1 + len + CRC_LEN
    }
}

/// The entry at the start of `bytes` and its stored checksum, not compared.
#[inline]
pub(super) fn parse(bytes: &[u8]) -> Result<(Parsed<'_>, u32), DecodeError> {
    let mut d = DecBuf::new(bytes);
    let len = d.uvarint_usize()?;
    let checked = d.bytes(len.checked_add(1).ok_or(DecodeError::InvalidSize)?)?;
    let stored = d.be32()?;
    let (&encoding, data) = checked.split_first().ok_or(DecodeError::InvalidSize)?;
    Ok((Parsed { encoding, data, checked, len: bytes.len() - d.len() }, stored))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::encoding::EncBuf;

    /// A segment of ten chunks, and where they lie.
    fn segment() -> (Vec<u8>, Vec<ChunkRef>) {
        let mut bytes = MAGIC.to_be_bytes().to_vec();
        bytes.extend([1, 0, 0, 0]);
        let mut places = Vec::new();
        for chunk in 0..10u8 {
            places.push(ChunkRef(bytes.len() as u64));
            let mut content = vec![1];
            content.extend((0..20 + 9 * chunk).map(|i| i.wrapping_mul(chunk)));
            bytes.put_uvarint(content.len() as u64 - 1);
            bytes.extend(&content);
            bytes.extend(crc32c(&content).to_be_bytes());
        }
        (bytes, places)
    }

    fn reader(bytes: Vec<u8>) -> Reader {
        Reader::from_segments(vec![("000001".into(), Arc::new(bytes))]).unwrap()
    }

    fn asked(reader: &Reader, places: &[ChunkRef]) -> Result<Vec<(u8, Vec<u8>)>, String> {
        let mut out = [(0, &[][..]); AT_ONCE];
        reader.chunks(places, &mut out).map_err(|e| e.to_string())?;
        Ok(out.iter().take(places.len()).map(|(e, data)| (*e, data.to_vec())).collect())
    }

    #[test]
    fn chunks_together_are_chunks_alone() {
        let (bytes, places) = segment();
        let whole = reader(bytes.clone());
        for range in [0..0, 0..1, 2..4, 1..8, 2..10] {
            let alone = |at: &ChunkRef| {
                let chunk = whole.chunk(*at).unwrap();
                (chunk.encoding, chunk.data.to_vec())
            };
            let want: Vec<_> = places[range.clone()].iter().map(alone).collect();
            assert_eq!(asked(&whole, &places[range]), Ok(want));
        }
        // Whatever byte is damaged, it is the damaged chunk that is named, in the same words.
        for byte in 8..bytes.len() {
            let mut bytes = bytes.clone();
            bytes[byte] ^= 0x40;
            let damaged = reader(bytes);
            let alone = places[..8].iter().find_map(|at| damaged.chunk(*at).err());
            let together = asked(&damaged, &places[..8]);
            assert_eq!(together.err(), alone.map(|e| e.to_string()), "byte {byte}");
        }
    }
}
