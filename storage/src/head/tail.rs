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

#[derive(Debug, Default)]
struct Segment {
    /// None while no block is used.
    blocks: Option<Box<[Block; SEGMENT]>>,
    /// A bit for every block that is used.
    used: u64,
}

/// Bits of a segment that is full.
const FULL: u64 = (1 << SEGMENT) - 1;

/// The blocks of a page. The first free one is used next, so that segments that were needed once
/// come to be empty, and are given back.
#[derive(Debug, Default)]
pub(crate) struct Slab {
    segments: Vec<Segment>,
    /// All segments before this one are full.
    full: u16,
}

impl Slab {
    /// Bytes outside the structure.
    pub fn heap_bytes(&self) -> usize {
        let blocks = self.segments.iter().filter_map(|s| s.blocks.as_deref());
        self.segments.capacity() * size_of::<Segment>()
            + blocks.map(size_of_val::<[Block; SEGMENT]>).sum::<usize>()
    }

    fn block(&mut self, at: u16) -> Option<&mut Block> {
        let segment = self.segments.get_mut(usize::from(at) / SEGMENT)?;
        segment.blocks.as_deref_mut()?.get_mut(usize::from(at) % SEGMENT)
    }

    fn get(&self, at: u16) -> Option<&Block> {
        let segment = self.segments.get(usize::from(at) / SEGMENT)?;
        segment.blocks.as_deref()?.get(usize::from(at) % SEGMENT)
    }

    fn allocate(&mut self) -> u16 {
        while self.segments.get(usize::from(self.full)).is_some_and(|s| s.used == FULL) {
            self.full += 1;
        }
        let number = usize::from(self.full);
        if number == self.segments.len() {
            self.segments.reserve_exact(4);
            self.segments.push(Segment::default());
        }
        let segment = &mut self.segments[number];
        let place = segment.used.trailing_ones() as usize;
        segment.used |= 1 << place;
        let empty = Block { next: NONE, data: [0; BLOCK_BYTES] };
        segment.blocks.get_or_insert_with(|| Box::new([empty; SEGMENT]));
        (number * SEGMENT + place) as u16
    }

    fn release(&mut self, at: u16) {
        let number = usize::from(at) / SEGMENT;
        let segment = &mut self.segments[number];
        segment.used &= !(1 << (usize::from(at) % SEGMENT));
        if segment.used == 0 {
            segment.blocks = None;
        }
        self.full = self.full.min(number as u16);
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
            let mut at = slab.get(self.last).map_or(NONE, |block| block.next);
            for _ in 0..self.blocks {
                let Some(block) = slab.get(at) else { break };
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
            let Some(block) = slab.get(at) else { break };
            let next = block.next;
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
        let last = std::mem::replace(&mut self.tail.last, at);
        let first = match self.slab.block(last) {
            None => at,
            Some(last) => std::mem::replace(&mut last.next, at),
        };
        if let Some(block) = self.slab.block(at) {
            block.next = first;
            block.data.copy_from_slice(&self.tail.bytes[..BLOCK_BYTES]);
        }
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
            prop_assert!(slab.segments.iter().all(|s| s.used == 0 && s.blocks.is_none()));
        }
    }

    /// Room that was needed once is given back while other chunks go on.
    #[test]
    fn room_follows_use() {
        let mut slab = Slab::default();
        let mut tails = [Tail::EMPTY; 64];
        let fill = |tail: &mut Tail, slab: &mut Slab, blocks: usize| {
            tail.clear(slab);
            for i in 0..blocks * BLOCK_BYTES / 8 {
                TailSink { tail: &mut *tail, slab: &mut *slab }.write_bits(i as u64, 64);
            }
        };
        tails.iter_mut().for_each(|tail| fill(tail, &mut slab, 8));
        let full = slab.heap_bytes();
        for (i, tail) in tails.iter_mut().enumerate() {
            fill(tail, &mut slab, i % 5);
        }
        assert!(slab.heap_bytes() < full / 3, "{} of {full}", slab.heap_bytes());
        tails.iter_mut().for_each(|tail| fill(tail, &mut slab, 8));
        assert_eq!(slab.heap_bytes(), full);
    }
}
