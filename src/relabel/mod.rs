//! Relabelling: rules that rewrite, keep or drop label sets.
//!
//! Knows label sets and rules only, so that it can be tested and fuzzed without a server.

mod config;
mod process;

pub use config::{Action, Pattern, RelabelConfig};
pub use process::process;
