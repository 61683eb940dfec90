//! Crate `model`: the vocabulary every other room speaks. Labels, matchers, samples, histograms,
//! annotations, Go's number text, and the seams between storage and those who read and write it.
//!
//! It knows nothing of files, sockets, clocks, threads or configuration.

pub mod annotations;
pub mod append;
pub mod buckets;
pub mod cancel;
pub mod columns;
pub mod duration;
pub mod elementary;
pub mod exemplar;
pub mod histogram;
pub mod kahan;
pub mod labels;
pub mod matcher;
pub mod metadata;
pub mod number;
pub mod query;
pub mod regex;
pub mod value;

pub use annotations::Annotations;
pub use append::{AppendError, AppendOptions, Appendable, Appender, SeriesRef, Value};
pub use cancel::CancelToken;
pub use columns::{Columns, Regular};
pub use exemplar::Exemplar;
pub use histogram::{CounterResetHint, FloatHistogram, Histogram, Span};
pub use labels::{Labels, LabelsBuilder};
pub use matcher::{MatchOp, Matcher};
pub use metadata::{Metadata, MetricType};
pub use query::{
    EncodedChunk, Newest, Querier, QueryError, Queryable, SelectHints, Selection, TimeRange,
};
