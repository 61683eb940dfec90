//! Series text → labels: unescaping, number normalisation of `le` and `quantile`, duplicates.

use std::borrow::Cow;

use model::labels::{BUCKET, METRIC_NAME};
use model::number::format_g;
use model::{Labels, MetricType};

use super::number;

/// Label of a summary's quantile.
const QUANTILE: &str = "quantile";

/// Replaces `\"`, `\\` and `\n`; every other backslash stays as it is.
pub(super) fn unescape(text: Cow<'_, str>, with_quotes: bool) -> Cow<'_, str> {
    if !text.contains('\\') {
        return text;
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = &*text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let tail = &rest[at + 1..];
        let (replacement, taken) = match tail.as_bytes().first() {
            Some(b'\\') => ("\\", 1),
            Some(b'n') => ("\n", 1),
            Some(b'"') if with_quotes => ("\"", 1),
            _ => ("\\", 0),
        };
        out.push_str(replacement);
        rest = &tail[taken..];
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// `le` of histograms and `quantile` of summaries in OpenMetrics' canonical form, so that `1` and
/// `1.0` are the same bucket.
fn normalize<'a>(metric_type: MetricType, name: &str, value: Cow<'a, str>) -> Cow<'a, str> {
    let is_number = (metric_type == MetricType::Summary && name == QUANTILE)
        || (metric_type == MetricType::Histogram && name == BUCKET);
    if !is_number {
        return value;
    }
    match number::parse(value.as_bytes()) {
        Ok(v) => {
            let mut text = format_g(v);
            if v.is_finite() && !text.contains(['e', '.']) {
                text.push_str(".0");
            }
            Cow::Owned(text)
        }
        Err(_) => value,
    }
}

/// Collects the labels of one series text.
#[derive(Debug)]
pub(super) struct Collector<'a> {
    pairs: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

impl<'a> Collector<'a> {
    pub(super) fn new(metric_name: Cow<'a, str>, labels: usize) -> Collector<'a> {
        let mut pairs = Vec::with_capacity(labels + 1);
        pairs.push((Cow::Borrowed(METRIC_NAME), unescape(metric_name, true)));
        Collector { pairs }
    }

    pub(super) fn label(
        &mut self,
        metric_type: MetricType,
        name: Cow<'a, str>,
        value: Cow<'a, str>,
    ) {
        let name = unescape(name, true);
        let value = normalize(metric_type, &name, unescape(value, true));
        self.pairs.push((name, value));
    }

    /// The labels, or the name that stands twice. Labels with an empty value are absent.
    pub(super) fn finish(mut self) -> Result<Labels, String> {
        self.pairs.retain(|(_, value)| !value.is_empty());
        self.pairs.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        if let Some(twice) = self.pairs.windows(2).find(|w| w[0].0 == w[1].0) {
            return Err(twice[0].0.clone().into_owned());
        }
        Ok(Labels::from_sorted(self.pairs.iter().map(|(n, v)| (&**n, &**v))))
    }
}
