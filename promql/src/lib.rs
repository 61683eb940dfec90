//! Crate `promql`: the language and its engine. Imports only `model`; knows nothing of storage,
//! HTTP, configuration or clocks.

pub mod engine;
mod exec;
pub mod functions;
pub mod memory;
pub mod parser;
mod plan;
pub mod result;
pub mod script;
mod threads;

pub use engine::{Engine, EngineError, EngineOptions, EvalTime, Features, Prepared, QueryOptions};
pub use memory::{MemoryPool, QueryMemory};
pub use result::{PointValue, QueryResult, QueryValue, Sample, Series, Statistics};
