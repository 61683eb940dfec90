//! The tombstones file of a block, and the same list inside a snapshot record.

use std::io;
use std::path::Path;

use model::TimeRange;

use super::Tombstones;
use crate::encoding::{DecBuf, EncBuf, crc32c};
use crate::file_error::FileError;
use crate::fs::{Fs, atomic};

/// Name of the file in its block.
pub const FILE_NAME: &str = "tombstones";
/// First bytes of the file.
pub const MAGIC: u32 = 0x0130_BA30;

const VERSION: u8 = 1;
const WHAT: &str = "tombstones file";
const MAGIC_SIZE: usize = 4;
const HEADER_SIZE: usize = MAGIC_SIZE + 1;
const CRC_SIZE: usize = 4;

/// Version and entries, without magic number and checksum.
pub fn encode(tombstones: &Tombstones) -> Vec<u8> {
    let mut out = vec![VERSION];
    for (series, intervals) in tombstones.iter() {
        for range in intervals.as_slice() {
            out.put_uvarint(series);
            out.put_varint(range.min);
            out.put_varint(range.max);
        }
    }
    out
}

/// The inverse of [`encode`]; an error has the offset in `bytes`.
pub fn decode(bytes: &[u8]) -> Result<Tombstones, (u64, String)> {
    let mut d = DecBuf::new(bytes);
    match d.u8() {
        Ok(VERSION) => {}
        Ok(other) => return Err((0, format!("invalid tombstone format {other:x}"))),
        Err(error) => return Err((0, error.to_string())),
    }
    let mut tombstones = Tombstones::new();
    while !d.is_empty() {
        let at = (bytes.len() - d.len()) as u64;
        let entry = (|| {
            let series = d.uvarint()?;
            Ok((series, TimeRange { min: d.varint()?, max: d.varint()? }))
        })();
        let (series, range) =
            entry.map_err(|e: crate::encoding::DecodeError| (at, e.to_string()))?;
        tombstones.add(series, range);
    }
    Ok(tombstones)
}

/// Reads a whole file's bytes; `path` is for errors.
pub fn parse(path: &Path, bytes: &[u8]) -> Result<Tombstones, FileError> {
    let corrupt = |offset, reason: String| FileError::Corrupt {
        what: WHAT,
        path: path.to_path_buf(),
        offset,
        reason,
    };
    let short = || corrupt(bytes.len() as u64, "tombstones header: invalid size".to_string());
    let (body, stored) = bytes.split_last_chunk::<CRC_SIZE>().ok_or_else(short)?;
    if body.len() < HEADER_SIZE {
        return Err(short());
    }
    let (magic, list) = body.split_first_chunk::<MAGIC_SIZE>().ok_or_else(short)?;
    let magic = u32::from_be_bytes(*magic);
    if magic != MAGIC {
        return Err(corrupt(0, format!("invalid magic number {magic:x}")));
    }
    // The version byte is not part of the checksum.
    if crc32c(&list[1..]) != u32::from_be_bytes(*stored) {
        return Err(corrupt(body.len() as u64, "checksum did not match".to_string()));
    }
    decode(list).map_err(|(offset, reason)| corrupt(offset + MAGIC_SIZE as u64, reason))
}

/// The tombstones of the block in `dir` and the file's size; none and 0 without a file.
pub fn read(fs: &dyn Fs, dir: &Path) -> Result<(Tombstones, u64), FileError> {
    let path = dir.join(FILE_NAME);
    match fs.read(&path) {
        Ok(bytes) => Ok((parse(&path, &bytes)?, bytes.len() as u64)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok((Tombstones::new(), 0)),
        Err(error) => Err(FileError::io("read", &path)(error)),
    }
}

/// Replaces the tombstones of the block in `dir`, durably, and gives the file's size.
pub fn write(fs: &dyn Fs, dir: &Path, tombstones: &Tombstones) -> Result<u64, FileError> {
    let list = encode(tombstones);
    let mut bytes = Vec::with_capacity(list.len() + MAGIC_SIZE + CRC_SIZE);
    bytes.put_be32(MAGIC);
    bytes.put_bytes(&list);
    bytes.put_be32(crc32c(&list[1..]));
    let path = dir.join(FILE_NAME);
    atomic::write(fs, &path, &bytes).map_err(FileError::io("write", &path))?;
    Ok(bytes.len() as u64)
}
