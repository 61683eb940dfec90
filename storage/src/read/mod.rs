//! Reading: one answer from several sources of the same series.

mod chunk_merge;
mod heap;
mod querier;
mod sample_merge;
mod selection;

pub use chunk_merge::merge_chunks;
pub(crate) use heap::MinHeap;
pub use querier::MergeQuerier;
pub(crate) use querier::in_label_order;
pub use sample_merge::merge_samples;
