//! Functions: one table row each (name, signature, traits), one family per file.

pub(crate) mod date;
pub(crate) mod extended;
pub(crate) mod extended_histogram;
mod extremes;
pub(crate) mod histogram_rate;
mod instant_change;
pub(crate) mod math;
pub(crate) mod mixed;
pub(crate) mod over_time;
mod positions;
pub(crate) mod quantile;
pub(crate) mod range;
mod ranks;
pub(crate) mod rate;
mod rates;
mod sums;
pub mod table;

pub use table::lookup;

use crate::parser::ast::ValueType;

/// One function of the language: what the parser checks and what the planner may assume.
#[derive(Debug, PartialEq)]
pub struct Function {
    pub name: &'static str,
    /// Types of the arguments; the last one may be optional or repeated, see `variadic`.
    pub args: &'static [ValueType],
    /// 0: exactly `args`; n > 0: the last n may be left out; -1: the last may repeat without end.
    pub variadic: i8,
    pub return_type: ValueType,
    /// Needs `--enable-feature=promql-experimental-functions`.
    pub experimental: bool,
}
