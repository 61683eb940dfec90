//! Encoding: the byte and bit primitives every file format of the store is made of. Readers work
//! on borrowed bytes, return errors instead of panicking and never allocate by a length they have
//! only been told.
//!
//! The integers are Go's: `uvarint` and `varint` are `encoding/binary`'s (LEB128, zigzag), fixed
//! width ones are big-endian, checksums are CRC-32C. Described in `docs/format/chunks.md`.

mod bit_reader;
mod bit_writer;
mod crc;
mod crc_many;
mod dec_buf;
mod enc_buf;
pub mod varbit;

pub use bit_reader::{BitReader, PEEK_BITS};
pub use bit_writer::{BitSink, BitWriter};
pub use crc::{Crc32c, crc32c};
pub use crc_many::crc32c_mismatch;
pub use dec_buf::{DecBuf, DecodeError, short_uvarint};
pub use enc_buf::EncBuf;

/// Most bytes a 64-bit varint takes.
pub const MAX_VARINT_LEN_64: usize = 10;
/// Most bytes a 32-bit varint takes.
pub const MAX_VARINT_LEN_32: usize = 5;

/// Zigzag: small magnitudes of either sign become small unsigned numbers.
#[inline]
pub fn zigzag(v: i64) -> u64 {
    ((v << 1) ^ (v >> 63)) as u64
}

/// The inverse of [`zigzag`].
#[inline]
pub fn unzigzag(u: u64) -> i64 {
    (u >> 1) as i64 ^ -((u & 1) as i64)
}

/// Bytes `v` takes as a uvarint.
#[inline]
pub fn uvarint_len(v: u64) -> usize {
    (70 - (v | 1).leading_zeros() as usize) / 7
}
