//! Chunk segments of a block: `chunks/000001`, `chunks/000002`, … written once, in the order of the
//! index, and mapped. Layout in `docs/format/chunks.md`.

mod read_ahead;
mod reader;
mod run;
mod writer;

pub use read_ahead::ReadAhead;
pub use reader::{AT_ONCE, Reader, StoredChunk};
pub use run::Run;
pub use writer::{DEFAULT_SEGMENT_BYTES, Writer};

/// First bytes of a segment.
pub const MAGIC: u32 = 0x85BD_40DD;
/// Bytes in front of the first chunk: magic, version, padding.
pub const HEADER_SIZE: usize = 8;
/// The only version there is.
pub(crate) const VERSION: u8 = 1;
/// What errors call such a file.
const WHAT: &str = "chunk segment";

/// The header of a file of chunks.
pub(crate) fn header(magic: u32, version: u8) -> [u8; HEADER_SIZE] {
    let [a, b, c, d] = magic.to_be_bytes();
    [a, b, c, d, version, 0, 0, 0]
}

/// What is wrong with the header of a file of chunks, if anything, with its offset.
pub(crate) fn header_fault(bytes: &[u8], magic: u32) -> Option<(u64, String)> {
    let Some(head) = bytes.first_chunk::<HEADER_SIZE>() else {
        return Some((bytes.len() as u64, "invalid header: invalid size".to_string()));
    };
    let [a, b, c, d, version, ..] = *head;
    let found = u32::from_be_bytes([a, b, c, d]);
    if found != magic {
        Some((0, format!("invalid magic number {found:x}")))
    } else if version != VERSION {
        Some((4, format!("invalid chunk format version {version}")))
    } else {
        None
    }
}

/// The name of segment or file `number`.
pub(crate) fn file_name(number: u32) -> String {
    format!("{number:06}")
}
