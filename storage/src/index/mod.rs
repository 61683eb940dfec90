//! Index: the file of a block that finds its series. One file of code for each section, reading and
//! writing side by side; described in `docs/format/index.md`.
//!
//! Versions 1, 2 and 3 are read, version 2 is written, byte for byte as Prometheus writes it. A
//! reader works on mapped bytes and keeps little beside them; whatever the bytes are, it answers or
//! says which offset is wrong.

mod damaged;
mod numbers;
mod offset_table;
mod postings;
mod reader;
mod section;
mod series;
mod symbols;
mod toc;
mod uses;
mod writer;

pub use damaged::{DamagedIndex, Walked};
pub use numbers::{LabelNumber, Numberer, label_number, label_symbols};
pub use reader::IndexReader;
pub use series::{ChunkMeta, ChunkMetas, LabelRefs};
pub use symbols::{SymbolError, SymbolSet, SymbolTable};
pub use toc::Toc;
pub use writer::{IndexWriteError, IndexWriter};

/// First four bytes of every index file.
pub const MAGIC: u32 = 0xBAAA_D700;
/// Magic and version.
const HEADER_LEN: usize = 5;
/// Series entries start at multiples of this; a series id is its offset divided by it (from
/// version 2 on).
const SERIES_ALIGN: u64 = 16;

/// Versions of the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// Series ids and symbol references are byte offsets; the postings table may be unsorted.
    V1 = 1,
    /// Series ids count 16-byte units, symbols are numbered.
    V2 = 2,
    /// Laid out like version 2.
    V3 = 3,
}

/// Bytes of an index that are not what they should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} at offset {offset}")]
pub struct IndexCorruption {
    /// Where, in bytes from the start of the file.
    pub offset: u64,
    /// What is wrong, in Prometheus's words where it has some.
    pub what: String,
}

impl IndexCorruption {
    fn new(offset: u64, what: impl Into<String>) -> IndexCorruption {
        IndexCorruption { offset, what: what.into() }
    }
}
