//! BitReader: bits of a byte slice, most significant first, through unaligned big-endian 64-bit
//! loads at the bit position: no buffer to refill, no state but the position.

use super::{DecodeError, MAX_VARINT_LEN_64, unzigzag};

/// Bits that a [`peek`](BitReader::peek) shows at least.
pub const PEEK_BITS: u32 = 57;

/// A position in a run of bits.
#[derive(Clone, Copy, Debug)]
pub struct BitReader<'a> {
    data: &'a [u8],
    /// In bits from the start of `data`; past its end only after a `skip` that no `check` followed.
    pos: usize,
}

impl<'a> BitReader<'a> {
    /// Reads from the first bit of `data`.
    pub fn new(data: &'a [u8]) -> BitReader<'a> {
        BitReader { data, pos: 0 }
    }

    /// Reads from bit `pos` of `data`.
    #[inline(always)]
    pub fn at(data: &'a [u8], pos: usize) -> BitReader<'a> {
        BitReader { data, pos }
    }

    /// Bits read so far.
    pub fn position(&self) -> usize {
        self.pos
    }

    /// Bits left, 0 when the position is past the end.
    pub fn remaining(&self) -> usize {
        (self.data.len() * 8).saturating_sub(self.pos)
    }

    /// The bits at the position, left-aligned: at least 57 of them are right; what lies behind the
    /// data reads as zeros. The position stays.
    #[inline(always)]
    pub fn peek(&self) -> u64 {
        peek_at(self.data, self.pos)
    }

    /// Moves on by `n` bits without looking whether they exist; [`check`](Self::check) tells later.
    #[inline(always)]
    pub fn skip(&mut self, n: u32) {
        self.pos += n as usize;
    }

    /// Whether everything passed over so far existed.
    #[inline]
    pub fn check(&self) -> Result<(), DecodeError> {
        if self.pos <= self.data.len() * 8 { Ok(()) } else { Err(DecodeError::InvalidSize) }
    }

    /// `n` (0 to 64) bits without looking whether they exist; behind the data come zeros.
    #[inline(always)]
    pub fn take(&mut self, n: u32) -> u64 {
        debug_assert!(n <= 64);
        if n == 0 {
            return 0;
        }
        let mut word = self.peek();
        if n > 57 {
            // The shift inside `peek` moved up to seven zeros in; they come from the ninth byte.
            let shift = self.pos & 7;
            let ninth = self.data.get(self.pos / 8 + 8).copied().unwrap_or(0);
            word |= (u64::from(ninth) << shift) >> 8;
        }
        self.pos += n as usize;
        word >> (64 - n)
    }

    /// `n` (0 to 64) bits.
    #[inline]
    pub fn read(&mut self, n: u32) -> Result<u64, DecodeError> {
        if self.remaining() < n as usize {
            return Err(DecodeError::InvalidSize);
        }
        Ok(self.take(n))
    }

    /// One bit.
    #[inline]
    pub fn bit(&mut self) -> Result<bool, DecodeError> {
        self.read(1).map(|b| b == 1)
    }

    /// An unsigned varint, at whatever bit the reader stands.
    pub fn uvarint(&mut self) -> Result<u64, DecodeError> {
        let mut value = 0u64;
        for i in 0..MAX_VARINT_LEN_64 {
            let b = self.read(8)?;
            if i == MAX_VARINT_LEN_64 - 1 && b > 1 {
                break;
            }
            value |= (b & 0x7f) << (7 * i);
            if b < 0x80 {
                return Ok(value);
            }
        }
        Err(DecodeError::InvalidSize)
    }

    /// A signed (zigzag) varint.
    pub fn varint(&mut self) -> Result<i64, DecodeError> {
        self.uvarint().map(unzigzag)
    }
}

/// The bits of `data` from bit `pos` on, left-aligned, at least 57 of them; zeros behind the end.
#[inline(always)]
fn peek_at(data: &[u8], pos: usize) -> u64 {
    word_at(data, pos).unwrap_or_else(|| tail_word(data, pos >> 3) << (pos & 7))
}

/// The bits of `data` from bit `pos` on, left-aligned, at least 57 of them; `None` where less than
/// eight bytes are left.
#[inline(always)]
fn word_at(data: &[u8], pos: usize) -> Option<u64> {
    let at = pos >> 3;
    let bytes = data.get(at..at + 8)?.first_chunk::<8>()?;
    Some(u64::from_be_bytes(*bytes) << (pos & 7))
}

/// The last, fewer than eight bytes of `data` from `at` on, zero padded.
#[cold]
#[inline(never)]
fn tail_word(data: &[u8], at: usize) -> u64 {
    // The last eight bytes without those before `at`: every chunk ends here, so it has to be quick.
    let before = (at + 8).saturating_sub(data.len());
    match data.last_chunk::<8>() {
        Some(last) if before < 8 => u64::from_be_bytes(*last) << (8 * before),
        Some(_) => 0,
        None => {
            let mut bytes = [0u8; 8];
            for (to, from) in bytes.iter_mut().zip(data.get(at..).unwrap_or_default()) {
                *to = *from;
            }
            u64::from_be_bytes(bytes)
        }
    }
}
