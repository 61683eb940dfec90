//! Postings sections: the ids of the series that have one (name, value) pair.
//!
//! Section, at a multiple of 4 bytes: length u32, count u32, ids u32, CRC-32C.

use super::IndexCorruption;
use super::section::{self, corrupt};
use crate::encoding::{EncBuf, crc32c};

/// The ids of the list at `offset`, big-endian; `verify` checks the checksum.
pub(super) fn list(file: &[u8], offset: u64, verify: bool) -> Result<&[u8], IndexCorruption> {
    let content = section::content(file, offset, verify)?;
    let Some((count, ids)) = content.split_first_chunk::<4>() else {
        return Err(IndexCorruption::new(offset, "invalid size"));
    };
    let count = u64::from(u32::from_be_bytes(*count));
    if ids.len() as u64 != count * 4 {
        let want = count * 4;
        let what = format!(
            "unexpected postings length, should be {want} bytes for {count} postings, got {} bytes",
            ids.len()
        );
        return Err(IndexCorruption::new(offset, what));
    }
    Ok(ids)
}

/// Number of ids the list at `offset` claims, no more than the file could hold.
pub(super) fn list_len(file: &[u8], offset: u64) -> Result<usize, IndexCorruption> {
    let mut buf = section::at(file, offset)?;
    let len = buf.be32().map_err(|e| corrupt(offset, e))? as usize;
    Ok((len.min(buf.len()) / 4).saturating_sub(1))
}

/// Appends a section with the ids to `out`.
pub(super) fn write(out: &mut Vec<u8>, ids: impl ExactSizeIterator<Item = u32>) {
    out.put_be32(4 + 4 * ids.len() as u32);
    let start = out.len();
    out.put_be32(ids.len() as u32);
    out.reserve(4 * ids.len() + 4);
    for id in ids {
        out.put_be32(id);
    }
    let sum = crc32c(&out[start..]);
    out.put_be32(sum);
}
