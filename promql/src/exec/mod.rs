//! Execution: a plan evaluated over a grid of steps.
//!
//! [`Evaluator`] turns plan nodes into sources of columns; folding operators run at once, the rest
//! when columns are asked for.

mod absent;
mod aggregate;
pub(crate) mod binary;
mod bucket_call;
mod buckets;
mod call;
pub(crate) mod column;
mod count_values;
mod counts;
mod eval;
mod fold;
pub(crate) mod grid;
mod group;
pub(crate) mod histogram;
pub(crate) mod histogram_fold;
mod info;
mod lanes;
mod map;
mod matching;
pub(crate) mod notes;
mod parallel;
mod pass;
mod pass_fold;
pub(crate) mod range;
mod range_call;
mod relabel;
mod result;
pub(crate) mod samples;
pub(crate) mod scalar;
mod select;
mod sets;
mod shared;
mod signature;
mod sink;
mod smoothed;
mod sort;
mod source;
mod stepwise;
pub(crate) mod tally;
mod top;
pub(crate) mod window;
pub(crate) mod work;
mod wrap;

pub(crate) use eval::run;
pub(crate) use select::text_of;
