//! DecBuf: a cursor over borrowed bytes that hands out integers and strings, or says that the bytes
//! are not there. It never panics and never allocates.

use super::{MAX_VARINT_LEN_64, unzigzag};

/// Why bytes could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Fewer bytes than needed, or a varint that does not end.
    #[error("invalid size")]
    InvalidSize,
    /// The checksum does not fit the bytes.
    #[error("invalid checksum")]
    InvalidChecksum,
    /// A string that is not UTF-8.
    #[error("invalid UTF-8")]
    InvalidUtf8,
}

/// The unread rest of a run of bytes.
#[derive(Clone, Copy, Debug)]
pub struct DecBuf<'a> {
    rest: &'a [u8],
}

impl<'a> DecBuf<'a> {
    /// Reads from the start of `bytes`.
    pub fn new(bytes: &'a [u8]) -> DecBuf<'a> {
        DecBuf { rest: bytes }
    }

    /// Bytes not read yet.
    pub fn len(&self) -> usize {
        self.rest.len()
    }

    /// Whether everything was read.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The bytes not read yet; they stay unread.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next `n` bytes.
    #[inline]
    pub fn bytes(&mut self, n: usize) -> Result<&'a [u8], DecodeError> {
        let (head, rest) = self.rest.split_at_checked(n).ok_or(DecodeError::InvalidSize)?;
        self.rest = rest;
        Ok(head)
    }

    /// The next bytes as an array.
    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or(DecodeError::InvalidSize)?;
        self.rest = rest;
        Ok(*head)
    }

    /// Passes over `n` bytes.
    pub fn skip(&mut self, n: usize) -> Result<(), DecodeError> {
        self.bytes(n).map(|_| ())
    }

    /// One byte.
    #[inline]
    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        self.array::<1>().map(|[b]| b)
    }

    /// Two bytes, big-endian.
    #[inline]
    pub fn be16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_be_bytes)
    }

    /// Four bytes, big-endian.
    #[inline]
    pub fn be32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_be_bytes)
    }

    /// Eight bytes, big-endian.
    #[inline]
    pub fn be64(&mut self) -> Result<u64, DecodeError> {
        self.array().map(u64::from_be_bytes)
    }

    /// Eight bytes, big-endian, as a signed number.
    #[inline]
    pub fn be64_signed(&mut self) -> Result<i64, DecodeError> {
        self.array().map(i64::from_be_bytes)
    }

    /// The bits of a float, eight bytes, big-endian.
    #[inline]
    pub fn be_f64(&mut self) -> Result<f64, DecodeError> {
        self.be64().map(f64::from_bits)
    }

    /// An unsigned varint of at most 64 bits.
    #[inline]
    pub fn uvarint(&mut self) -> Result<u64, DecodeError> {
        // Most are short.
        let (value, rest) = match self.rest {
            [a @ ..0x80, rest @ ..] => (u64::from(*a), rest),
            [a, b @ ..0x80, rest @ ..] => (u64::from(a & 0x7f) | u64::from(*b) << 7, rest),
            [a, b, c @ ..0x80, rest @ ..] => {
                (u64::from(a & 0x7f) | u64::from(b & 0x7f) << 7 | u64::from(*c) << 14, rest)
            }
            _ => return self.uvarint_long(),
        };
        self.rest = rest;
        Ok(value)
    }

    fn uvarint_long(&mut self) -> Result<u64, DecodeError> {
        let mut value = 0u64;
        for (i, &b) in self.rest.iter().take(MAX_VARINT_LEN_64).enumerate() {
            if i == MAX_VARINT_LEN_64 - 1 && b > 1 {
                break;
            }
            value |= u64::from(b & 0x7f) << (7 * i);
            if b < 0x80 {
                self.rest = self.rest.get(i + 1..).unwrap_or_default();
                return Ok(value);
            }
        }
        Err(DecodeError::InvalidSize)
    }

    /// An unsigned varint that must fit 32 bits.
    #[inline]
    pub fn uvarint32(&mut self) -> Result<u32, DecodeError> {
        u32::try_from(self.uvarint()?).map_err(|_| DecodeError::InvalidSize)
    }

    /// An unsigned varint used as a length or count in memory.
    #[inline]
    pub fn uvarint_usize(&mut self) -> Result<usize, DecodeError> {
        usize::try_from(self.uvarint()?).map_err(|_| DecodeError::InvalidSize)
    }

    /// A signed (zigzag) varint.
    #[inline]
    pub fn varint(&mut self) -> Result<i64, DecodeError> {
        self.uvarint().map(unzigzag)
    }

    /// Bytes behind their length as a uvarint.
    #[inline]
    pub fn uvarint_bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        let mut ahead = *self;
        let n = ahead.uvarint_usize()?;
        let bytes = ahead.bytes(n)?;
        *self = ahead;
        Ok(bytes)
    }

    /// A string behind its length as a uvarint.
    #[inline]
    pub fn uvarint_str(&mut self) -> Result<&'a str, DecodeError> {
        let mut ahead = *self;
        let bytes = ahead.uvarint_bytes()?;
        let text = std::str::from_utf8(bytes).map_err(|_| DecodeError::InvalidUtf8)?;
        *self = ahead;
        Ok(text)
    }
}

/// The uvarint that `bytes` begin with and the bytes it takes, when it takes at most eight, and
/// eight are there.
#[inline(always)]
pub fn short_uvarint(bytes: &[u8]) -> Option<(u64, usize)> {
    let word = u64::from_le_bytes(*bytes.first_chunk::<8>()?);
    let ends = !word & 0x8080_8080_8080_8080;
    let len = ends.trailing_zeros() as usize / 8 + 1;
    if ends == 0 {
        return None;
    }
    // Seven bits of every byte up to the one that ends it, put together in pairs.
    let bits = word & (ends ^ (ends - 1)) & 0x7f7f_7f7f_7f7f_7f7f;
    let bits = bits & 0x007f_007f_007f_007f | (bits & 0x7f00_7f00_7f00_7f00) >> 1;
    let bits = bits & 0x0000_3fff_0000_3fff | (bits & 0x3fff_0000_3fff_0000) >> 2;
    Some((bits & 0x0fff_ffff | (bits & 0x0fff_ffff_0000_0000) >> 4, len))
}

#[cfg(test)]
mod tests {
    use super::super::{EncBuf, uvarint_len};
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn integers_come_back(u in any::<u64>(), shift in 0u32..64, i in any::<i64>(), s in ".{0,40}") {
            let u = u >> shift;
            let mut bytes = Vec::new();
            bytes.put_uvarint(u);
            prop_assert_eq!(bytes.len(), uvarint_len(u));
            bytes.put_varint(i >> shift);
            bytes.put_uvarint_str(&s);
            bytes.put_be64(u);
            let mut d = DecBuf::new(&bytes);
            prop_assert_eq!(d.uvarint(), Ok(u));
            prop_assert_eq!(d.varint(), Ok(i >> shift));
            prop_assert_eq!(d.uvarint_str(), Ok(s.as_str()));
            prop_assert_eq!(d.be64(), Ok(u));
            prop_assert!(d.is_empty());
            prop_assert_eq!(d.u8(), Err(DecodeError::InvalidSize));
        }

        #[test]
        fn varints_are_written_with_as_few_bytes_as_it_takes(
            three in any::<[u64; 3]>(), shifts in [0u32..64, 0u32..64, 32u32..64],
        ) {
            let three = [0, 1, 2].map(|at: usize| three[at] >> shifts[at]);
            let mut want = Vec::new();
            for mut v in three {
                while v >= 0x80 {
                    want.push(v as u8 | 0x80);
                    v >>= 7;
                }
                want.push(v as u8);
            }
            let mut bytes = Vec::new();
            bytes.put_uvarints(three);
            prop_assert_eq!(&bytes, &want);
            bytes.clear();
            three.into_iter().for_each(|v| bytes.put_uvarint(v));
            prop_assert_eq!(&bytes, &want);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..24)) {
            let mut d = DecBuf::new(&bytes);
            let _ = (d.uvarint(), d.uvarint_str(), d.varint(), d.be16(), d.uvarint32(), d.be32());
        }
    }

    #[test]
    fn a_varint_ends_within_ten_bytes_and_64_bits() {
        for (bytes, expected) in [
            (vec![0xff; 10], Err(DecodeError::InvalidSize)),
            ([vec![0xff; 9], vec![1]].concat(), Ok(u64::MAX)),
            ([vec![0xff; 9], vec![2]].concat(), Err(DecodeError::InvalidSize)),
            (vec![0x80], Err(DecodeError::InvalidSize)),
            (vec![], Err(DecodeError::InvalidSize)),
        ] {
            assert_eq!(DecBuf::new(&bytes).uvarint(), expected, "{bytes:?}");
        }
    }
}
