//! Signatures: what two series must share to match in a binary operation.

use model::labels::{LabelMap, METRIC_NAME};

use super::source::Source;
use crate::parser::ast::VectorMatching;

/// Numbers signatures from 0 in order of appearance.
pub(crate) struct Signatures<'a> {
    matching: &'a VectorMatching,
    known: LabelMap<Vec<u8>, u32>,
}

impl<'a> Signatures<'a> {
    /// Signatures by the rules of `matching`.
    pub(crate) fn new(matching: &'a VectorMatching) -> Signatures<'a> {
        Signatures { matching, known: LabelMap::default() }
    }

    /// The signature of every series of `source`.
    pub(crate) fn of(&mut self, source: &dyn Source) -> Vec<u32> {
        let mut key = Vec::new();
        (0..source.len())
            .map(|i| {
                self.write(source, i, &mut key);
                match self.known.get(&key) {
                    Some(n) => *n,
                    None => {
                        let n = self.known.len() as u32;
                        self.known.insert(key.clone(), n);
                        n
                    }
                }
            })
            .collect()
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.known.len()
    }

    fn write(&self, source: &dyn Source, i: usize, key: &mut Vec<u8>) {
        key.clear();
        let names = &self.matching.labels;
        // 0xff never occurs in UTF-8.
        if self.matching.on {
            for name in names {
                source.label_value(i, name, &mut |v| key.extend_from_slice(v.as_bytes()));
                key.push(0xff);
            }
            return;
        }
        for (name, span) in source.labels(i).spans() {
            if name != METRIC_NAME && !names.iter().any(|n| n == name) {
                key.extend_from_slice(span);
            }
        }
    }
}
