//! HeadView: the head as one reader sees it, and keeps seeing it.
//!
//! A view pins a watermark: samples of later commits are hidden. It never reaches below its lower
//! bound in order; what lies below is, or is about to be, in a block. Out-of-order samples have no
//! lower bound and show as they come.

mod newest;
mod order;
mod pieces;

use std::collections::BTreeSet;
use std::sync::Arc;

use model::{CancelToken, Columns, EncodedChunk, Labels, Matcher, Newest, QueryError, TimeRange};
use roaring::RoaringBitmap;

use self::pieces::Piece;
use super::Head;
use super::isolation::ViewPin;
use super::parts::{clip, merge_parts};
use super::series::Slot;
use crate::chunk::{CutRule, EncodeOptions, encode};
use crate::headchunks::Sealed;
use crate::postings::{label_values, postings_for_matchers};
use crate::source::{BlockReader, SeriesId, SeriesIds};

/// A consistent view of the head.
pub(crate) struct HeadView {
    head: Arc<Head>,
    pin: ViewPin,
    range: TimeRange,
    /// Whether samples that came late are shown.
    out_of_order: bool,
    /// Whether samples that came in order are shown.
    in_order: bool,
    /// The only series shown, ascending; `None` shows all.
    only: Option<Arc<[Slot]>>,
    /// From the first to the last in-order sample, as they were when the view was made.
    names_range: TimeRange,
    /// Files of chunks that were finished when this was made.
    sealed: Sealed,
}

impl HeadView {
    /// A view of everything from `min` on.
    pub fn new(head: Arc<Head>, min: i64) -> HeadView {
        let pin = head.isolation.pin();
        let max = head.times.max();
        let (range, sealed) = (TimeRange { min, max }, head.chunks.files().sealed());
        let names_range = TimeRange { min: min.max(head.times.min()), max };
        let (out_of_order, in_order, only) = (true, true, None);
        HeadView { head, pin, range, out_of_order, in_order, only, names_range, sealed }
    }

    /// What a block of `range` is cut from: only what came in order.
    pub fn in_order(head: Arc<Head>, range: TimeRange) -> HeadView {
        let (pin, sealed) = (head.isolation.pin(), head.chunks.files().sealed());
        let (out_of_order, in_order, only, names_range) = (false, true, None, range);
        HeadView { head, pin, range, out_of_order, in_order, only, names_range, sealed }
    }

    /// What a block of `range` is cut from: only what came out of order.
    pub fn late(head: Arc<Head>, range: TimeRange) -> HeadView {
        let (pin, sealed) = (head.isolation.pin(), head.chunks.files().sealed());
        let (out_of_order, in_order, only, names_range) = (true, false, None, range);
        HeadView { head, pin, range, out_of_order, in_order, only, names_range, sealed }
    }

    /// What a block of `range` is cut from: the in-order samples of some series, whose slots another
    /// view keeps.
    pub fn series(head: Arc<Head>, range: TimeRange, only: Arc<[Slot]>) -> HeadView {
        HeadView { only: Some(only), ..HeadView::in_order(head, range) }
    }

    /// Samples of commits above this one are hidden.
    pub fn watermark(&self) -> u64 {
        self.pin.watermark
    }

    fn inside(&self, range: TimeRange) -> TimeRange {
        TimeRange { min: range.min.max(self.range.min), max: range.max.min(self.range.max) }
    }

    fn names_of(&self, slots: &RoaringBitmap) -> Vec<String> {
        let index = self.head.index();
        let mut names: Vec<&str> = (index.symbols.names())
            .filter(|&name| {
                index.symbols.pairs_of(name).iter().any(|&pair| index.list_meets(pair, slots))
            })
            .map(|name| index.symbols.name(name))
            .collect();
        names.sort_unstable();
        names.into_iter().map(str::to_owned).collect()
    }
}

impl BlockReader for HeadView {
    fn range(&self) -> TimeRange {
        let (min, max) =
            if self.out_of_order { self.head.late_bounds() } else { (i64::MAX, i64::MIN) };
        if min > max {
            return self.range;
        }
        TimeRange { min: self.range.min.min(min), max: self.range.max.max(max) }
    }

    /// As in Prometheus, late samples do not widen it.
    fn names_range(&self) -> TimeRange {
        self.names_range
    }

    fn postings(
        &self,
        matchers: &[Matcher],
        cancel: &CancelToken,
    ) -> Result<SeriesIds, QueryError> {
        if let Some(only) = self.only.as_ref().filter(|_| matchers.is_empty()) {
            return Ok(Arc::new(only.to_vec()));
        }
        let index = self.head.index();
        let cache = Some(&self.head.postings_cache);
        let mut found = postings_for_matchers(&*index, matchers, cache, cancel)?;
        if let Some(only) = &self.only {
            Arc::make_mut(&mut found).retain(|slot| only.binary_search(slot).is_ok());
        }
        Ok(found)
    }

    fn retain_in_range(&self, ids: &mut SeriesIds, range: TimeRange) -> Result<(), QueryError> {
        self.retain(ids, range);
        Ok(())
    }

    fn newest(&self, ids: &[SeriesId], range: TimeRange) -> Vec<Newest> {
        self.newest_of_all(ids, range)
    }

    fn label_ordered(&self) -> bool {
        false
    }

    /// In the order of refs.
    fn arrange(&self, ids: &mut SeriesIds) {
        self.by_ref(ids);
    }

    fn sort_by_labels(
        &self,
        ids: Vec<SeriesId>,
        cancel: &CancelToken,
    ) -> Result<Vec<SeriesId>, QueryError> {
        self.by_labels(ids, cancel)
    }

    fn labels(&self, id: SeriesId) -> Result<Labels, QueryError> {
        Ok(self.head.index().labels(id))
    }

    fn label_value(
        &self,
        id: SeriesId,
        name: &str,
        with: &mut dyn FnMut(&str),
    ) -> Result<(), QueryError> {
        with(self.head.index().value(id, name));
        Ok(())
    }

    fn label_ids(&self, ids: &[SeriesId], name: &str, out: &mut Vec<u32>) -> bool {
        self.head.index().pairs_named(ids, name, out);
        true
    }

    fn label_names(&self, matchers: &[Matcher]) -> Result<Vec<String>, QueryError> {
        let slots = if matchers.is_empty() && self.only.is_none() {
            self.head.index().all().clone()
        } else {
            self.postings(matchers, &CancelToken::default())?.iter().copied().collect()
        };
        Ok(self.names_of(&slots))
    }

    fn label_values(&self, name: &str, matchers: &[Matcher]) -> Result<Vec<String>, QueryError> {
        if self.only.is_none() {
            return label_values(&*self.head.index(), name, matchers, &CancelToken::default());
        }
        let slots = self.postings(matchers, &CancelToken::default())?;
        let index = self.head.index();
        let values: BTreeSet<&str> = slots.iter().map(|slot| index.value(*slot, name)).collect();
        Ok(values.into_iter().filter(|value| !value.is_empty()).map(str::to_owned).collect())
    }

    fn read(&self, id: SeriesId, range: TimeRange, out: &mut Columns) -> Result<(), QueryError> {
        let Some(found) = self.find(id, range) else { return Ok(()) };
        let deleted = self.head.deleted(found.series_ref);
        let inside = self.inside(range);
        if found.ooo.is_none() && deleted.is_empty() {
            for (piece, shown) in found.pieces {
                self.decode(piece, shown, inside, out)?;
            }
            return Ok(());
        }
        let mut parts = Vec::with_capacity(found.pieces.len());
        for (piece, shown) in found.pieces {
            let mut columns = Columns::default();
            let span = piece.range();
            self.decode(piece, shown, inside, &mut columns)?;
            parts.push((span, columns));
        }
        if let Some(ooo) = &found.ooo {
            parts.extend(self.late_parts(ooo, range)?);
        }
        let mut columns = Columns::default();
        merge_parts(parts, &mut columns);
        clip(&mut columns, range);
        deleted.subtract(&mut columns, 0);
        for i in 0..columns.len() {
            super::ooo::push_from(&columns, i, out);
        }
        Ok(())
    }

    fn read_last(
        &self,
        id: SeriesId,
        range: TimeRange,
        out: &mut Columns,
    ) -> Result<(), QueryError> {
        match self.newest_of(id) {
            Some(newest) if self.inside(range).contains(newest.t) => {
                out.push_float(newest.t, newest.v);
                Ok(())
            }
            _ => self.read(id, range, out),
        }
    }

    fn chunks(&self, id: SeriesId, range: TimeRange) -> Result<Vec<EncodedChunk>, QueryError> {
        let Some(found) = self.find(id, range) else { return Ok(Vec::new()) };
        let deleted = self.head.deleted(found.series_ref);
        if found.ooo.is_some() || deleted.overlaps(range) {
            let mut columns = Columns::default();
            self.read(id, range, &mut columns)?;
            let rule = if self.in_order { CutRule::Merge } else { CutRule::OutOfOrder };
            let options = EncodeOptions { rule, ..self.head.encode_options() };
            return encode(&columns, options).map_err(|e| QueryError::Corrupt(e.to_string()));
        }
        let mut chunks = Vec::with_capacity(found.pieces.len());
        for (piece, shown) in found.pieces {
            let span = piece.range();
            let chunk = self.bytes(piece)?;
            let samples = crate::chunk::num_samples(chunk.encoding, &chunk.data).unwrap_or(0);
            let whole =
                shown >= samples && self.range.min <= span.min && span.max <= self.range.max;
            if whole {
                chunks.push(chunk);
                continue;
            }
            let encoding = crate::chunk::Encoding::from_u8(chunk.encoding)
                .map_err(|e| QueryError::Corrupt(e.to_string()))?;
            let mut columns = Columns::default();
            self.decode(Piece::Copy(chunk), shown, self.range, &mut columns)?;
            let options =
                EncodeOptions { rule: CutRule::Keep(encoding), ..self.head.encode_options() };
            let cut = encode(&columns, options);
            chunks.extend(cut.map_err(|e| QueryError::Corrupt(e.to_string()))?);
        }
        Ok(chunks)
    }
}
