//! LabelUses: which series has which label, gathered while they are written, sorted by counting for
//! the postings.
//!
//! Memory: eight bytes a label of a series, and a list of the symbols.

use std::collections::HashMap;

use super::numbers::{LabelNumber, label_symbols};

/// The labels of all series so far.
#[derive(Default)]
pub(super) struct LabelUses {
    columns: Vec<Column>,
    column_of: HashMap<u32, usize>,
    /// The columns of the labels of the last series; neighbours share most names.
    last: Vec<usize>,
}

/// The uses of one label name: the value's symbol, the id of the series.
pub(super) struct Column {
    pub(super) name: u32,
    uses: Vec<(u32, u32)>,
}

impl LabelUses {
    /// Notes the labels of series `id`.
    pub(super) fn add(&mut self, labels: &[LabelNumber], id: u32) {
        for (at, label) in labels.iter().enumerate() {
            let (name, value) = label_symbols(*label);
            let known = self.last.get(at).copied();
            let column = match known.filter(|column| self.columns[*column].name == name) {
                Some(column) => column,
                None => {
                    let columns = &mut self.columns;
                    let column = *self.column_of.entry(name).or_insert_with(|| {
                        columns.push(Column { name, uses: Vec::new() });
                        columns.len() - 1
                    });
                    self.last.truncate(at);
                    self.last.push(column);
                    column
                }
            };
            push(&mut self.columns[column].uses, (value, id));
        }
    }

    /// The label names, ascending.
    pub(super) fn into_columns(mut self) -> Vec<Column> {
        self.columns.sort_unstable_by_key(|c| c.name);
        self.columns
    }
}

/// Appends, growing by a quarter: these arrays are most of the memory of a compaction.
pub(super) fn push<T>(list: &mut Vec<T>, item: T) {
    if list.len() == list.capacity() {
        list.reserve_exact((list.len() / 4).max(64));
    }
    list.push(item);
}

/// Uses of one name sorted by value, those of a value as they came: counted, then put into their
/// places.
pub(super) struct Lists {
    /// By symbol: how many uses; while they are placed, where the next one goes; 0 in between.
    places: Vec<u32>,
    /// The values there are, ascending, each with the end of its ids.
    values: Vec<(u32, u32)>,
    ids: Vec<u32>,
}

impl Lists {
    /// For values that are below `symbols`.
    pub(super) fn new(symbols: usize) -> Lists {
        Lists { places: vec![0; symbols], values: Vec::new(), ids: Vec::new() }
    }

    /// Sorts the uses of a name.
    pub(super) fn sort(&mut self, column: &Column) {
        self.sort_uses(&column.uses);
    }

    fn sort_uses(&mut self, uses: &[(u32, u32)]) {
        self.values.clear();
        for (value, _) in uses {
            let count = &mut self.places[*value as usize];
            if *count == 0 {
                self.values.push((*value, 0));
            }
            *count += 1;
        }
        self.values.sort_unstable();
        let mut end = 0;
        for (value, ends) in &mut self.values {
            let place = &mut self.places[*value as usize];
            let start = end;
            end += *place;
            *place = start;
            *ends = end;
        }
        self.ids.resize(uses.len(), 0);
        for (value, id) in uses {
            let place = &mut self.places[*value as usize];
            self.ids[*place as usize] = *id;
            *place += 1;
        }
        for (value, _) in &self.values {
            self.places[*value as usize] = 0;
        }
    }

    /// The values, ascending, with their ids.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &[u32])> {
        let starts = std::iter::once(0).chain(self.values.iter().map(|(_, end)| *end));
        self.values.iter().zip(starts).map(|((value, end), start)| {
            (*value, self.ids.get(start as usize..*end as usize).unwrap_or_default())
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn counting_sorts(columns in prop::collection::vec(prop::collection::vec(0u32..20, 0..50), 1..4)) {
            let mut lists = Lists::new(20);
            for values in columns {
                let uses: Vec<(u32, u32)> = values.into_iter().zip(7..).collect();
                lists.sort_uses(&uses);
                let mut sorted = uses;
                sorted.sort_unstable();
                let got: Vec<(u32, u32)> =
                    lists.iter().flat_map(|(v, ids)| ids.iter().map(move |id| (v, *id))).collect();
                prop_assert_eq!(got, sorted);
                prop_assert!(lists.iter().all(|(_, ids)| !ids.is_empty()));
            }
        }
    }
}
