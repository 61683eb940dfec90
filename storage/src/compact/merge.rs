//! SeriesMerge: the series of several sources in label order, for a block that is written.
//!
//! Labels are numbers of the new block's symbols, so comparing them compares integers, and no string
//! is looked at as long as sources number their labels themselves.

use std::sync::Arc;

use model::{CancelToken, Labels, QueryError, TimeRange};

use super::write::CompactError;
use crate::chunkfile::Run;
use crate::index::{ChunkMeta, LabelNumber, Numberer, SymbolSet, label_number, label_symbols};
use crate::read::MinHeap;
use crate::source::{BlockReader, SeriesId, SourceChunk, StoredSeries};

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

/// A part whose chunks can be copied as they lie in their segment.
pub(super) struct StoredPart<'m> {
    pub(super) chunks: &'m [ChunkMeta],
    pub(super) run: Run,
    /// Their entries.
    pub(super) entries: &'m [u8],
}

impl<'a> Series<'_, 'a> {
    pub(super) fn labels(&self) -> &[LabelNumber] {
        self.equal.first().map_or(&[], |first| &self.cursors[*first].labels)
    }

    /// Number of sources that have it.
    pub(super) fn parts(&self) -> usize {
        self.equal.len()
    }

    /// All parts, the earlier first, if their chunks can be copied and lie one behind the other in
    /// time; else `None`, and [`get_chunks`](Self::get_chunks) is next.
    pub(super) fn stored(&mut self) -> Option<impl Iterator<Item = StoredPart<'_>> + Clone> {
        if self.equal.iter().any(|at| self.cursors[*at].run.is_none()) {
            return None;
        }
        let ranges = |at: &usize| self.cursors[*at].metas.iter().map(|meta| meta.range);
        if !in_turn(self.equal, self.in_turn, ranges) {
            return None;
        }
        Some(self.in_turn.iter().map(|at| {
            let cursor = &self.cursors[*at];
            StoredPart {
                chunks: &cursor.metas,
                run: cursor.run.unwrap_or_default(),
                entries: cursor.stored.as_ref().map_or(&[], |stored| stored.entries()),
            }
        }))
    }

    /// Gets the chunks of parts that have them as runs only.
    pub(super) fn get_chunks(&mut self) -> Result<(), CompactError> {
        self.equal.iter().try_for_each(|at| self.cursors[*at].get_chunks())
    }

    /// Hands the chunks of each part to `with`, the earlier part first, when all chunks then lie one
    /// behind the other in time; else says `false`.
    pub(super) fn each_in_turn(
        &mut self,
        mut with: impl FnMut(&[SourceChunk<'a>]) -> Result<(), CompactError>,
    ) -> Result<bool, CompactError> {
        let ranges = |at: &usize| self.cursors[*at].chunks.iter().map(SourceChunk::range);
        if !in_turn(self.equal, self.in_turn, ranges) {
            return Ok(false);
        }
        self.in_turn.iter().try_for_each(|at| with(&self.cursors[*at].chunks))?;
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

/// Puts `parts` into the order of their first chunks' times; whether all chunks then lie one behind
/// the other. `ranges` gives those of a part.
fn in_turn<I: Iterator<Item = TimeRange>>(
    parts: &[usize],
    in_turn: &mut Vec<usize>,
    ranges: impl Fn(&usize) -> I,
) -> bool {
    in_turn.clear();
    in_turn.extend_from_slice(parts);
    if parts.len() == 1 {
        return true;
    }
    in_turn.sort_by_key(|at| ranges(at).next().map(|first| first.min));
    in_turn.iter().flat_map(ranges).is_sorted_by(|a, b| a.max < b.min)
}

impl<'a> SeriesMerge<'a> {
    /// `lists` are the series of each source in label order, `maps` its strings by their numbers;
    /// chunks outside `range` are left out. `copy`: chunks may be copied without a look at each.
    pub(super) fn new(
        sources: &'a [Arc<dyn BlockReader>],
        lists: Vec<Vec<SeriesId>>,
        maps: &'a [Vec<u32>],
        range: TimeRange,
        copy: bool,
    ) -> SeriesMerge<'a> {
        let cursors: Vec<Cursor<'a>> = sources
            .iter()
            .zip(lists)
            .zip(maps)
            .map(|((source, ids), map)| Cursor::new(&**source, ids, map, range, copy))
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
    /// Reads its series where they may be copied.
    stored: Option<Box<dyn StoredSeries + 'a>>,
    ids: std::vec::IntoIter<SeriesId>,
    map: &'a [u32],
    range: TimeRange,
    /// The series at hand.
    id: SeriesId,
    labels: Vec<LabelNumber>,
    /// Its chunks, when they are a run.
    run: Option<Run>,
    metas: Vec<ChunkMeta>,
    /// Its chunks, when not.
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
        copy: bool,
    ) -> Cursor<'a> {
        Cursor {
            source,
            stored: if copy { source.stored_series() } else { None },
            ids: ids.into_iter(),
            map,
            range,
            id: 0,
            labels: Vec::new(),
            run: None,
            metas: Vec::new(),
            chunks: Vec::new(),
            batch: Vec::new(),
            numberer: Numberer::default(),
        }
    }

    /// Gets the next series; `false` when there is none.
    fn load(&mut self, symbols: &SymbolSet) -> Result<bool, CompactError> {
        let Some(id) = self.ids.next() else { return Ok(false) };
        self.id = id;
        self.labels.clear();
        self.metas.clear();
        self.chunks.clear();
        self.run = None;
        let labels = if let Some(stored) = &mut self.stored {
            self.run = stored.next(id, self.range, &mut self.labels, &mut self.metas)?;
            if self.renumber(symbols) {
                return Ok(true);
            }
            self.source.labels(id)?
        } else {
            self.next_labels(id)?
        };
        self.labels.clear();
        self.labels.extend_from_slice(self.numberer.number(symbols, &labels)?);
        Ok(true)
    }

    fn get_chunks(&mut self) -> Result<(), CompactError> {
        Ok(self.source.stored_chunks(self.id, self.range, &mut self.chunks)?)
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
