//! Labels as numbers: what a label set is to an index, and to whoever writes one. Symbols are sorted,
//! so numbered label sets compare as the strings do.

use model::Labels;
use model::number::go_quote;

use super::symbols::SymbolSet;
use super::writer::IndexWriteError;

/// A label: the number of its name's symbol in the upper half, of its value's in the lower.
pub type LabelNumber = u64;

/// The label of these symbols.
#[inline]
pub fn label_number(name: u32, value: u32) -> LabelNumber {
    u64::from(name) << 32 | u64::from(value)
}

/// The symbols of a label: name, value.
#[inline]
pub fn label_symbols(label: LabelNumber) -> (u32, u32) {
    ((label >> 32) as u32, label as u32)
}

/// Numbers label sets one after the other; neighbours have most labels in common, which are not
/// looked up again.
#[derive(Default)]
pub struct Numberer {
    last: Labels,
    /// Of `last`.
    numbers: Vec<LabelNumber>,
    next: Vec<LabelNumber>,
}

impl Numberer {
    /// The labels by their numbers in `symbols`, which has to have all of them.
    pub fn number(
        &mut self,
        symbols: &SymbolSet,
        labels: &Labels,
    ) -> Result<&[LabelNumber], IndexWriteError> {
        self.next.clear();
        let mut before = self.last.iter().zip(&self.numbers);
        for (name, value) in labels.iter() {
            let (same_name, same) = match before.next() {
                Some(((n, v), number)) if n == name => (Some(*number), v == value),
                _ => (None, false),
            };
            self.next.push(match same_name {
                Some(number) if same => number,
                Some(number) => label_number(label_symbols(number).0, find(symbols, value)?),
                None => label_number(find(symbols, name)?, find(symbols, value)?),
            });
        }
        self.last = labels.clone();
        std::mem::swap(&mut self.numbers, &mut self.next);
        Ok(&self.numbers)
    }
}

fn find(symbols: &SymbolSet, text: &str) -> Result<u32, IndexWriteError> {
    symbols.find(text).ok_or_else(|| {
        IndexWriteError::Invalid(format!("symbol entry for {} does not exist", go_quote(text)))
    })
}
