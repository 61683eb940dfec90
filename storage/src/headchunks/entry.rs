//! One entry of a head chunk file, and walking through all of them at start.

use std::ops::Range;
use std::path::{Path, PathBuf};

use model::{SeriesRef, TimeRange};

use super::{HEADER_SIZE, MAGIC, WHAT};
use crate::chunk::{self, ChunkRef};
use crate::chunkfile::header_fault;
use crate::encoding::{DecBuf, DecodeError, EncBuf, MAX_VARINT_LEN_32, crc32c};
use crate::file_error::FileError;
use crate::fs::Mapped;

/// The bit of the encoding byte that says the samples came out of order.
const OUT_OF_ORDER: u8 = 0x80;
/// Series, first and last time, encoding.
const FIXED_SIZE: usize = 8 + 8 + 8 + 1;
/// Bytes of an entry beside its data, at most.
const MAX_META_SIZE: usize = FIXED_SIZE + MAX_VARINT_LEN_32 + 4;

/// What an entry says of its chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where it lies.
    pub at: ChunkRef,
    pub series: SeriesRef,
    /// First and last sample time.
    pub range: TimeRange,
    /// Encoding byte without the out-of-order bit.
    pub encoding: u8,
    pub out_of_order: bool,
    /// Samples its header counts; 0 for an unknown encoding.
    pub samples: u16,
}

/// An entry's bytes taken apart.
pub(super) struct Parsed {
    pub(super) series: SeriesRef,
    pub(super) range: TimeRange,
    pub(super) encoding: u8,
    pub(super) out_of_order: bool,
    /// Where the data lies in the entry.
    pub(super) data: Range<usize>,
    /// Bytes of the entry.
    pub(super) len: usize,
}

/// Appends an entry to `out`.
pub(super) fn put(
    out: &mut Vec<u8>,
    series: SeriesRef,
    range: TimeRange,
    (encoding, out_of_order): (u8, bool),
    data: &[u8],
) {
    let start = out.len();
    out.put_be64(series.0);
    out.put_be64_signed(range.min);
    out.put_be64_signed(range.max);
    out.put_u8(if out_of_order { encoding | OUT_OF_ORDER } else { encoding });
    out.put_uvarint_bytes(data);
    let crc = crc32c(&out[start..]);
    out.put_be32(crc);
}

/// Bytes an entry of `data` bytes takes.
pub(super) fn size(data: usize) -> u64 {
    (FIXED_SIZE + crate::encoding::uvarint_len(data as u64) + data + 4) as u64
}

/// How many bytes the entry that `bytes` begins with needs; `None` when not even that can be told.
pub(super) fn needed(bytes: &[u8]) -> Option<u64> {
    let mut d = DecBuf::new(bytes);
    d.skip(FIXED_SIZE).ok()?;
    let data = d.uvarint32().ok()?;
    Some((bytes.len() - d.len()) as u64 + u64::from(data) + 4)
}

/// The entry that `bytes` begins with, its checksum verified; else what is wrong with it.
pub(super) fn parse(bytes: &[u8]) -> Result<Parsed, String> {
    let short = |_: DecodeError| {
        let available = bytes.len();
        format!(
            "head chunk file doesn't include enough bytes to read the chunk - available:{available}"
        )
    };
    let mut d = DecBuf::new(bytes);
    let series = SeriesRef(d.be64().map_err(short)?);
    let range =
        TimeRange { min: d.be64_signed().map_err(short)?, max: d.be64_signed().map_err(short)? };
    let encoding = d.u8().map_err(short)?;
    let data_len = d.uvarint_bytes().map_err(short)?.len();
    let checked = bytes.len() - d.len();
    let stored = d.be32().map_err(short)?;
    let actual = crc32c(&bytes[..checked]);
    if actual != stored {
        return Err(format!("checksum mismatch expected:{stored:x}, actual:{actual:x}"));
    }
    Ok(Parsed {
        series,
        range,
        encoding: encoding & !OUT_OF_ORDER,
        out_of_order: encoding & OUT_OF_ORDER != 0,
        data: checked - data_len..checked,
        len: checked + 4,
    })
}

/// The data of the entry at `offset` of a file's bytes; else what is wrong with it.
pub fn stored_data(file: &[u8], offset: u32) -> Result<&[u8], String> {
    let entry = file.get(offset as usize..).unwrap_or_default();
    let parsed = parse(entry)?;
    Ok(entry.get(parsed.data).unwrap_or_default())
}

/// All entries of a run of files, in file order. It stops at zeros, which a file reserved ahead or
/// a killed process leaves behind, and goes on with the next file; at a corruption it gives the
/// error, whose [`file_number`](FileError::file_number) is the file, and ends.
pub struct Entries {
    files: std::vec::IntoIter<(u32, PathBuf, Mapped)>,
    current: Option<(u32, PathBuf, Mapped)>,
    offset: usize,
}

impl Entries {
    /// Walks through mapped files, given with number and path.
    pub fn new(files: Vec<(u32, PathBuf, Mapped)>) -> Entries {
        Entries { files: files.into_iter(), current: None, offset: 0 }
    }

    fn fail(&mut self, path: &Path, reason: String) -> Option<Result<Entry, FileError>> {
        let path = path.to_path_buf();
        self.files = Vec::new().into_iter();
        Some(Err(FileError::Corrupt { what: WHAT, path, offset: self.offset as u64, reason }))
    }
}

impl Iterator for Entries {
    type Item = Result<Entry, FileError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Some((number, path, mapped)) = self.current.take() else {
                let (number, path, mapped) = self.files.next()?;
                self.offset = 0;
                if let Some((offset, reason)) = header_fault((*mapped).as_ref(), MAGIC) {
                    self.offset = offset as usize;
                    return self.fail(&path, reason);
                }
                self.offset = HEADER_SIZE;
                self.current = Some((number, path, mapped));
                continue;
            };
            let bytes = (*mapped).as_ref().get(self.offset..).unwrap_or_default();
            if ends_here(bytes) {
                continue;
            }
            let Ok(offset) = u32::try_from(self.offset) else {
                return self.fail(&path, "offset exceeds 32 bits".to_string());
            };
            let parsed = match parse(bytes) {
                Ok(parsed) => parsed,
                Err(reason) => return self.fail(&path, reason),
            };
            self.offset += parsed.len;
            let data = bytes.get(parsed.data).unwrap_or_default();
            let entry = Entry {
                at: ChunkRef::new(number, offset),
                series: parsed.series,
                range: parsed.range,
                encoding: parsed.encoding,
                out_of_order: parsed.out_of_order,
                samples: chunk::num_samples(parsed.encoding, data).unwrap_or(0) as u16,
            };
            self.current = Some((number, path, mapped));
            return Some(Ok(entry));
        }
    }
}

/// Whether no entry follows: nothing, only zeros too short for one, or an entry of series 0, which
/// does not exist, at time 0.
fn ends_here(bytes: &[u8]) -> bool {
    match bytes.first_chunk::<{ FIXED_SIZE - 1 }>() {
        Some(head) if bytes.len() >= MAX_META_SIZE => head.iter().all(|&b| b == 0),
        _ => bytes.iter().all(|&b| b == 0),
    }
}
