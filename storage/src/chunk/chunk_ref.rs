//! ChunkRef: where a chunk lies, as one number.

/// A file (of a block: its position among the segments, from 0; of the head: its number, from 1)
/// and an offset in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChunkRef(pub u64);

impl ChunkRef {
    /// The reference of `offset` in `file`.
    pub fn new(file: u32, offset: u32) -> ChunkRef {
        ChunkRef(u64::from(file) << 32 | u64::from(offset))
    }

    /// The file.
    pub fn file(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// The offset of the chunk's entry in the file.
    pub fn offset(self) -> u32 {
        self.0 as u32
    }
}
