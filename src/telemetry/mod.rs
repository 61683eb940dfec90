//! What the server says of itself: its log and its own metrics.

pub mod exposition;
pub mod log;
pub mod metrics;
pub mod process;
pub mod storage;
mod storage_logs;
