//! Compaction: what to merge, what to throw away, and writing the merge.

mod join;
mod merge;
mod overlap;
mod plan;
mod retention;
mod symbols;
mod write;

pub use overlap::{Overlap, overlaps};
pub use plan::{block_ranges, in_order_max_time, plan};
pub use retention::{Expired, Limits, Retained, expired, size_limit};
pub use write::{ChunkObserver, CompactError, WriteOptions, write_block};
