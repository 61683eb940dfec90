//! Grouping: which series an aggregation folds together, and the labels of the result.

use std::collections::HashMap;

use model::labels::METRIC_NAME;
use model::{Labels, LabelsBuilder};

use super::source::Source;

/// One group: its labels and its members, ascending.
#[derive(Debug)]
pub(crate) struct Group {
    pub labels: Labels,
    pub members: Vec<u32>,
}

/// Splits the series of `source` by (or without) the sorted label names `names`, groups in order
/// of their first member.
pub(crate) fn groups(source: &dyn Source, names: &[String], without: bool) -> Vec<Group> {
    if without {
        return groups_without(source, names);
    }
    let all = 0..source.len() as u32;
    if names.is_empty() {
        return match source.len() {
            0 => Vec::new(),
            _ => vec![Group { labels: Labels::empty(), members: all.collect() }],
        };
    }
    let mut known: HashMap<Vec<u8>, usize> = HashMap::new();
    let mut out: Vec<Group> = Vec::new();
    let (mut key, mut last_key) = (Vec::new(), Vec::new());
    let mut last = None;
    for i in all {
        key.clear();
        for name in names {
            source.label_value(i as usize, name, &mut |v| key.extend_from_slice(v.as_bytes()));
            // 0xff never occurs in UTF-8: values cannot run into each other.
            key.push(0xff);
        }
        let group = match last {
            // Neighbours often share a group.
            Some(group) if key == last_key => group,
            _ => match known.get(&key) {
                Some(group) => *group,
                None => {
                    let labels = kept(source, i as usize, names);
                    out.push(Group { labels, members: Vec::new() });
                    known.insert(key.clone(), out.len() - 1);
                    out.len() - 1
                }
            },
        };
        last = Some(group);
        std::mem::swap(&mut key, &mut last_key);
        out[group].members.push(i);
    }
    out
}

fn kept(source: &dyn Source, i: usize, names: &[String]) -> Labels {
    let mut builder = LabelsBuilder::default();
    for name in names {
        source.label_value(i, name, &mut |v| {
            builder.set(name, v);
        });
    }
    builder.labels()
}

fn groups_without(source: &dyn Source, names: &[String]) -> Vec<Group> {
    let mut known: HashMap<Labels, usize> = HashMap::new();
    let mut out: Vec<Group> = Vec::new();
    for i in 0..source.len() {
        let labels = source.labels(i);
        let rest =
            labels.iter().filter(|(n, _)| *n != METRIC_NAME && !names.iter().any(|k| k == n));
        let labels = Labels::from_sorted(rest);
        let group = *known.entry(labels).or_insert_with_key(|labels| {
            out.push(Group { labels: labels.clone(), members: Vec::new() });
            out.len() - 1
        });
        out[group].members.push(i as u32);
    }
    out
}
