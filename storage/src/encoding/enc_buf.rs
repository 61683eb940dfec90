//! EncBuf: what appending Prometheus's integers and strings to a byte vector looks like.

use super::zigzag;

/// Appends numbers and strings in the forms [`DecBuf`](super::DecBuf) reads.
pub trait EncBuf {
    /// Raw bytes.
    fn put_bytes(&mut self, bytes: &[u8]);

    /// One byte.
    fn put_u8(&mut self, v: u8) {
        self.put_bytes(&[v]);
    }

    /// Two bytes, big-endian.
    fn put_be16(&mut self, v: u16) {
        self.put_bytes(&v.to_be_bytes());
    }

    /// Four bytes, big-endian.
    fn put_be32(&mut self, v: u32) {
        self.put_bytes(&v.to_be_bytes());
    }

    /// Eight bytes, big-endian.
    fn put_be64(&mut self, v: u64) {
        self.put_bytes(&v.to_be_bytes());
    }

    /// Eight bytes, big-endian, of a signed number.
    fn put_be64_signed(&mut self, v: i64) {
        self.put_bytes(&v.to_be_bytes());
    }

    /// The bits of a float, eight bytes, big-endian.
    fn put_be_f64(&mut self, v: f64) {
        self.put_be64(v.to_bits());
    }

    /// An unsigned varint.
    fn put_uvarint(&mut self, mut v: u64) {
        while v >= 0x80 {
            self.put_u8(v as u8 | 0x80);
            v >>= 7;
        }
        self.put_u8(v as u8);
    }

    /// A signed (zigzag) varint.
    fn put_varint(&mut self, v: i64) {
        self.put_uvarint(zigzag(v));
    }

    /// Bytes behind their length as a uvarint.
    fn put_uvarint_bytes(&mut self, bytes: &[u8]) {
        self.put_uvarint(bytes.len() as u64);
        self.put_bytes(bytes);
    }

    /// A string behind its length as a uvarint.
    fn put_uvarint_str(&mut self, s: &str) {
        self.put_uvarint_bytes(s.as_bytes());
    }
}

impl EncBuf for Vec<u8> {
    #[inline]
    fn put_bytes(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }

    #[inline]
    fn put_u8(&mut self, v: u8) {
        self.push(v);
    }
}
