//! Sample iterator: XOR chunks read the way Gorilla readers usually are, one sample a call, through a
//! buffer of 64 bits that is filled again when it is empty; with Prometheus's short cuts for an
//! unchanged value and one in the old window. The ruler beside the decoder of whole chunks: the same
//! work, on the same data, by the same compiler.

/// A stream of bits, most significant first.
struct Bits<'a> {
    data: &'a [u8],
    /// The next byte to fill the buffer from.
    next: usize,
    buffer: u64,
    /// Low bits of the buffer that are not read yet.
    valid: u32,
}

impl Bits<'_> {
    /// Fills the empty buffer with eight bytes, or with one where there are fewer.
    #[cold]
    #[inline(never)]
    fn fill(&mut self) -> Option<()> {
        let rest = self.data.get(self.next..)?;
        if let Some(eight) = rest.first_chunk::<8>() {
            self.buffer = u64::from_be_bytes(*eight);
            self.valid = 64;
            self.next += 8;
        } else {
            self.buffer = u64::from(*rest.first()?);
            self.valid = 8;
            self.next += 1;
        }
        Some(())
    }

    /// `n` (1 to 64) bits.
    #[inline]
    fn take(&mut self, n: u32) -> Option<u64> {
        if n <= self.valid {
            self.valid -= n;
            return Some(self.buffer >> self.valid & u64::MAX >> (64 - n));
        }
        self.take_across(n)
    }

    /// The same, of more than one buffer.
    #[inline(never)]
    fn take_across(&mut self, mut n: u32) -> Option<u64> {
        let mut bits = 0u64;
        loop {
            if self.valid == 0 {
                self.fill()?;
            }
            let some = n.min(self.valid);
            self.valid -= some;
            let read = self.buffer >> self.valid & u64::MAX >> (64 - some);
            bits = if some == 64 { read } else { bits << some | read };
            n -= some;
            if n == 0 {
                return Some(bits);
            }
        }
    }

    #[inline]
    fn bit(&mut self) -> Option<bool> {
        if self.valid == 0 {
            self.fill()?;
        }
        self.valid -= 1;
        Some(self.buffer >> self.valid & 1 == 1)
    }

    fn uvarint(&mut self) -> Option<u64> {
        let mut value = 0;
        for i in 0..10 {
            let byte = self.take(8)?;
            value |= (byte & 0x7f) << (7 * i);
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }
}

/// The samples of a chunk, to its end or to the first that cannot be read.
pub struct SampleIterator<'a> {
    bits: Bits<'a>,
    read: u16,
    count: u16,
    t: i64,
    delta: i64,
    value: u64,
    leading: u32,
    trailing: u32,
}

impl<'a> SampleIterator<'a> {
    /// Reads a chunk of encoding 1.
    pub fn new(chunk: &'a [u8]) -> SampleIterator<'a> {
        let (count, data) = chunk.split_first_chunk::<2>().unwrap_or((&[0, 0], &[]));
        SampleIterator {
            bits: Bits { data, next: 0, buffer: 0, valid: 0 },
            read: 0,
            count: u16::from_be_bytes(*count),
            t: 0,
            delta: 0,
            value: 0,
            leading: 0,
            trailing: 0,
        }
    }

    #[inline]
    fn read_dod(&mut self) -> Option<i64> {
        if !self.bits.bit()? {
            return Some(0);
        }
        let mut width = 0;
        for n in [14, 17, 20] {
            if !self.bits.bit()? {
                width = n;
                break;
            }
        }
        if width == 0 {
            return self.bits.take(64).map(|bits| bits as i64);
        }
        let bits = self.bits.take(width)? as i64;
        Some(if bits > 1 << (width - 1) { bits - (1 << width) } else { bits })
    }

    #[inline]
    fn read_value(&mut self) -> Option<()> {
        if self.bits.valid >= 1 {
            if self.bits.buffer >> (self.bits.valid - 1) & 1 == 0 {
                self.bits.valid -= 1;
                return Some(());
            }
            let width = 64 - self.leading - self.trailing;
            if self.bits.valid >= 2 + width && self.bits.buffer >> (self.bits.valid - 2) & 1 == 0 {
                self.bits.valid -= 2 + width;
                let xor = self.bits.buffer >> self.bits.valid & u64::MAX >> (64 - width);
                self.value ^= xor << self.trailing;
                return Some(());
            }
        }
        self.read_any_value()
    }

    #[inline(never)]
    fn read_any_value(&mut self) -> Option<()> {
        if !self.bits.bit()? {
            return Some(());
        }
        if self.bits.bit()? {
            self.leading = self.bits.take(5)? as u32;
            let width = match self.bits.take(6)? as u32 {
                0 => 64,
                width => width,
            };
            self.trailing = 64u32.checked_sub(self.leading + width)?;
        }
        let width = 64 - self.leading - self.trailing;
        self.value ^= self.bits.take(width)? << self.trailing;
        Some(())
    }
}

impl Iterator for SampleIterator<'_> {
    type Item = (i64, f64);

    #[inline]
    fn next(&mut self) -> Option<(i64, f64)> {
        if self.read == self.count {
            return None;
        }
        match self.read {
            0 => {
                let t = self.bits.uvarint()?;
                self.t = (t >> 1) as i64 ^ -((t & 1) as i64);
                self.value = self.bits.take(64)?;
            }
            1 => {
                self.delta = self.bits.uvarint()? as i64;
                self.t = self.t.wrapping_add(self.delta);
                self.read_value()?;
            }
            _ => {
                self.delta = self.delta.wrapping_add(self.read_dod()?);
                self.t = self.t.wrapping_add(self.delta);
                self.read_value()?;
            }
        }
        self.read += 1;
        Some((self.t, f64::from_bits(self.value)))
    }
}
