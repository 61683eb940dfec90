//! Parser: text → tokens → typed syntax tree → text.
//!
//! The language, its errors and their positions are those of Prometheus 3.14. A parse stops at the
//! first error, the only one Prometheus shows.

pub mod ast;
mod check;
mod duration;
mod error;
mod expr;
mod json;
pub mod lexer;
mod modifier;
pub(crate) mod number;
mod operator;
mod pretty;
mod print;
mod selector;
pub(crate) mod text;
pub mod token;

use model::{Labels, Matcher};

pub use error::{ParseError, Place};
pub use json::to_json;
pub use pretty::prettify;

use crate::engine::Features;
use ast::Expr;
use expr::Parser;

/// Which parts of the language behind `--enable-feature` are allowed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ParserOptions {
    /// promql-experimental-functions
    pub experimental_functions: bool,
    /// promql-extended-range-selectors
    pub extended_range_selectors: bool,
    /// promql-binop-fill-modifiers
    pub binop_fill_modifiers: bool,
}

impl ParserOptions {
    /// Everything allowed.
    pub const ALL: ParserOptions = ParserOptions {
        experimental_functions: true,
        extended_range_selectors: true,
        binop_fill_modifiers: true,
    };
}

impl From<Features> for ParserOptions {
    fn from(features: Features) -> ParserOptions {
        ParserOptions {
            experimental_functions: features.experimental_functions,
            extended_range_selectors: features.extended_range_selectors,
            binop_fill_modifiers: features.binop_fill_modifiers,
        }
    }
}

/// Parses and type-checks an expression.
pub fn parse(text: &str, options: &ParserOptions) -> Result<Expr, ParseError> {
    let mut expr = Parser::new(text, *options).expression()?;
    check::check(text, &mut expr)?;
    Ok(expr)
}

/// Parses an instant selector without modifiers (`match[]` of the HTTP API) into its matchers, the
/// one for a name in front of the braces last. Selectors that match everything are not refused.
pub fn parse_metric_selector(text: &str) -> Result<Vec<Matcher>, ParseError> {
    Parser::new(text, ParserOptions::default()).metric_selector()
}

/// Parses the labels of one series, `name{a="b"}`.
pub fn parse_metric(text: &str) -> Result<Labels, ParseError> {
    Parser::new(text, ParserOptions::default()).metric()
}

/// Parses the labels at the start of a line of a test script; also gives where they end.
pub(crate) fn parse_metric_prefix(text: &str) -> Result<(Labels, usize), ParseError> {
    Parser::new(text, ParserOptions::default()).metric_prefix()
}
