//! MergeQuerier: one consistent view over blocks and head.

use std::sync::Arc;

use model::{CancelToken, Labels, Matcher, Querier, QueryError, SelectHints, Selection, TimeRange};

use super::heap::MinHeap;
use super::selection::{MergedSelection, Part, SourceSelection};
use crate::source::{BlockReader, SeriesId, SeriesIds};

/// Series merged between two questions whether to stop.
const CANCEL_EVERY: usize = 256;
/// Label sets asked for at a time.
const BATCH: usize = 128;

/// Reads several sources as one store. The sources and what they show do not change as long as it
/// is held.
pub struct MergeQuerier {
    sources: Vec<Arc<dyn BlockReader>>,
    range: TimeRange,
    /// Floats that have to be encoded anew for `chunks` become XOR2.
    xor2: bool,
}

/// A source and the series found in it.
type Found<'a> = (&'a Arc<dyn BlockReader>, SeriesIds);

impl MergeQuerier {
    /// A view of the samples inside `range`. Sources whose range does not overlap it are left out;
    /// the order of the others (Prometheus has the head first, then blocks by time) decides which of
    /// equal times wins.
    pub fn new(
        sources: impl IntoIterator<Item = Arc<dyn BlockReader>>,
        range: TimeRange,
        xor2: bool,
    ) -> MergeQuerier {
        let sources = sources.into_iter().filter(|s| s.range().overlaps(range)).collect();
        MergeQuerier { sources, range, xor2 }
    }

    /// The sources with series that satisfy the matchers and have data in `range`.
    fn found(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        cancel: &CancelToken,
    ) -> Result<Vec<Found<'_>>, QueryError> {
        let mut found = Vec::new();
        let mut unseen = false;
        for source in &self.sources {
            let mut ids = source.postings(matchers, cancel)?;
            // Whoever merges looks at the labels of every series, and so at its entry, anyway.
            let lies_in = source.lies_in(range);
            if !lies_in {
                source.retain_in_range(&mut ids, range)?;
            }
            if !ids.is_empty() {
                found.push((source, ids));
                unseen = lies_in;
            }
        }
        if unseen && let [(source, ids)] = found.as_mut_slice() {
            source.retain_in_range(ids, range)?;
        }
        Ok(found)
    }
}

fn check(cancel: &CancelToken) -> Result<(), QueryError> {
    cancel.reason().map_or(Ok(()), |reason| Err(QueryError::Cancelled(reason)))
}

impl Querier for MergeQuerier {
    /// Series with data inside the hints' `start..=end` (the view's range when both are 0), at most
    /// `hints.limit`.
    fn select(
        &self,
        matchers: &[Matcher],
        hints: &SelectHints,
        cancel: &CancelToken,
    ) -> Result<Arc<dyn Selection>, QueryError> {
        let range = if hints.start == 0 && hints.end == 0 {
            self.range
        } else {
            TimeRange { min: hints.start, max: hints.end }
        };
        let limit = if hints.limit == 0 { usize::MAX } else { hints.limit };
        let mut found = self.found(matchers, range, cancel)?;
        match found.as_mut_slice() {
            [] => Ok(Arc::new(MergedSelection::default())),
            // Alone in the view, a source keeps its order; so does one that has label order.
            [(source, ids)] if self.sources.len() == 1 || source.label_ordered() => {
                source.arrange(ids);
                if ids.len() > limit {
                    Arc::make_mut(ids).truncate(limit);
                }
                let newest = if hints.newest { source.newest(ids, range) } else { Vec::new() };
                Ok(Arc::new(SourceSelection::new(source.clone(), std::mem::take(ids), newest)))
            }
            _ => self.merge(found, limit, cancel),
        }
    }

    fn label_names(&self, matchers: &[Matcher], limit: usize) -> Result<Vec<String>, QueryError> {
        self.strings(limit, |source| source.label_names(matchers))
    }

    fn label_values(
        &self,
        name: &str,
        matchers: &[Matcher],
        limit: usize,
    ) -> Result<Vec<String>, QueryError> {
        self.strings(limit, |source| source.label_values(name, matchers))
    }
}

impl MergeQuerier {
    fn strings(
        &self,
        limit: usize,
        ask: impl Fn(&dyn BlockReader) -> Result<Vec<String>, QueryError>,
    ) -> Result<Vec<String>, QueryError> {
        let mut all = Vec::new();
        for source in self.sources.iter().filter(|s| s.names_range().overlaps(self.range)) {
            let more = ask(&**source)?;
            if all.is_empty() {
                all = more;
            } else if !more.is_empty() {
                all.extend(more);
                all.sort();
                all.dedup();
            }
        }
        if limit != 0 {
            all.truncate(limit);
        }
        Ok(all)
    }

    fn merge(
        &self,
        found: Vec<Found<'_>>,
        limit: usize,
        cancel: &CancelToken,
    ) -> Result<Arc<dyn Selection>, QueryError> {
        let sources: Vec<_> = found.iter().map(|(source, _)| (*source).clone()).collect();
        let mut selection = MergedSelection::new(sources.clone(), self.xor2);
        let disjoint = selection.is_disjoint();
        // Those still to be sorted are not looked for
        // among twins.
        let (mut lists, mut unsorted) = (Vec::with_capacity(found.len()), Vec::new());
        for (at, (source, ids)) in found.into_iter().enumerate() {
            let ids = Arc::unwrap_or_clone(ids);
            match source.label_ordered() {
                true => lists.push(ids),
                false => {
                    lists.push(Vec::new());
                    unsorted.push((at, ids));
                }
            }
        }
        let sort = || -> Result<Vec<_>, QueryError> {
            let sorted = unsorted
                .into_iter()
                .map(|(at, ids)| Ok((at, sources[at].sort_by_labels(ids, cancel)?)));
            sorted.collect()
        };
        let find = || if disjoint { Twins::find(&sources, &mut lists) } else { Twins::default() };
        let (sorted, twins) = side_by_side(sort, find);
        for (at, ids) in sorted? {
            lists[at] = ids;
        }
        let mut whole = Vec::new();
        let mut seen = vec![0; sources.len()];
        merge_series(&sources, lists, cancel, |_, parts| {
            whole.clear();
            for part in parts {
                whole.push(*part);
                twins.add(part.source, seen[part.source as usize], &mut whole);
                seen[part.source as usize] += 1;
            }
            selection.push(&whole);
            Ok::<bool, QueryError>(selection.series() < limit)
        })?;
        Ok(Arc::new(selection))
    }
}

/// Does both, on two threads where this is one of a pool: storage has none of its own to ask with.
fn side_by_side<A: Send, B: Send>(
    a: impl FnOnce() -> A + Send,
    b: impl FnOnce() -> B + Send,
) -> (A, B) {
    match rayon::current_thread_index() {
        Some(_) => rayon::join(a, b),
        None => (a(), b()),
    }
}

/// Sources found to have the same series in the same order as another one, as blocks cut from one
/// head do: their labels need not be looked at. Of no use where the order of parts matters.
#[derive(Default)]
struct Twins {
    /// The other one's number, the source's own number, its ids.
    lists: Vec<(u32, u32, Vec<SeriesId>)>,
}

impl Twins {
    /// Takes the lists of twins out of `lists`.
    fn find(sources: &[Arc<dyn BlockReader>], lists: &mut [Vec<SeriesId>]) -> Twins {
        let mut twins = Twins::default();
        // The label bytes of sources that others were compared with; `None` of such as have none.
        let mut bytes: Vec<Option<Vec<&[u8]>>> = Vec::new();
        for at in 1..sources.len() {
            let source = &*sources[at];
            let like = |other: &usize| {
                let first = &*sources[*other];
                let symbols = first.symbol_bytes();
                if lists[*other].len() != lists[at].len()
                    || symbols.is_none()
                    || symbols != source.symbol_bytes()
                {
                    return false;
                }
                while bytes.len() <= *other {
                    let (first, ids) = (&*sources[bytes.len()], &lists[bytes.len()]);
                    bytes.push(ids.iter().map(|id| first.label_bytes(*id)).collect());
                }
                bytes[*other].as_ref().is_some_and(|all| {
                    lists[at].iter().zip(all).all(|(id, bytes)| source.has_label_bytes(*id, bytes))
                })
            };
            if let Some(other) = (0..at).find(like) {
                let ids = std::mem::take(&mut lists[at]);
                twins.lists.push((other as u32, at as u32, ids));
            }
        }
        twins
    }

    /// Adds what the twins of a source have in place `at`.
    fn add(&self, source: u32, at: usize, parts: &mut Vec<Part>) {
        for (_, twin, ids) in self.lists.iter().filter(|(other, ..)| *other == source) {
            parts.extend(ids.get(at).map(|id| Part { source: *twin, id: *id }));
        }
    }
}

/// Ids of a source in order of their labels.
pub(crate) fn in_label_order(
    source: &dyn BlockReader,
    ids: Vec<SeriesId>,
    cancel: &CancelToken,
) -> Result<Vec<SeriesId>, QueryError> {
    if source.label_ordered() {
        return Ok(ids);
    }
    source.sort_by_labels(ids, cancel)
}

/// The series of one source that are left; the labels of the next few are at hand.
struct Cursor {
    source: usize,
    ids: Vec<SeriesId>,
    next: usize,
    /// Labels of the ids from `from` on.
    batch: Vec<Labels>,
    from: usize,
    /// Labels of the next series.
    labels: Labels,
}

impl Cursor {
    fn new(source: usize, ids: Vec<SeriesId>) -> Cursor {
        let (batch, labels) = (Vec::new(), Labels::empty());
        Cursor { source, ids, next: 0, batch, from: 0, labels }
    }

    fn part(&self) -> Part {
        Part { source: self.source as u32, id: self.ids[self.next] }
    }

    /// Gets the labels of series number `next`; `false` when there is none.
    fn load(&mut self, source: &dyn BlockReader, next: usize) -> Result<bool, QueryError> {
        self.next = next;
        if next >= self.ids.len() {
            return Ok(false);
        }
        if next - self.from >= self.batch.len() {
            self.from = next;
            self.batch.clear();
            let end = self.ids.len().min(next + BATCH);
            source.labels_of(&self.ids[next..end], &mut self.batch)?;
        }
        match self.batch.get_mut(next - self.from) {
            Some(labels) => self.labels = std::mem::take(labels),
            None => return Ok(false),
        }
        Ok(true)
    }
}

/// Visits the distinct label sets of several sources in order, each with the parts that have it in
/// the order Prometheus merges them; `visit` says whether to go on. `lists` are in label order.
pub(crate) fn merge_series<E: From<QueryError>>(
    sources: &[Arc<dyn BlockReader>],
    lists: Vec<Vec<SeriesId>>,
    cancel: &CancelToken,
    mut visit: impl FnMut(&Labels, &[Part]) -> Result<bool, E>,
) -> Result<(), E> {
    // Equal labels are the common case, and equal bytes are quickly seen.
    let less = |a: &Cursor, b: &Cursor| a.labels != b.labels && a.labels < b.labels;
    let mut heap = MinHeap::new();
    for (source, ids) in lists.into_iter().enumerate() {
        let mut cursor = Cursor::new(source, ids);
        if cursor.load(&*sources[source], 0)? {
            heap.push(cursor, less);
        }
    }
    let mut equal: Vec<Cursor> = Vec::new();
    let mut parts: Vec<Part> = Vec::new();
    let mut n = 0;
    while let Some(first) = heap.pop(less) {
        n += 1;
        if n % CANCEL_EVERY == 0 {
            check(cancel)?;
        }
        let labels = first.labels.clone();
        equal.push(first);
        while heap.peek().is_some_and(|c| c.labels == labels) {
            equal.extend(heap.pop(less));
        }
        parts.clear();
        parts.extend(equal.iter().map(Cursor::part));
        if !visit(&labels, &parts)? {
            return Ok(());
        }
        for mut cursor in equal.drain(..) {
            let next = cursor.next + 1;
            if cursor.load(&*sources[cursor.source], next)? {
                heap.push(cursor, less);
            }
        }
    }
    Ok(())
}
