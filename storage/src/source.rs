//! BlockReader: what reads and compaction see of a block or of the head, which never meet.

use std::borrow::Cow;
use std::sync::Arc;

use model::{CancelToken, Columns, EncodedChunk, Labels, Matcher, Newest, QueryError, TimeRange};

use crate::chunkfile::{Run, StoredChunk};
use crate::index::{ChunkMeta, LabelNumber};

/// Names a series inside one source. For a block it is the entry's offset in the index divided by
/// 16, for the head its slot; both fit posting lists.
pub type SeriesId = u32;

/// Ids that may be shared with a source that remembers them.
pub type SeriesIds = Arc<Vec<SeriesId>>;

/// The distinct strings of a source's labels, ascending.
pub type Symbols<'a> = Box<dyn Iterator<Item = Result<Cow<'a, str>, QueryError>> + 'a>;

/// A chunk for compaction.
#[derive(Clone)]
pub enum SourceChunk<'a> {
    /// As it lies in a mapped segment. Its checksum was right.
    Stored(TimeRange, StoredChunk<'a>),
    /// Made of what was stored.
    Made(EncodedChunk),
}

impl SourceChunk<'_> {
    /// First and last sample time, inclusive.
    pub fn range(&self) -> TimeRange {
        match self {
            SourceChunk::Stored(range, _) => *range,
            SourceChunk::Made(made) => made.range,
        }
    }

    /// Encoding byte and data.
    pub fn parts(&self) -> (u8, &[u8]) {
        match self {
            SourceChunk::Stored(_, stored) => (stored.encoding, stored.data),
            SourceChunk::Made(made) => (made.encoding, &made.data),
        }
    }

    /// The chunk with bytes of its own.
    pub fn into_owned(self) -> EncodedChunk {
        if let SourceChunk::Made(made) = self {
            return made;
        }
        let (encoding, data) = self.parts();
        EncodedChunk { range: self.range(), encoding, data: data.to_vec() }
    }
}

/// Reads series of a source as they are stored, in the order of their ids.
pub trait StoredSeries {
    /// Appends the labels of a series as they are stored, numbered by the places of their strings in
    /// [`BlockReader::symbols`], and its chunks that overlap `range`. `None`, with labels only, when
    /// these are not to be copied as they are: they lie apart, reach over `range`, have deleted
    /// samples or are damaged; [`BlockReader::stored_chunks`] knows more then.
    fn next(
        &mut self,
        id: SeriesId,
        range: TimeRange,
        labels: &mut Vec<LabelNumber>,
        chunks: &mut Vec<ChunkMeta>,
    ) -> Result<Option<Run>, QueryError>;

    /// The entries of the chunks of the series read last, one behind the other. Their checksums were
    /// right.
    fn entries(&self) -> &[u8];
}

/// Label sets asked for between two questions whether to stop.
const LABELS_AT_ONCE: usize = 128;

/// A consistent, immutable view of one source of series.
pub trait BlockReader: Send + Sync {
    /// First and last millisecond that samples of this source may have, inclusive.
    fn range(&self) -> TimeRange;

    /// Ids of the series that satisfy all matchers (every series when there is none), ascending.
    fn postings(&self, matchers: &[Matcher], cancel: &CancelToken)
    -> Result<SeriesIds, QueryError>;

    /// Keeps of `ids` (ascending, from `postings`) those with a chunk that overlaps `range` and is
    /// not wholly deleted. No chunk is read. What cannot tell keeps everything.
    fn retain_in_range(&self, ids: &mut SeriesIds, range: TimeRange) -> Result<(), QueryError> {
        let _ = (ids, range);
        Ok(())
    }

    /// Whether every series is sure to have a chunk that overlaps `range` and is not wholly deleted,
    /// as far as the source's word can be trusted about itself.
    fn lies_in(&self, range: TimeRange) -> bool {
        let _ = range;
        false
    }

    /// Every string of the labels of this source, ascending, for the symbol table of a block
    /// written from it; `None` when they are cheaper found by looking at the series written.
    fn symbols(&self) -> Option<Symbols<'_>> {
        None
    }

    /// Whether ascending ids are also in label order (true for blocks).
    fn label_ordered(&self) -> bool;

    /// Puts `ids` (ascending, from `postings`) into the order that a selection from this source
    /// alone has.
    fn arrange(&self, ids: &mut SeriesIds) {
        let _ = ids;
    }

    /// Puts `ids` (ascending, from `postings`) into label order.
    fn sort_by_labels(
        &self,
        ids: Vec<SeriesId>,
        cancel: &CancelToken,
    ) -> Result<Vec<SeriesId>, QueryError> {
        let mut labels: Vec<Labels> = Vec::with_capacity(ids.len());
        for ids in ids.chunks(LABELS_AT_ONCE) {
            if let Some(reason) = cancel.reason() {
                return Err(QueryError::Cancelled(reason));
            }
            self.labels_of(ids, &mut labels)?;
        }
        let mut labelled: Vec<(Labels, SeriesId)> = labels.into_iter().zip(ids).collect();
        labelled.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(labelled.into_iter().map(|(_, id)| id).collect())
    }

    /// The labels of a series from `postings`.
    fn labels(&self, id: SeriesId) -> Result<Labels, QueryError>;

    /// Appends the labels of `ids` (ascending, from `postings`) to `out`: what neighbours share is
    /// then looked up once.
    fn labels_of(&self, ids: &[SeriesId], out: &mut Vec<Labels>) -> Result<(), QueryError> {
        for id in ids {
            out.push(self.labels(*id)?);
        }
        Ok(())
    }

    /// All strings that the labels of this source name by number, as stored; `None` where they are
    /// not stored like that.
    fn symbol_bytes(&self) -> Option<&[u8]> {
        None
    }

    /// The labels of a series as numbers of strings. In sources with the same `symbol_bytes`, series
    /// with the same bytes have the same labels.
    fn label_bytes(&self, _id: SeriesId) -> Option<&[u8]> {
        None
    }

    /// Whether the labels of a series are `bytes`, which `label_bytes` of a source with the same
    /// `symbol_bytes` gave.
    fn has_label_bytes(&self, id: SeriesId, bytes: &[u8]) -> bool {
        self.label_bytes(id) == Some(bytes)
    }

    /// Hands one label's value (empty when absent) to `with`, without building the label set.
    fn label_value(
        &self,
        id: SeriesId,
        name: &str,
        with: &mut dyn FnMut(&str),
    ) -> Result<(), QueryError>;

    /// Only questions that overlap this range get label names and values, and then those of all its
    /// series, whatever their own range.
    fn names_range(&self) -> TimeRange {
        self.range()
    }

    /// Appends a number for the value each of `ids` has of a label: equal numbers mean equal values.
    /// `false` where there are none; `out` is then as before.
    fn label_ids(&self, _ids: &[SeriesId], _name: &str, _out: &mut Vec<u32>) -> bool {
        false
    }

    /// Sorted, distinct label names of the series that satisfy all matchers.
    fn label_names(&self, matchers: &[Matcher]) -> Result<Vec<String>, QueryError>;

    /// Sorted, distinct values of `name` over the series that satisfy all matchers.
    fn label_values(&self, name: &str, matchers: &[Matcher]) -> Result<Vec<String>, QueryError>;

    /// Appends the samples of a series inside `range` to `out`: ascending, chunks decoded straight
    /// into the arrays, tombstones applied, out-of-order data of this source merged in.
    fn read(&self, id: SeriesId, range: TimeRange, out: &mut Columns) -> Result<(), QueryError>;

    /// Appends the newest sample of a series inside `range`, if there is one; older ones may be left
    /// out. Of a histogram, what is known about a counter reset before it may differ from `read`.
    fn read_last(
        &self,
        id: SeriesId,
        range: TimeRange,
        out: &mut Columns,
    ) -> Result<(), QueryError> {
        self.read(id, range, out)
    }

    /// The newest samples of `ids` inside `range`, [`Newest::UNKNOWN`] where one has to be read;
    /// nothing when that would be many.
    fn newest(&self, _ids: &[SeriesId], _range: TimeRange) -> Vec<Newest> {
        Vec::new()
    }

    /// The encoded chunks of a series that overlap `range`, ascending by first time. Chunks that a
    /// tombstone touches, or that overlap out-of-order data, are re-encoded.
    fn chunks(&self, id: SeriesId, range: TimeRange) -> Result<Vec<EncodedChunk>, QueryError>;

    /// Appends what [`chunks`](Self::chunks) gives to `out`, where possible without copying it.
    fn stored_chunks<'a>(
        &'a self,
        id: SeriesId,
        range: TimeRange,
        out: &mut Vec<SourceChunk<'a>>,
    ) -> Result<(), QueryError> {
        out.extend(self.chunks(id, range)?.into_iter().map(SourceChunk::Made));
        Ok(())
    }

    /// Reads series as they are stored; `None` where they are not stored as in a block of our own.
    fn stored_series(&self) -> Option<Box<dyn StoredSeries + '_>> {
        None
    }
}
