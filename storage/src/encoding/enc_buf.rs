//! EncBuf: what appending Prometheus's integers and strings to a byte vector looks like.

use super::{uvarint_len, zigzag};

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
    fn put_uvarint(&mut self, v: u64);

    /// Three unsigned varints.
    fn put_uvarints(&mut self, three: [u64; 3]);

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

    #[inline]
    fn put_uvarint(&mut self, v: u64) {
        let Some((bytes, len)) = short(v) else { return put_long(self, v) };
        let end = self.len() + len;
        self.extend_from_slice(&bytes.to_le_bytes());
        self.truncate(end);
    }

    #[inline]
    fn put_uvarints(&mut self, three: [u64; 3]) {
        let [Some(a), Some(b), Some(c)] = three.map(short) else {
            return three.into_iter().for_each(|v| self.put_uvarint(v));
        };
        let bytes = u128::from(a.0)
            | (u128::from(b.0) << (8 * a.1))
            | (u128::from(c.0) << (8 * (a.1 + b.1)));
        let end = self.len() + a.1 + b.1 + c.1;
        self.extend_from_slice(&bytes.to_le_bytes());
        self.truncate(end);
    }
}

/// The bytes of a varint of up to four, the first one lowest, and how many they are. Lengths vary:
/// guessing them wrong would cost more than making all four.
#[inline]
fn short(v: u64) -> Option<(u32, usize)> {
    let v = u32::try_from(v).ok().filter(|v| *v < 1 << 28)?;
    let groups =
        (v & 0x7f) | ((v << 1) & 0x7f00) | ((v << 2) & 0x7f_0000) | ((v << 3) & 0x7f00_0000);
    let len = uvarint_len(u64::from(v));
    Some((groups | (0x0080_8080 >> (8 * (4 - len))), len))
}

fn put_long(out: &mut Vec<u8>, mut v: u64) {
    while v >= 0x80 {
        out.push(v as u8 | 0x80);
        v >>= 7;
    }
    out.push(v as u8);
}
