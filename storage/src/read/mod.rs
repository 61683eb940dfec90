//! Reading: one answer from several sources of the same series.

mod chunk_merge;
mod heap;
mod querier;
mod sample_merge;
mod selection;

pub use chunk_merge::merge_chunks;
pub use querier::MergeQuerier;
pub(crate) use querier::{in_label_order, merge_series};
pub use sample_merge::merge_samples;
pub(crate) use selection::Part;
