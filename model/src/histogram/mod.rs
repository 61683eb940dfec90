//! Native histograms: integer (delta) and float (absolute) forms.
//!
//! Semantics after Prometheus's `model/histogram`: schemas -4..=8 have base `2^(2^-schema)`; -53 is
//! custom bounds (NHCB), which has no zero bucket and no negative buckets.

mod accumulator;
mod arithmetic;
mod cells;
mod reduce;
mod reset;
mod text;
mod trim;
mod validate;

pub use accumulator::Accumulator;
pub use arithmetic::{Incompatible, Merged};

/// Schema number of histograms with custom bounds.
pub const CUSTOM_BUCKETS_SCHEMA: i32 = -53;
/// Highest exponential schema kept; finer ones are reduced on arrival.
pub const EXPONENTIAL_SCHEMA_MAX: i32 = 8;
/// Lowest exponential schema.
pub const EXPONENTIAL_SCHEMA_MIN: i32 = -4;

/// What is known about a counter reset between this histogram and the one before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CounterResetHint {
    /// Must be found out by comparing.
    #[default]
    Unknown,
    /// A reset lies directly before.
    Reset,
    /// No reset lies before.
    NotReset,
    /// A gauge histogram: resets mean nothing.
    Gauge,
}

/// A run of consecutive buckets: `offset` from the end of the previous run (or from bucket 0).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Span {
    /// Gap to the previous span; the first one may be negative.
    pub offset: i32,
    /// Number of buckets.
    pub length: u32,
}

/// Integer histogram; bucket populations are deltas to the bucket before.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram {
    pub counter_reset_hint: CounterResetHint,
    pub schema: i32,
    pub zero_threshold: f64,
    pub zero_count: u64,
    pub count: u64,
    /// Sum of observations; the staleness marker here makes the sample a stale one.
    pub sum: f64,
    pub positive_spans: Vec<Span>,
    pub negative_spans: Vec<Span>,
    pub positive_buckets: Vec<i64>,
    pub negative_buckets: Vec<i64>,
    /// Upper bounds of schema -53, strictly increasing, +Inf implied.
    pub custom_values: Vec<f64>,
}

/// Float histogram; bucket populations are absolute.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FloatHistogram {
    pub counter_reset_hint: CounterResetHint,
    pub schema: i32,
    pub zero_threshold: f64,
    pub zero_count: f64,
    pub count: f64,
    /// Sum of observations; the staleness marker here makes the sample a stale one.
    pub sum: f64,
    pub positive_spans: Vec<Span>,
    pub negative_spans: Vec<Span>,
    pub positive_buckets: Vec<f64>,
    pub negative_buckets: Vec<f64>,
    /// Upper bounds of schema -53, strictly increasing, +Inf implied.
    pub custom_values: Vec<f64>,
}

impl Histogram {
    /// The same distribution with absolute float populations.
    pub fn to_float(&self) -> FloatHistogram {
        fn absolute(deltas: &[i64]) -> Vec<f64> {
            let mut sum = 0i64;
            deltas
                .iter()
                .map(|d| {
                    sum = sum.wrapping_add(*d);
                    sum as f64
                })
                .collect()
        }
        FloatHistogram {
            counter_reset_hint: self.counter_reset_hint,
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            zero_count: self.zero_count as f64,
            count: self.count as f64,
            sum: self.sum,
            positive_spans: self.positive_spans.clone(),
            negative_spans: self.negative_spans.clone(),
            positive_buckets: absolute(&self.positive_buckets),
            negative_buckets: absolute(&self.negative_buckets),
            custom_values: self.custom_values.clone(),
        }
    }
}
