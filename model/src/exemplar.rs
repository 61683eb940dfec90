//! Exemplars: a labelled example (usually a trace id) of what a sample counted.

use crate::labels::Labels;

/// Longest label set of an exemplar, in UTF-8 characters over names and values.
pub const MAX_LABEL_RUNES: usize = 128;

/// One exemplar of one series.
#[derive(Clone, Debug, PartialEq)]
pub struct Exemplar {
    pub labels: Labels,
    pub value: f64,
    /// Milliseconds since the epoch.
    pub timestamp_ms: i64,
    /// Whether the exposition gave the timestamp itself.
    pub has_timestamp: bool,
}
