//! From the labels a target exposes to the labels that are stored.

use std::cmp::Ordering;

use model::labels::METRIC_NAME;
use model::number::go_quote;
use model::{Labels, LabelsBuilder};

use crate::relabel::{self, RelabelConfig};

/// Prefix that an exposed label gets when a target label takes its name.
const EXPORTED_PREFIX: &str = "exported_";

/// Adds the target's labels to an exposed series and relabels it; `None` when relabelling drops it.
///
/// On a name both have, the exposed value wins with `honor_labels`, else it moves to
/// `exported_<name>`, the prefix repeated until the name is free.
pub fn sample_labels(
    exposed: &Labels,
    target: &Labels,
    honor_labels: bool,
    rules: &[RelabelConfig],
) -> Option<Labels> {
    if rules.is_empty()
        && let Some(labels) = disjoint_union(exposed, target)
    {
        return Some(labels).filter(|labels| !labels.is_empty());
    }
    let mut builder = LabelsBuilder::new(exposed);
    let mut conflicts = Vec::new();
    for (name, value) in target.iter() {
        match exposed.get(name) {
            Some(_) if honor_labels => {}
            Some(taken) => {
                conflicts.push((name, taken));
                builder.set(name, value);
            }
            None => {
                builder.set(name, value);
            }
        }
    }
    conflicts.sort_by_key(|(name, _)| name.len());
    for (name, value) in conflicts {
        let mut free = format!("{EXPORTED_PREFIX}{name}");
        while !builder.get(&free).is_empty() {
            free.insert_str(0, EXPORTED_PREFIX);
        }
        builder.set(&free, value);
    }
    if !relabel::process(&mut builder, rules) {
        return None;
    }
    Some(builder.labels()).filter(|labels| !labels.is_empty())
}

/// Both label sets in one, unless they share a name. The common case, without a string copied twice.
fn disjoint_union(a: &Labels, b: &Labels) -> Option<Labels> {
    let mut pairs = Vec::with_capacity(16);
    let (mut a, mut b) = (a.iter().peekable(), b.iter().peekable());
    loop {
        let next = match (a.peek(), b.peek()) {
            (Some((x, _)), Some((y, _))) => match x.cmp(y) {
                Ordering::Less => a.next(),
                Ordering::Greater => b.next(),
                Ordering::Equal => return None,
            },
            (Some(_), None) => a.next(),
            (None, _) => b.next(),
        };
        match next {
            Some(pair) => pairs.push(pair),
            None => return Some(Labels::from_sorted(pairs)),
        }
    }
}

/// The labels of a synthetic series of a target: nothing is honoured, nothing relabelled.
pub fn report_labels(metric: &str, target: &Labels) -> Labels {
    let mut builder = LabelsBuilder::default();
    builder.set(METRIC_NAME, metric);
    for (name, value) in target.iter() {
        builder.set(name, value);
    }
    builder.labels()
}

/// `label_limit`, `label_name_length_limit` and `label_value_length_limit`; 0 = no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LabelLimits {
    pub labels: usize,
    pub name_length: usize,
    pub value_length: usize,
}

impl LabelLimits {
    /// Checks a series; the error text is Prometheus's.
    pub fn check(&self, labels: &Labels) -> Result<(), String> {
        let metric = first_chars(labels.metric_name(), 50);
        let count = labels.len();
        if self.labels > 0 && count > self.labels {
            return Err(format!(
                "label_limit exceeded (metric: {metric}, number of labels: {count}, limit: {})",
                self.labels
            ));
        }
        if self.name_length == 0 && self.value_length == 0 {
            return Ok(());
        }
        for (name, value) in labels.iter() {
            let shown = first_chars(name, 50);
            if self.name_length > 0 && name.len() > self.name_length {
                return Err(format!(
                    "label_name_length_limit exceeded (metric: {metric}, label name: {shown}, length: {}, limit: {})",
                    name.len(),
                    self.name_length
                ));
            }
            if self.value_length > 0 && value.len() > self.value_length {
                return Err(format!(
                    "label_value_length_limit exceeded (metric: {metric}, label name: {shown}, value: {}, length: {}, limit: {})",
                    go_quote(first_chars(value, 50)),
                    value.len(),
                    self.value_length
                ));
            }
        }
        Ok(())
    }
}

fn first_chars(text: &str, n: usize) -> &str {
    text.char_indices().nth(n).map_or(text, |(at, _)| &text[..at])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(text: &str) -> Labels {
        Labels::from_pairs(text.split_whitespace().filter_map(|pair| pair.split_once('=')))
    }

    #[test]
    fn conflicts() {
        for (exposed, target, honor, stored) in [
            ("__name__=m a=1", "job=j", false, r#"{__name__="m", a="1", job="j"}"#),
            ("__name__=m job=x", "job=j", true, r#"{__name__="m", job="x"}"#),
            ("__name__=m job=x", "job=j", false, r#"{__name__="m", exported_job="x", job="j"}"#),
            (
                "__name__=m job=x exported_job=y",
                "job=j",
                false,
                r#"{__name__="m", exported_exported_job="x", exported_job="y", job="j"}"#,
            ),
            (
                "__name__=m job=x exported_job=y",
                "job=j exported_job=z",
                false,
                r#"{__name__="m", exported_exported_exported_job="y", exported_exported_job="x", exported_job="z", job="j"}"#,
            ),
        ] {
            let got = sample_labels(&labels(exposed), &labels(target), honor, &[]);
            assert_eq!(got.map(|l| l.to_string()).as_deref(), Some(stored), "{exposed}");
        }
    }

    #[test]
    fn limits_in_prometheus_words() {
        let series = labels("__name__=metric_total abc=1234567");
        let check = |labels, name_length, value_length| {
            LabelLimits { labels, name_length, value_length }.check(&series).err()
        };
        assert_eq!(check(2, 8, 12), None);
        assert_eq!(
            check(1, 0, 0).as_deref(),
            Some("label_limit exceeded (metric: metric_total, number of labels: 2, limit: 1)")
        );
        assert_eq!(
            check(0, 0, 6).as_deref(),
            Some(
                r#"label_value_length_limit exceeded (metric: metric_total, label name: __name__, value: "metric_total", length: 12, limit: 6)"#
            )
        );
    }
}
