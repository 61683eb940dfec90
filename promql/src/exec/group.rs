//! Grouping: which series an aggregation folds together, and the labels of the result.

use model::labels::{LabelMap, METRIC_NAME};
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
    let mut by_name = ByName { source, names, known: LabelMap::default(), groups: Vec::new() };
    let mut ids = Vec::with_capacity(source.len() * names.len());
    if !names.iter().all(|name| source.label_ids(name, &mut ids)) {
        all.for_each(|i| {
            let group = by_name.group(i);
            by_name.groups[group].members.push(i);
        });
        return by_name.groups;
    }
    // Values that are the same have to be looked at once only.
    let mut known: LabelMap<Vec<u8>, usize> = LabelMap::default();
    let (mut key, mut last_key) = (Vec::new(), Vec::new());
    let mut last = None;
    for i in all {
        key.clear();
        let of_series = ids.iter().skip(i as usize).step_by(source.len());
        of_series.for_each(|id| key.extend(id.to_ne_bytes()));
        let group = match last {
            // Neighbours often share a group.
            Some(group) if key == last_key => group,
            _ => match known.get(&key) {
                Some(group) => *group,
                None => {
                    let group = by_name.group(i);
                    known.insert(key.clone(), group);
                    group
                }
            },
        };
        last = Some(group);
        std::mem::swap(&mut key, &mut last_key);
        by_name.groups[group].members.push(i);
    }
    by_name.groups
}

/// Groups by the text of labels.
struct ByName<'a> {
    source: &'a dyn Source,
    names: &'a [String],
    known: LabelMap<Vec<u8>, usize>,
    groups: Vec<Group>,
}

impl ByName<'_> {
    /// The group of a series, made when there is none yet.
    fn group(&mut self, i: u32) -> usize {
        let mut key = Vec::new();
        for name in self.names {
            let mut add = |v: &str| key.extend_from_slice(v.as_bytes());
            self.source.label_value(i as usize, name, &mut add);
            // 0xff never occurs in UTF-8: values cannot run into each other.
            key.push(0xff);
        }
        if let Some(group) = self.known.get(&key) {
            return *group;
        }
        let labels = kept(self.source, i as usize, self.names);
        self.groups.push(Group { labels, members: Vec::new() });
        self.known.insert(key, self.groups.len() - 1);
        self.groups.len() - 1
    }
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
    let mut known: LabelMap<Vec<u8>, usize> = LabelMap::default();
    let mut out: Vec<Group> = Vec::new();
    let keeps = |name: &str| name != METRIC_NAME && !names.iter().any(|k| k == name);
    let mut key = Vec::new();
    for i in 0..source.len() {
        let labels = source.labels(i);
        key.clear();
        labels.spans().filter(|(n, _)| keeps(n)).for_each(|(_, span)| key.extend(span));
        let group = match known.get(&key) {
            Some(group) => *group,
            None => {
                out.push(Group { labels: labels.filtered(keeps), members: Vec::new() });
                known.insert(key.clone(), out.len() - 1);
                out.len() - 1
            }
        };
        out[group].members.push(i as u32);
    }
    out
}
