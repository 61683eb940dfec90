//! Head: the samples that are not in a block yet.

pub mod metrics;
pub mod stats;
