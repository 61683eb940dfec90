//! Exposition parsing: what a target's body says, entry by entry, borrowed from the body.
//!
//! Knows nothing of targets, storage or HTTP; every parser takes bytes and can be fuzzed alone.
//! Formats: Prometheus text 0.0.4 (and 1.0.0, which only adds quoted names) in `prom`; OpenMetrics
//! samples, for the tool, in `openmetrics`.

pub mod content_type;
mod lexer;
pub mod number;
pub mod openmetrics;
mod openmetrics_lexer;
#[cfg(test)]
mod openmetrics_tests;
pub mod prom;
#[cfg(test)]
mod prom_tests;
mod series;
mod token;

use model::number::go_quote;

pub use content_type::Format;
pub use prom::{Entry, PromParser, Sample};

/// Why a body does not parse, in Prometheus's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ParseError(pub String);

/// Quotes bytes as Go's `%q` does: invalid UTF-8 as `\xNN`.
fn quote_bytes(bytes: &[u8]) -> String {
    let mut out = String::from("\"");
    for chunk in bytes.utf8_chunks() {
        let quoted = go_quote(chunk.valid());
        out.push_str(&quoted[1..quoted.len() - 1]);
        for b in chunk.invalid() {
            out.push_str(&format!("\\x{b:02x}"));
        }
    }
    out.push('"');
    out
}
