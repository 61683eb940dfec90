//! Package `epimetheus`.

pub mod config;
pub mod relabel;
