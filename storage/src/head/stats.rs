//! Stats: what `/api/v1/status/tsdb` shows of the head.

/// A name with a number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NameCount {
    pub name: String,
    pub count: u64,
}

/// Cardinality of the head. Lists are sorted by count, highest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HeadStats {
    pub series: u64,
    /// Distinct (name, value) pairs.
    pub label_pairs: u64,
    pub chunks: u64,
    /// First and last time of samples in the head, in milliseconds.
    pub min_time: i64,
    pub max_time: i64,
    /// Series by metric name.
    pub series_by_metric_name: Vec<NameCount>,
    /// Distinct values by label name.
    pub values_by_label_name: Vec<NameCount>,
    /// Bytes of all values by label name, each series' value counted.
    pub memory_by_label_name: Vec<NameCount>,
    /// Series by `name=value`.
    pub series_by_label_pair: Vec<NameCount>,
}
