//! SeriesMerge: the series of several sources in label order, for a block that is written.
//!
//! Labels are numbers of the new block's symbols, so comparing them compares integers, and no string
//! is looked at as long as sources number their labels themselves.

use std::sync::Arc;

use model::{CancelToken, Labels, QueryError, TimeRange};

use super::write::CompactError;
use crate::index::{LabelNumber, Numberer, SymbolSet, label_number, label_symbols};
use crate::read::MinHeap;
use crate::source::{BlockReader, SeriesId, SourceChunk};

/// Series merged between two questions whether to stop.
const CANCEL_EVERY: usize = 256;
/// Label sets asked for at a time.
const BATCH: usize = 128;

pub(super) struct SeriesMerge<'a> {
    cursors: Vec<Cursor<'a>>,
    /// Cursors (by position) that have a series; Prometheus's order among equal ones.
    heap: MinHeap<usize>,
    /// Those of the series given last.
    equal: Vec<usize>,
    /// The same in the order of their first chunks' times.
    in_turn: Vec<usize>,
    given: usize,
}

/// One series: labels and the chunks of its parts, in the order Prometheus merges them.
pub(super) struct Series<'m, 'a> {
    cursors: &'m mut [Cursor<'a>],
    equal: &'m [usize],
    in_turn: &'m mut Vec<usize>,
}

impl<'a> Series<'_, 'a> {
    pub(super) fn labels(&self) -> &[LabelNumber] {
        self.equal.first().map_or(&[], |first| &self.cursors[*first].labels)
    }

    /// Number of sources that have it.
    pub(super) fn parts(&self) -> usize {
        self.equal.len()
    }

    /// Hands the chunks of each part to `with`, the earlier part first, when all chunks then lie one
    /// behind the other in time; else says `false`.
    pub(super) fn each_in_turn(
        &mut self,
        mut with: impl FnMut(&[SourceChunk<'a>]) -> Result<(), CompactError>,
    ) -> Result<bool, CompactError> {
        let chunks = |at: &usize| &self.cursors[*at].chunks;
        self.in_turn.clear();
        self.in_turn.extend_from_slice(self.equal);
        if self.equal.len() > 1 {
            self.in_turn.sort_by_key(|at| chunks(at).first().map(|first| first.range().min));
            let mut all = self.in_turn.iter().flat_map(chunks);
            if !all.by_ref().is_sorted_by(|a, b| a.range().max < b.range().min) {
                return Ok(false);
            }
        }
        self.in_turn.iter().try_for_each(|at| with(chunks(at)))?;
        Ok(true)
    }

    /// Hands the chunks of each part to `with`.
    pub(super) fn each_part(
        &mut self,
        mut with: impl FnMut(&mut Vec<SourceChunk<'a>>) -> Result<(), CompactError>,
    ) -> Result<(), CompactError> {
        self.equal.iter().try_for_each(|at| with(&mut self.cursors[*at].chunks))
    }
}

impl<'a> SeriesMerge<'a> {
    /// `lists` are the series of each source in label order, `maps` its strings by their numbers;
    /// chunks outside `range` are left out.
    pub(super) fn new(
        sources: &'a [Arc<dyn BlockReader>],
        lists: Vec<Vec<SeriesId>>,
        maps: &'a [Vec<u32>],
        range: TimeRange,
    ) -> SeriesMerge<'a> {
        let cursors: Vec<Cursor<'a>> = sources
            .iter()
            .zip(lists)
            .zip(maps)
            .map(|((source, ids), map)| Cursor::new(&**source, ids, map, range))
            .collect();
        // All are to be loaded before the first series.
        let equal = (0..cursors.len()).collect();
        SeriesMerge { cursors, heap: MinHeap::new(), equal, in_turn: Vec::new(), given: 0 }
    }

    /// The next series; `symbols` are those of the new block.
    pub(super) fn next(
        &mut self,
        symbols: &SymbolSet,
        cancel: &CancelToken,
    ) -> Result<Option<Series<'_, 'a>>, CompactError> {
        let cursors = &mut self.cursors;
        for at in self.equal.drain(..) {
            if cursors[at].load(symbols)? {
                self.heap.push(at, |a, b| cursors[*a].labels < cursors[*b].labels);
            }
        }
        self.given += 1;
        if self.given.is_multiple_of(CANCEL_EVERY)
            && let Some(reason) = cancel.reason()
        {
            return Err(QueryError::Cancelled(reason).into());
        }
        let less = |a: &usize, b: &usize| cursors[*a].labels < cursors[*b].labels;
        let Some(first) = self.heap.pop(less) else { return Ok(None) };
        self.equal.push(first);
        while self.heap.peek().is_some_and(|at| cursors[*at].labels == cursors[first].labels) {
            self.equal.extend(self.heap.pop(less));
        }
        Ok(Some(Series { cursors, equal: &self.equal, in_turn: &mut self.in_turn }))
    }
}

/// The series of one source that are left; the next one is at hand.
struct Cursor<'a> {
    source: &'a dyn BlockReader,
    ids: std::vec::IntoIter<SeriesId>,
    map: &'a [u32],
    range: TimeRange,
    /// Of the series at hand.
    labels: Vec<LabelNumber>,
    chunks: Vec<SourceChunk<'a>>,
    /// Labels of the next series of a source that does not number them, the last one first.
    batch: Vec<Labels>,
    numberer: Numberer,
}

impl<'a> Cursor<'a> {
    fn new(
        source: &'a dyn BlockReader,
        ids: Vec<SeriesId>,
        map: &'a [u32],
        range: TimeRange,
    ) -> Cursor<'a> {
        Cursor {
            source,
            ids: ids.into_iter(),
            map,
            range,
            labels: Vec::new(),
            chunks: Vec::new(),
            batch: Vec::new(),
            numberer: Numberer::default(),
        }
    }

    /// Gets the next series; `false` when there is none.
    fn load(&mut self, symbols: &SymbolSet) -> Result<bool, CompactError> {
        let Some(id) = self.ids.next() else { return Ok(false) };
        self.labels.clear();
        self.chunks.clear();
        let (labels, chunks) = (&mut self.labels, &mut self.chunks);
        let labels = if self.source.numbered_series(id, self.range, labels, chunks)? {
            if self.renumber(symbols) {
                return Ok(true);
            }
            self.source.labels(id)?
        } else {
            self.source.stored_chunks(id, self.range, &mut self.chunks)?;
            self.next_labels(id)?
        };
        self.labels.clear();
        self.labels.extend_from_slice(self.numberer.number(symbols, &labels)?);
        Ok(true)
    }

    /// Numbers the labels as the new block does; `false` when they are not a label set as a store
    /// writes it.
    fn renumber(&mut self, symbols: &SymbolSet) -> bool {
        let mut last = None;
        for label in &mut self.labels {
            let (name, value) = label_symbols(*label);
            let known = |symbol: u32| self.map.get(symbol as usize).copied();
            let (Some(name), Some(value)) = (known(name), known(value)) else { return false };
            let ascending = last.is_none_or(|last| last < name);
            // Symbols are sorted: only the first can be the empty string.
            if !ascending || (value == 0 && symbols.get(value).is_empty()) {
                return false;
            }
            last = Some(name);
            *label = label_number(name, value);
        }
        true
    }

    fn next_labels(&mut self, id: SeriesId) -> Result<Labels, QueryError> {
        if self.batch.is_empty() {
            let mut ids = Vec::with_capacity(BATCH);
            ids.push(id);
            ids.extend(self.ids.as_slice().iter().take(BATCH - 1));
            self.source.labels_of(&ids, &mut self.batch)?;
            self.batch.reverse();
        }
        self.batch.pop().map_or_else(|| self.source.labels(id), Ok)
    }
}
