//! Toc: the last bytes of an index, where its sections start.

use super::section::{CRC_LEN, corrupt};
use super::{HEADER_LEN, IndexCorruption};
use crate::encoding::{DecBuf, DecodeError, EncBuf, crc32c};

/// Bytes of the table of contents with its checksum.
pub const TOC_LEN: usize = 6 * 8 + CRC_LEN;

/// Offsets of the sections from the start of the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Toc {
    pub symbols: u64,
    pub series: u64,
    /// Of old versions; nothing reads it any more.
    pub label_indices: u64,
    /// Of old versions; nothing reads it any more.
    pub label_indices_table: u64,
    pub postings: u64,
    pub postings_table: u64,
}

impl Toc {
    /// Reads the table at the end of `file` and checks that the sections that matter lie inside.
    pub fn read(file: &[u8]) -> Result<Toc, IndexCorruption> {
        let size_error = || IndexCorruption::new(0, "read TOC: invalid size");
        let start = file.len().checked_sub(TOC_LEN).ok_or_else(size_error)?;
        let table = &file[start..];
        let (fields, sum) = table.split_last_chunk::<CRC_LEN>().ok_or_else(size_error)?;
        let at = start as u64;
        if crc32c(fields) != u32::from_be_bytes(*sum) {
            return Err(IndexCorruption::new(at, "read TOC: invalid checksum"));
        }
        let mut buf = DecBuf::new(fields);
        let mut next = || buf.be64().map_err(|e| corrupt(at, e));
        let toc = Toc {
            symbols: next()?,
            series: next()?,
            label_indices: next()?,
            label_indices_table: next()?,
            postings: next()?,
            postings_table: next()?,
        };
        for offset in [toc.symbols, toc.postings_table] {
            if offset < HEADER_LEN as u64 || offset > at {
                return Err(corrupt(offset, DecodeError::InvalidSize));
            }
        }
        Ok(toc)
    }

    /// Appends the table to `out`.
    pub fn write(&self, out: &mut Vec<u8>) {
        let start = out.len();
        for offset in [
            self.symbols,
            self.series,
            self.label_indices,
            self.label_indices_table,
            self.postings,
            self.postings_table,
        ] {
            out.put_be64(offset);
        }
        let sum = crc32c(&out[start..]);
        out.put_be32(sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_back_and_notices_a_flipped_bit() {
        let toc = Toc { symbols: 5, series: 6, postings: 7, postings_table: 8, ..Toc::default() };
        let mut file = vec![0; 20];
        toc.write(&mut file);
        assert_eq!(Toc::read(&file), Ok(toc));
        for i in 20..file.len() {
            let mut bad = file.clone();
            bad[i] ^= 1;
            assert_eq!(Toc::read(&bad).unwrap_err().what, "read TOC: invalid checksum");
        }
        assert!(Toc::read(&file[..TOC_LEN - 1]).is_err());
    }
}
