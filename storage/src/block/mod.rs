//! Block: a directory with the samples of a span of time, written once. `docs/format/block.md`.

mod dir;
mod meta;
mod open;
mod reader;
mod stored;

pub use dir::{
    TMP_FOR_CREATION, TMP_FOR_DELETION, delete, list, new_ulid, remove_temporary,
    repair_index_version,
};
pub use meta::{
    BlockDesc, BlockMeta, BlockMetaCompaction, BlockStats, HINT_OUT_OF_ORDER, HINT_SELECTED_SERIES,
    HINT_STALE_SERIES, META_FILENAME,
};
pub use open::{Block, CHUNKS_DIR, INDEX_FILENAME};
