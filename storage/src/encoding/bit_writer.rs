//! BitWriter: bits appended to a byte vector, most significant first; and BitSink, the one thing an
//! encoder needs of wherever its bits go.

use super::zigzag;

/// Where encoders put their bits.
pub trait BitSink {
    /// Appends the `n` (0 to 64) low bits of `value`, most significant first. Higher bits of
    /// `value` are ignored.
    fn write_bits(&mut self, value: u64, n: u32);

    /// Appends an unsigned varint, byte by byte at whatever bit the sink stands.
    fn write_uvarint(&mut self, mut v: u64) {
        while v >= 0x80 {
            self.write_bits(v & 0x7f | 0x80, 8);
            v >>= 7;
        }
        self.write_bits(v, 8);
    }

    /// Appends a signed (zigzag) varint.
    fn write_varint(&mut self, v: i64) {
        self.write_uvarint(zigzag(v));
    }
}

/// A byte vector that grows by bits; the last byte is padded with zeros.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BitWriter {
    bytes: Vec<u8>,
    /// Unused low bits of the last byte, 0 to 7.
    free: u32,
}

impl BitWriter {
    /// Continues after `bytes`, at a byte boundary.
    pub fn new(bytes: Vec<u8>) -> BitWriter {
        BitWriter { bytes, free: 0 }
    }

    /// Continues inside the last byte of `bytes`: `bits` bits are written, the rest is padding.
    /// Bytes beyond are cut off.
    pub fn resume(mut bytes: Vec<u8>, bits: usize) -> BitWriter {
        bytes.truncate(bits.div_ceil(8));
        let free = (bytes.len() * 8).saturating_sub(bits) as u32;
        if let Some(last) = bytes.last_mut() {
            *last &= 0xffu8 << (free & 7);
        }
        BitWriter { bytes, free: free & 7 }
    }

    /// The bytes so far, the last one zero padded.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes so far, to patch a header in place.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    /// The finished bytes.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Bits written so far.
    pub fn bit_len(&self) -> usize {
        self.bytes.len() * 8 - self.free as usize
    }
}

impl BitSink for BitWriter {
    #[inline]
    fn write_bits(&mut self, value: u64, n: u32) {
        debug_assert!(n <= 64);
        if n == 0 {
            return;
        }
        let mut rest = value << (64 - n);
        let mut left = n;
        if self.free > 0 {
            let last = self.bytes.len() - 1;
            self.bytes[last] |= (rest >> (64 - self.free)) as u8;
            if left < self.free {
                self.free -= left;
                return;
            }
            rest <<= self.free;
            left -= self.free;
        }
        let whole = rest.to_be_bytes();
        let count = left.div_ceil(8) as usize;
        // Eight bytes at once and back is quicker than a copy of unknown length.
        let len = self.bytes.len() + count;
        self.bytes.extend_from_slice(&whole);
        self.bytes.truncate(len);
        self.free = (count * 8) as u32 - left;
    }
}

#[cfg(test)]
mod tests {
    use super::super::BitReader;
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bits_come_back(pieces in proptest::collection::vec((any::<u64>(), 0u32..=64), 0..80)) {
            let mut w = BitWriter::default();
            let mut total = 0;
            for &(v, n) in &pieces {
                w.write_bits(v, n);
                total += n as usize;
                prop_assert_eq!(w.bit_len(), total);
            }
            let resumed = BitWriter::resume(w.bytes().to_vec(), total);
            prop_assert_eq!(&resumed, &w);
            let bytes = w.into_bytes();
            let mut r = BitReader::new(&bytes);
            for &(v, n) in &pieces {
                let expected = if n == 0 { 0 } else { v << (64 - n) >> (64 - n) };
                prop_assert_eq!(r.read(n), Ok(expected));
            }
            prop_assert!(r.remaining() < 8);
            prop_assert!(r.read(8).is_err());
        }

        #[test]
        fn varints_come_back_at_any_bit(lead in 0u32..8, u in any::<u64>(), i in any::<i64>(), shift in 0u32..64) {
            let mut w = BitWriter::default();
            w.write_bits(0, lead);
            w.write_uvarint(u >> shift);
            w.write_varint(i >> shift);
            let bytes = w.into_bytes();
            let mut r = BitReader::new(&bytes);
            prop_assert_eq!(r.read(lead), Ok(0));
            prop_assert_eq!(r.uvarint(), Ok(u >> shift));
            prop_assert_eq!(r.varint(), Ok(i >> shift));
        }
    }
}
