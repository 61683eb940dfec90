//! Selections: the series a select found, of one source or merged from several.

use std::sync::Arc;

use model::{Columns, EncodedChunk, Labels, Newest, QueryError, Selection, TimeRange};

use super::chunk_merge::merge_chunks;
use super::sample_merge::{forget_reset, merge_samples};
use crate::source::{BlockReader, SeriesId, SeriesIds};

/// Series of one source, in its order.
pub(super) struct SourceSelection {
    source: Arc<dyn BlockReader>,
    ids: SeriesIds,
    newest: Vec<Newest>,
}

impl SourceSelection {
    pub(super) fn new(
        source: Arc<dyn BlockReader>,
        ids: SeriesIds,
        newest: Vec<Newest>,
    ) -> SourceSelection {
        SourceSelection { source, ids, newest }
    }

    fn id(&self, i: usize) -> Option<SeriesId> {
        self.ids.get(i).copied()
    }
}

impl Selection for SourceSelection {
    fn len(&self) -> usize {
        self.ids.len()
    }

    fn labels(&self, i: usize) -> Labels {
        // A series whose labels were readable when it was selected keeps them.
        self.id(i).and_then(|id| self.source.labels(id).ok()).unwrap_or_default()
    }

    fn label_value(&self, i: usize, name: &str, with: &mut dyn FnMut(&str)) {
        let read = self.id(i).map(|id| self.source.label_value(id, name, with));
        if !matches!(read, Some(Ok(()))) {
            with("");
        }
    }

    fn label_ids(&self, name: &str, out: &mut Vec<u64>) -> bool {
        let mut found = Vec::with_capacity(self.ids.len());
        let known = self.source.label_ids(&self.ids, name, &mut found);
        out.extend(found.into_iter().map(u64::from));
        known
    }

    fn read(&self, i: usize, range: TimeRange, out: &mut Columns) -> Result<(), QueryError> {
        self.id(i).map_or(Ok(()), |id| self.source.read(id, range, out))
    }

    fn read_last(&self, i: usize, range: TimeRange, out: &mut Columns) -> Result<(), QueryError> {
        self.id(i).map_or(Ok(()), |id| self.source.read_last(id, range, out))
    }

    fn newest(&self) -> &[Newest] {
        &self.newest
    }

    fn chunks(&self, i: usize, range: TimeRange) -> Result<Vec<EncodedChunk>, QueryError> {
        self.id(i).map_or(Ok(Vec::new()), |id| self.source.chunks(id, range))
    }
}

/// One source's share of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// Position among the sources.
    pub(crate) source: u32,
    pub(crate) id: SeriesId,
}

/// Series of several sources, in label order.
#[derive(Default)]
pub(super) struct MergedSelection {
    sources: Vec<Arc<dyn BlockReader>>,
    /// What the sources' ranges were: that of a head may grow, what it shows does not.
    ranges: Vec<TimeRange>,
    parts: Vec<Part>,
    /// End of each series' parts.
    ends: Vec<u32>,
    /// Whether no two sources share a millisecond: then nothing has to be merged.
    disjoint: bool,
    xor2: bool,
}

impl MergedSelection {
    pub(super) fn new(sources: Vec<Arc<dyn BlockReader>>, xor2: bool) -> MergedSelection {
        let ranges: Vec<TimeRange> = sources.iter().map(|s| s.range()).collect();
        let mut sorted = ranges.clone();
        sorted.sort_by_key(|r| r.min);
        // Against the latest end so far: a damaged meta file may say that a block ends before it begins.
        let mut end = None;
        let disjoint = sorted.iter().all(|r| {
            let behind = end.is_none_or(|end| r.min > end);
            end = end.max(Some(r.max));
            behind
        });
        MergedSelection { sources, ranges, parts: Vec::new(), ends: Vec::new(), disjoint, xor2 }
    }

    /// Adds a series. Its parts stay in the order they are given, unless no two can overlap.
    pub(super) fn push(&mut self, parts: &[Part]) {
        let start = self.parts.len();
        self.parts.extend_from_slice(parts);
        if self.disjoint {
            let ranges = &self.ranges;
            self.parts[start..].sort_by_key(|p| ranges[p.source as usize].min);
        }
        self.ends.push(self.parts.len() as u32);
    }

    /// Whether no two sources share a millisecond.
    pub(super) fn is_disjoint(&self) -> bool {
        self.disjoint
    }

    /// Number of series so far.
    pub(super) fn series(&self) -> usize {
        self.ends.len()
    }

    fn parts(&self, i: usize) -> &[Part] {
        let Some(end) = self.ends.get(i) else { return &[] };
        let start = i.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.parts[start as usize..*end as usize]
    }

    fn source(&self, part: Part) -> &dyn BlockReader {
        &*self.sources[part.source as usize]
    }

    fn first(&self, i: usize) -> Option<(&dyn BlockReader, SeriesId)> {
        self.parts(i).first().map(|part| (self.source(*part), part.id))
    }

    /// Parts that cannot overlap go one after the other.
    fn read_in_turn(
        &self,
        parts: &[Part],
        range: TimeRange,
        out: &mut Columns,
    ) -> Result<(), QueryError> {
        for part in parts {
            // Nothing outside a source's own range is asked for, so times ascend whatever is stored.
            let own = self.ranges[part.source as usize];
            let range = TimeRange { min: range.min.max(own.min), max: range.max.min(own.max) };
            if range.min <= range.max {
                let start = out.len();
                self.source(*part).read(part.id, range, out)?;
                forget_reset(out, start);
            }
        }
        Ok(())
    }

    fn read_and_merge(
        &self,
        parts: &[Part],
        range: TimeRange,
        out: &mut Columns,
    ) -> Result<(), QueryError> {
        let mut columns = Vec::with_capacity(parts.len());
        for part in parts {
            let mut one = Columns::default();
            if self.ranges[part.source as usize].overlaps(range) {
                self.source(*part).read(part.id, range, &mut one)?;
            }
            columns.push(one);
        }
        merge_samples(columns, out);
        Ok(())
    }
}

impl Selection for MergedSelection {
    fn len(&self) -> usize {
        self.ends.len()
    }

    fn labels(&self, i: usize) -> Labels {
        self.first(i).and_then(|(source, id)| source.labels(id).ok()).unwrap_or_default()
    }

    fn label_value(&self, i: usize, name: &str, with: &mut dyn FnMut(&str)) {
        let read = self.first(i).map(|(source, id)| source.label_value(id, name, with));
        if !matches!(read, Some(Ok(()))) {
            with("");
        }
    }

    fn label_ids(&self, name: &str, out: &mut Vec<u64>) -> bool {
        let before = out.len();
        let firsts: Vec<Part> =
            (0..self.len()).filter_map(|i| self.parts(i).first().copied()).collect();
        let (mut ids, mut found) = (Vec::new(), Vec::new());
        for run in firsts.chunk_by(|a, b| a.source == b.source) {
            ids.clear();
            ids.extend(run.iter().map(|part| part.id));
            found.clear();
            if !self.source(run[0]).label_ids(&ids, name, &mut found) {
                out.truncate(before);
                return false;
            }
            // Numbers of different sources have nothing in common.
            let source = u64::from(run[0].source) << 32;
            out.extend(found.iter().map(|id| source | u64::from(*id)));
        }
        true
    }

    fn read(&self, i: usize, range: TimeRange, out: &mut Columns) -> Result<(), QueryError> {
        match self.parts(i) {
            [part] => self.source(*part).read(part.id, range, out),
            parts if self.disjoint => self.read_in_turn(parts, range, out),
            parts => self.read_and_merge(parts, range, out),
        }
    }

    fn read_last(&self, i: usize, range: TimeRange, out: &mut Columns) -> Result<(), QueryError> {
        match self.parts(i) {
            [part] => self.source(*part).read_last(part.id, range, out),
            parts if self.disjoint => {
                let start = out.len();
                for part in parts.iter().rev() {
                    let own = self.ranges[part.source as usize];
                    let inside =
                        TimeRange { min: range.min.max(own.min), max: range.max.min(own.max) };
                    if inside.min <= inside.max && out.len() == start {
                        self.source(*part).read_last(part.id, inside, out)?;
                    }
                }
                Ok(())
            }
            parts => self.read_and_merge(parts, range, out),
        }
    }

    fn chunks(&self, i: usize, range: TimeRange) -> Result<Vec<EncodedChunk>, QueryError> {
        match self.parts(i) {
            [part] => self.source(*part).chunks(part.id, range),
            parts => {
                let lists: Result<Vec<_>, QueryError> =
                    parts.iter().map(|p| self.source(*p).chunks(p.id, range)).collect();
                merge_chunks(lists?, self.xor2)
            }
        }
    }
}
