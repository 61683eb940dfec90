//! Head chunks: full chunks of the head, spilled to `chunks_head/000001`, … as they fill up, so that
//! memory holds only open ones. Layout in `docs/format/head-chunks.md`.
//!
//! What must hold: one file is open and appended to; it is read by position, never mapped. All
//! others are sealed and mapped. A start never appends to a file it found. Losing the tail of the
//! open file loses nothing: its samples are still in the log.

mod entry;
mod store;

pub use entry::{Entries, Entry, stored_data};
pub use store::{ChunkBytes, HeadChunk, HeadChunks, Sealed};

/// First bytes of a file.
pub const MAGIC: u32 = 0x0130_BC91;
/// Bytes in front of the first entry: magic, version, padding.
pub const HEADER_SIZE: usize = crate::chunkfile::HEADER_SIZE;
/// Bytes a file holds at most, unless its only entry is larger.
pub const MAX_FILE_BYTES: u64 = 128 << 20;
/// What errors call such a file.
const WHAT: &str = "head chunk file";
