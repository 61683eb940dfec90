//! Symbols of a block to be written: the strings of all its sources, and by which number each source
//! knows them.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use model::QueryError;

use super::write::CompactError;
use crate::index::{IndexWriteError, SymbolSet};
use crate::source::{BlockReader, SeriesId, Symbols as SymbolIter};

pub(super) struct Symbols {
    pub(super) set: SymbolSet,
    /// By source, and by the number a string has there, its number in `set`.
    pub(super) maps: Vec<Vec<u32>>,
}

impl Symbols {
    /// The strings of all sources: what a source says it has, else what its selected series have.
    pub(super) fn collect(
        sources: &[Arc<dyn BlockReader>],
        lists: &[Vec<SeriesId>],
    ) -> Result<Symbols, CompactError> {
        let mut heads = Vec::with_capacity(sources.len());
        for (at, (source, ids)) in sources.iter().zip(lists).enumerate() {
            let mut rest = match source.symbols() {
                Some(symbols) => symbols,
                None => Box::new(of_series(&**source, ids)?.into_iter().map(|s| Ok(Cow::Owned(s)))),
            };
            if let Some(symbol) = rest.next().transpose()? {
                heads.push(Head { source: at, symbol, rest });
            }
        }
        let mut set = SymbolSet::default();
        let mut maps = vec![Vec::new(); sources.len()];
        // Few sources: looking at every head costs less than keeping them in order.
        while let Some(least) = heads.iter().min_by(|a, b| a.symbol.cmp(&b.symbol)) {
            let symbol = least.symbol.clone();
            let number = set.push(&symbol).map_err(IndexWriteError::Symbol)?;
            let mut at = 0;
            while let Some(head) = heads.get_mut(at) {
                if head.symbol != symbol {
                    at += 1;
                    continue;
                }
                maps[head.source].push(number);
                match head.rest.next().transpose()? {
                    Some(next) => {
                        head.symbol = next;
                        at += 1;
                    }
                    None => drop(heads.swap_remove(at)),
                }
            }
        }
        Ok(Symbols { set, maps })
    }
}

/// The strings of one source that are left.
struct Head<'a> {
    source: usize,
    symbol: Cow<'a, str>,
    rest: SymbolIter<'a>,
}

/// The strings of some series, ascending.
pub(super) fn of_series(
    source: &dyn BlockReader,
    ids: &[SeriesId],
) -> Result<Vec<String>, QueryError> {
    // Prometheus's head has it from the name and value of its list of all series.
    let mut found: HashSet<String> = HashSet::from([String::new()]);
    for id in ids {
        for (name, value) in source.labels(*id)?.iter() {
            for text in [name, value] {
                if !found.contains(text) {
                    found.insert(text.to_owned());
                }
            }
        }
    }
    let mut symbols: Vec<String> = found.into_iter().collect();
    symbols.sort_unstable();
    Ok(symbols)
}
