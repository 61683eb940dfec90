//! Script: the language of Prometheus's `.test` files. `load` fills a storage in memory, `eval`
//! runs a query and compares; `clear` starts over. Described in Prometheus's
//! `promql/promqltest/README.md`.

mod command;
mod compare;
mod eval;
mod expect;
mod histogram;
mod literal;
pub mod memory;
mod nhcb;
mod run;
mod series;
mod shift;
mod start;

pub use command::{Command, Load, LoadedSeries, Script, ScriptError};
pub use eval::{Eval, Expected};
pub use expect::{Expectations, Match};
pub use literal::print as print_histogram;
pub use memory::MemoryStorage;
pub use run::{Failure, Report, test_engine};
pub use series::{SequenceValue, parse_series};

#[cfg(test)]
mod tests;
