//! Tail: where the bits of an open XOR chunk stand. The last ones inline in the series' record, full
//! 50-byte pieces before them in a slab shared by the page.
//!
//! What must hold: a chain of blocks belongs to one open chunk; `blocks × 50` bytes and then the
//! tail's bits, the sample count's two bytes first, are the chunk's data.

use crate::encoding::BitSink;

/// Bytes of a block.
pub(crate) const BLOCK_BYTES: usize = 50;
/// A 64-bit write always fits behind an unspilled tail.
pub(crate) const TAIL_BYTES: usize = BLOCK_BYTES + 8;
const NONE: u16 = u16::MAX;
/// Blocks are allocated this many at a time: 2 KiB, which allocators have a size for.
const SEGMENT: usize = 39;

// A page's series have 255 blocks each at most, so there is a number for each of them.
#[derive(Clone, Copy, Debug)]
struct Block {
    next: u16,
    data: [u8; BLOCK_BYTES],
}

/// The blocks of a page.
#[derive(Debug)]
pub(crate) struct Slab {
    segments: Vec<Box<[Block]>>,
    free: u16,
    used: usize,
}

impl Default for Slab {
    fn default() -> Slab {
        Slab { segments: Vec::new(), free: NONE, used: 0 }
    }
}

impl Slab {
    /// Bytes outside the structure.
    pub fn heap_bytes(&self) -> usize {
        let list = self.segments.capacity() * size_of::<Box<[Block]>>();
        list + self.segments.len() * SEGMENT * size_of::<Block>()
    }

    fn block(&mut self, at: u16) -> &mut Block {
        &mut self.segments[at as usize / SEGMENT][at as usize % SEGMENT]
    }

    fn get(&self, at: u16) -> &Block {
        &self.segments[at as usize / SEGMENT][at as usize % SEGMENT]
    }

    fn allocate(&mut self) -> u16 {
        if self.free == NONE {
            let base = (self.segments.len() * SEGMENT) as u16;
            let block = |i: usize| Block {
                next: if i + 1 < SEGMENT { base + i as u16 + 1 } else { NONE },
                data: [0; BLOCK_BYTES],
            };
            self.segments.push((0..SEGMENT).map(block).collect());
            self.free = base;
        }
        let at = self.free;
        self.free = self.block(at).next;
        self.used += 1;
        at
    }

    fn release(&mut self, at: u16) {
        let free = self.free;
        self.block(at).next = free;
        self.free = at;
        self.used -= 1;
        if self.used == 0 {
            *self = Slab::default();
        }
    }
}

/// The inline part.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tail {
    /// The last block of the chain; its `next` is the first.
    last: u16,
    /// Bits in `bytes`.
    bits: u16,
    /// Blocks of the chain; an open chunk never has more than 255 (12 KiB).
    blocks: u8,
    bytes: [u8; TAIL_BYTES],
}

impl Tail {
    /// Before a chunk: two zero bytes in place of its sample count.
    pub const EMPTY: Tail = Tail { last: NONE, bits: 16, blocks: 0, bytes: [0; TAIL_BYTES] };

    /// Bytes of the chunk so far.
    pub fn len_bytes(&self) -> usize {
        usize::from(self.blocks) * BLOCK_BYTES + usize::from(self.bits).div_ceil(8)
    }

    /// Appends the chunk's data to `out`, with `samples` as its count.
    pub fn copy_to(&self, slab: &Slab, samples: u16, out: &mut Vec<u8>) {
        let start = out.len();
        out.reserve(self.len_bytes());
        if self.blocks > 0 {
            let mut at = slab.get(self.last).next;
            for _ in 0..self.blocks {
                let block = slab.get(at);
                out.extend_from_slice(&block.data);
                at = block.next;
            }
        }
        out.extend_from_slice(&self.bytes[..usize::from(self.bits).div_ceil(8)]);
        out[start..start + 2].copy_from_slice(&samples.to_be_bytes());
    }

    /// Gives the blocks back; the tail is empty again.
    pub fn clear(&mut self, slab: &mut Slab) {
        let mut at = self.last;
        for _ in 0..self.blocks {
            let next = slab.block(at).next;
            slab.release(at);
            at = next;
        }
        *self = Tail::EMPTY;
    }
}

/// Writes bits behind a tail.
pub(crate) struct TailSink<'a> {
    pub tail: &'a mut Tail,
    pub slab: &'a mut Slab,
}

impl TailSink<'_> {
    #[cold]
    #[inline(never)]
    fn spill(&mut self) {
        let at = self.slab.allocate();
        let first = match std::mem::replace(&mut self.tail.last, at) {
            NONE => at,
            last => std::mem::replace(&mut self.slab.block(last).next, at),
        };
        let block = self.slab.block(at);
        block.next = first;
        block.data.copy_from_slice(&self.tail.bytes[..BLOCK_BYTES]);
        self.tail.blocks += 1;
        self.tail.bytes.copy_within(BLOCK_BYTES.., 0);
        self.tail.bytes[TAIL_BYTES - BLOCK_BYTES..].fill(0);
        self.tail.bits -= (BLOCK_BYTES * 8) as u16;
    }
}

impl BitSink for TailSink<'_> {
    #[inline]
    fn write_bits(&mut self, value: u64, n: u32) {
        if n == 0 {
            return;
        }
        let tail = &mut *self.tail;
        let bits = u32::from(tail.bits);
        let (at, used) = ((bits / 8) as usize, bits % 8);
        let value = value << (64 - n);
        // `at` ≤ 49 before every write, so eight bytes and the carry always fit.
        if let Some(word) = tail.bytes.get_mut(at..at + 8).and_then(|b| b.first_chunk_mut::<8>()) {
            *word = (u64::from_be_bytes(*word) | value >> used).to_be_bytes();
        }
        if n + used > 64 {
            tail.bytes[at + 8] = (value << (64 - used) >> 56) as u8;
        }
        tail.bits += n as u16;
        if tail.bits as usize >= BLOCK_BYTES * 8 {
            self.spill();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoding::BitWriter;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn writes_what_a_bit_writer_writes(pieces in proptest::collection::vec((any::<u64>(), 0u32..=64), 0..300)) {
            let mut slab = Slab::default();
            let mut tail = Tail::EMPTY;
            let mut other = Tail::EMPTY;
            let mut want = BitWriter::new(vec![0x12, 0x34]);
            for &(value, n) in &pieces {
                TailSink { tail: &mut tail, slab: &mut slab }.write_bits(value, n);
                TailSink { tail: &mut other, slab: &mut slab }.write_bits(!value, n);
                want.write_bits(value, n);
            }
            let mut got = Vec::new();
            tail.copy_to(&slab, 0x1234, &mut got);
            prop_assert_eq!(&got, want.bytes());
            prop_assert_eq!(tail.len_bytes(), got.len());

            for t in [&mut tail, &mut other] {
                t.clear(&mut slab);
            }
            prop_assert_eq!(slab.used, 0);
        }
    }
}
