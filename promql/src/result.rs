//! Results: what a query gives back, in the shapes the HTTP API shows.

use model::{Annotations, FloatHistogram, Labels};

/// One point of a series.
#[derive(Clone, Debug, PartialEq)]
pub enum PointValue {
    Float(f64),
    Histogram(Box<FloatHistogram>),
}

/// An element of an instant vector.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    pub labels: Labels,
    /// Milliseconds since the epoch.
    pub t: i64,
    pub value: PointValue,
}

/// A series of a matrix: float points and histogram points, each ascending in time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    pub labels: Labels,
    pub floats: Vec<(i64, f64)>,
    pub histograms: Vec<(i64, FloatHistogram)>,
}

/// The value of a query.
#[derive(Clone, Debug, PartialEq)]
pub enum QueryValue {
    Scalar {
        t: i64,
        v: f64,
    },
    String {
        t: i64,
        text: String,
    },
    /// In order where the query orders (sort, topk …), else in order of computation.
    Vector(Vec<Sample>),
    /// Sorted by labels.
    Matrix(Vec<Series>),
}

/// Sample counts and times of one evaluation, for `stats`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Statistics {
    pub total_queryable_samples: u64,
    /// (time, samples) per step; only when asked for.
    pub total_queryable_samples_per_step: Vec<(i64, u64)>,
    pub samples_read: u64,
    pub samples_read_per_step: Vec<(i64, u64)>,
    pub peak_samples: u64,
}

/// What an evaluation answers.
#[derive(Clone, Debug, PartialEq)]
pub struct QueryResult {
    pub value: QueryValue,
    pub annotations: Annotations,
    pub stats: Statistics,
}
