//! IoBuffer: memory for large reads and writes past the page cache.
//!
//! It is aligned as they want it, and one huge page where the system gives one: a request is then a
//! single piece of memory to the disk, and nothing looks up five hundred small pages for it.

use std::ops::{Deref, DerefMut};

use memmap2::{Advice, MmapMut};

use super::BLOCK_BYTES;

/// A huge page of the processors we run on.
const HUGE_BYTES: usize = 2 << 20;

/// A run of bytes that stays where it is, zero at first. Memory is taken when it is first touched.
pub struct IoBuffer {
    memory: Memory,
    start: usize,
    len: usize,
}

enum Memory {
    Mapped(MmapMut),
    Heap(Vec<u8>),
}

impl IoBuffer {
    /// As many bytes as a huge page has.
    pub fn huge() -> IoBuffer {
        // Twice as much address space: a whole huge page lies somewhere inside.
        match MmapMut::map_anon(2 * HUGE_BYTES) {
            Ok(map) => {
                // What the system does not know costs time only.
                let _ = map.advise(Advice::HugePage);
                IoBuffer::aligned(Memory::Mapped(map), HUGE_BYTES, HUGE_BYTES)
            }
            Err(_) => IoBuffer::small(HUGE_BYTES),
        }
    }

    /// `len` bytes of usual pages.
    pub fn small(len: usize) -> IoBuffer {
        IoBuffer::aligned(Memory::Heap(vec![0; len + BLOCK_BYTES]), len, BLOCK_BYTES)
    }

    fn aligned(memory: Memory, len: usize, to: usize) -> IoBuffer {
        let start = memory.bytes().as_ptr().align_offset(to).min(to);
        IoBuffer { memory, start, len }
    }
}

impl Memory {
    fn bytes(&self) -> &[u8] {
        match self {
            Memory::Mapped(map) => map,
            Memory::Heap(heap) => heap,
        }
    }
}

impl Deref for IoBuffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.memory.bytes().get(self.start..self.start + self.len).unwrap_or_default()
    }
}

impl DerefMut for IoBuffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        let bytes: &mut [u8] = match &mut self.memory {
            Memory::Mapped(map) => map,
            Memory::Heap(heap) => heap,
        };
        bytes.get_mut(self.start..self.start + self.len).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_aligned_and_can_be_written() {
        for (mut buffer, len) in
            [(IoBuffer::huge(), HUGE_BYTES), (IoBuffer::small(3 * BLOCK_BYTES), 3 * BLOCK_BYTES)]
        {
            assert_eq!(buffer.len(), len);
            assert_eq!(buffer.as_ptr().align_offset(BLOCK_BYTES), 0);
            assert_eq!(buffer.iter().copied().max(), Some(0));
            buffer.fill(7);
            assert_eq!(buffer.iter().copied().min(), Some(7));
        }
    }
}
