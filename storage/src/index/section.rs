//! Section: length, content, CRC-32C; the form of everything in an index but its ends.

use super::IndexCorruption;
use crate::encoding::{DecBuf, DecodeError, crc32c};

/// What follows a section's content.
pub(super) const CRC_LEN: usize = 4;

/// Content of the section at `offset` whose length is four bytes; `verify` checks the checksum.
pub(super) fn content(bytes: &[u8], offset: u64, verify: bool) -> Result<&[u8], IndexCorruption> {
    let mut buf = at(bytes, offset)?;
    let len = buf.be32().map_err(|e| corrupt(offset, e))? as usize;
    checked(buf, len, offset, verify)
}

/// Content of the section at `offset` whose length is a uvarint; the checksum is checked.
pub(super) fn uvarint_content(bytes: &[u8], offset: u64) -> Result<&[u8], IndexCorruption> {
    let mut buf = at(bytes, offset)?;
    let len = buf.uvarint_usize().map_err(|e| corrupt(offset, e))?;
    checked(buf, len, offset, true)
}

fn checked<'a>(
    mut buf: DecBuf<'a>,
    len: usize,
    offset: u64,
    verify: bool,
) -> Result<&'a [u8], IndexCorruption> {
    let content = buf.bytes(len).map_err(|e| corrupt(offset, e))?;
    let sum = buf.be32().map_err(|e| corrupt(offset, e))?;
    if verify && crc32c(content) != sum {
        return Err(corrupt(offset, DecodeError::InvalidChecksum));
    }
    Ok(content)
}

/// The bytes from `offset` on.
pub(super) fn at(bytes: &[u8], offset: u64) -> Result<DecBuf<'_>, IndexCorruption> {
    usize::try_from(offset)
        .ok()
        .and_then(|o| bytes.get(o..))
        .map(DecBuf::new)
        .ok_or_else(|| corrupt(offset, DecodeError::InvalidSize))
}

pub(super) fn corrupt(offset: u64, error: DecodeError) -> IndexCorruption {
    IndexCorruption::new(offset, error.to_string())
}
