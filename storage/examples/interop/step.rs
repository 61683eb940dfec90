//! Step: one line of a script; which fields count depends on `op`.

use std::collections::BTreeMap;

use model::{MatchOp, Matcher};
use serde::Deserialize;

use crate::text::{FloatHistogramText, HistogramText};

#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Step {
    pub op: String,
    pub dir: String,
    /// `records`: which log.
    pub name: String,

    // open
    pub min_block: i64,
    pub max_block: i64,
    pub wal: String,
    pub segment_bytes: u64,
    pub window: i64,
    pub samples_per_chunk: u16,
    pub xor2: bool,
    pub start_times: bool,
    pub histogram_st: bool,
    pub exemplars: bool,
    pub metadata: bool,
    /// What a close leaves: `own`, `prometheus`, or nothing.
    pub head_snapshot: String,

    // add, exemplar, meta
    #[serde(rename = "l")]
    pub labels: BTreeMap<String, String>,
    pub t: i64,
    #[serde(rename = "st")]
    pub start_t: i64,
    #[serde(rename = "f")]
    pub float: String,
    #[serde(rename = "h")]
    pub histogram: Option<HistogramText>,
    #[serde(rename = "fh")]
    pub float_histogram: Option<FloatHistogramText>,
    /// The series that an exemplar or metadata belongs to.
    pub of: BTreeMap<String, String>,
    #[serde(rename = "type")]
    pub metric_type: String,
    pub unit: String,
    pub help: String,

    // dump, delete, select, snapshot
    pub min: i64,
    pub max: i64,
    #[serde(rename = "m")]
    pub matcher_texts: Vec<(String, String, String)>,
    pub with_head: bool,
}

impl Step {
    pub fn matchers(&self) -> Result<Vec<Matcher>, crate::Failure> {
        let ops = [MatchOp::Equal, MatchOp::NotEqual, MatchOp::Regex, MatchOp::NotRegex];
        let matcher = |(name, op, value): &(String, String, String)| {
            let op = ops.into_iter().find(|o| o.as_str() == op).ok_or("unknown operator")?;
            Ok(Matcher::new(op, name.as_str(), value.as_str())?)
        };
        self.matcher_texts.iter().map(matcher).collect()
    }
}
