//! HeadView: the head as one reader sees it, and keeps seeing it.
//!
//! A view pins a watermark: samples of later commits are hidden. It never reaches below its lower
//! bound in order; what lies below is, or is about to be, in a block. Out-of-order samples have no
//! lower bound and show as they come.

use std::collections::BTreeSet;
use std::sync::Arc;

use model::{CancelToken, Columns, EncodedChunk, Labels, Matcher, QueryError, TimeRange};
use roaring::RoaringBitmap;

use super::Head;
use super::apply::hidden_samples;
use super::isolation::ViewPin;
use super::ooo::{OooSeries, columns_of};
use super::parts::{Part, clip, merge_parts, span_of};
use super::series::{MappedChunk, OpenKind, Records, Slot, page_number, place};
use crate::chunk::{CutRule, EncodeOptions, decode, encode};
use crate::headchunks::Sealed;
use crate::postings::{label_values, postings_for_matchers, subtract};
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

/// Slots sorted while nobody can create series.
const SORTED_AT_ONCE: usize = 32 << 10;

/// A chunk to decode, found under the lock.
enum Piece {
    Mapped(MappedChunk),
    Copy(EncodedChunk),
}

impl Piece {
    fn range(&self) -> TimeRange {
        match self {
            Piece::Mapped(c) => TimeRange { min: c.min_t, max: c.max_t() },
            Piece::Copy(c) => c.range,
        }
    }
}

/// What a read needs of a series, copied under the lock.
struct Found {
    /// Ascending; `usize` is how many samples of it show.
    pieces: Vec<(Piece, usize)>,
    ooo: Option<OooSeries>,
    series_ref: u64,
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

    /// The newest sample of a series, where it is known without decoding: a float in order, visible,
    /// with nothing that came late or was deleted.
    fn newest(&self, slot: Slot) -> Option<(i64, f64)> {
        let page = self.head.pages.get(page_number(slot))?;
        let records = page.lock();
        let place = place(slot);
        let (hot, cold) = (&records.hot[place], &records.cold[place]);
        let known = self.in_order
            && hot.open == OpenKind::Xor
            && hot.xor.samples() > 0
            && hidden_samples(&records, place, self.pin.watermark) == 0
            && !(self.out_of_order && cold.ooo().is_some())
            && self.head.deleted(cold.series_ref).is_empty();
        known.then(|| (hot.xor.last_t(), hot.xor.last_value()))
    }

    /// Collects what has samples inside `range`.
    fn find(&self, slot: Slot, range: TimeRange) -> Option<Found> {
        let page = self.head.pages.get(page_number(slot))?;
        let records = page.lock();
        let place = place(slot);
        let cold = &records.cold[place];
        let mut found = Found { pieces: Vec::new(), ooo: None, series_ref: cold.series_ref };
        if self.in_order {
            self.find_in_order(&records, place, self.inside(range), &mut found.pieces);
        }
        if self.out_of_order {
            found.ooo = cold.ooo().filter(|o| !o.is_empty()).cloned();
        }
        Some(found)
    }

    fn find_in_order(
        &self,
        records: &Records,
        place: usize,
        range: TimeRange,
        pieces: &mut Vec<(Piece, usize)>,
    ) {
        let (hot, cold) = (&records.hot[place], &records.cold[place]);
        let mut hidden = hidden_samples(records, place, self.pin.watermark);
        let visible = |hidden: &mut usize, samples: usize| {
            let now = samples.min(*hidden);
            *hidden -= now;
            samples - now
        };
        // From the newest on, because what is hidden came last.
        match hot.open {
            OpenKind::None => {}
            OpenKind::Xor => {
                let shown = visible(&mut hidden, usize::from(hot.xor.samples()));
                let span = TimeRange { min: hot.min_t, max: hot.xor.last_t() };
                if shown > 0 && span.overlaps(range) {
                    let mut data = Vec::new();
                    hot.tail.copy_to(&records.slab, hot.xor.samples(), &mut data);
                    let chunk = EncodedChunk { range: span, encoding: 1, data };
                    pieces.push((Piece::Copy(chunk), shown));
                }
            }
            OpenKind::Boxed => {
                if let Some(open) = cold.boxed() {
                    let shown = visible(&mut hidden, open.samples());
                    let span = TimeRange { min: hot.min_t, max: open.last_t() };
                    if shown > 0 && span.overlaps(range) {
                        let data = open.bytes().to_vec();
                        let encoding = open.encoding() as u8;
                        let chunk = EncodedChunk { range: span, encoding, data };
                        pieces.push((Piece::Copy(chunk), shown));
                    }
                }
            }
        }
        for chunk in cold.unwritten().iter().rev() {
            let samples = crate::chunk::num_samples(chunk.encoding, &chunk.data).unwrap_or(0);
            let shown = visible(&mut hidden, samples);
            if shown > 0 && chunk.range.overlaps(range) {
                pieces.push((Piece::Copy(chunk.clone()), shown));
            }
        }
        let newer = pieces.len();
        let span = |c: &MappedChunk| TimeRange { min: c.min_t, max: c.max_t() };
        if hidden == 0 {
            pieces.extend(
                (cold.chunks.iter().filter(|c| span(c).overlaps(range)))
                    .map(|c| (Piece::Mapped(c), usize::from(c.samples))),
            );
            pieces[newer..].reverse();
        } else {
            let all: Vec<MappedChunk> = cold.chunks.iter().collect();
            for chunk in all.iter().rev() {
                let shown = visible(&mut hidden, usize::from(chunk.samples));
                if shown > 0 && span(chunk).overlaps(range) {
                    pieces.push((Piece::Mapped(*chunk), shown));
                }
            }
        }
        pieces.reverse();
    }

    /// Decodes the first `shown` samples of a piece, those inside `range`.
    fn decode(
        &self,
        piece: Piece,
        shown: usize,
        range: TimeRange,
        out: &mut Columns,
    ) -> Result<(), QueryError> {
        match piece {
            Piece::Copy(chunk) => decode_shown(chunk.encoding, &chunk.data, shown, range, out),
            Piece::Mapped(mapped) => {
                self.head.chunks.with_chunk(&self.sealed, &mapped, |encoding, data| {
                    decode_shown(encoding, data, shown, range, out)
                })?
            }
        }
    }

    fn bytes(&self, piece: Piece) -> Result<EncodedChunk, QueryError> {
        match piece {
            Piece::Copy(chunk) => Ok(chunk),
            Piece::Mapped(mapped) => self.head.chunks.read(&mapped),
        }
    }

    /// What came late and lies inside `range`, chunk by chunk. Histograms that are not in a chunk
    /// yet are read as if they were: that settles what their hints say of each other.
    fn late_parts(&self, ooo: &OooSeries, range: TimeRange) -> Result<Vec<Part>, QueryError> {
        let mapped = ooo.chunks.iter().map(|c| Piece::Mapped(*c));
        let waiting = ooo.unwritten.iter().map(|c| Piece::Copy(c.clone()));
        let mut pieces: Vec<Piece> = mapped.chain(waiting).collect();
        let samples = columns_of(&ooo.samples);
        let mut parts = Vec::new();
        if samples.histograms.is_empty() {
            parts.extend(span_of(&samples).map(|span| (span, samples)));
        } else {
            let options = EncodeOptions { rule: CutRule::OutOfOrder, ..self.head.encode_options() };
            let encoded = encode(&samples, options);
            let encoded = encoded.map_err(|e| QueryError::Corrupt(e.to_string()))?;
            pieces.extend(encoded.into_iter().map(Piece::Copy));
        }
        for piece in pieces.into_iter().filter(|p| p.range().overlaps(range)) {
            let mut columns = Columns::default();
            let span = piece.range();
            self.decode(piece, usize::MAX, TimeRange::ALL, &mut columns)?;
            parts.push((span, columns));
        }
        Ok(parts)
    }

    /// Whether a series has anything inside `range`.
    fn has_samples(&self, records: &Records, place: usize, range: TimeRange) -> bool {
        let (hot, cold) = (&records.hot[place], &records.cold[place]);
        if cold.series_ref == 0 {
            return false;
        }
        let overlaps = |min: i64, max: i64| TimeRange { min, max }.overlaps(range);
        if self.out_of_order
            && let Some(ooo) = cold.ooo()
        {
            let (min, max) = ooo.bounds();
            if min <= max && overlaps(min, max) {
                return true;
            }
        }
        let range = self.inside(range);
        let overlaps = |min: i64, max: i64| TimeRange { min, max }.overlaps(range);
        self.in_order
            && (match hot.open {
                OpenKind::None => false,
                OpenKind::Xor => overlaps(hot.min_t, hot.xor.last_t()),
                OpenKind::Boxed => cold.boxed().is_some_and(|o| overlaps(hot.min_t, o.last_t())),
            } || cold.unwritten().iter().any(|c| c.range.overlaps(range))
                || cold.chunks.iter().any(|c| overlaps(c.min_t, c.max_t())))
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

/// Decodes the first `shown` samples of a chunk, those inside `range`.
fn decode_shown(
    encoding: u8,
    data: &[u8],
    shown: usize,
    range: TimeRange,
    out: &mut Columns,
) -> Result<(), QueryError> {
    let corrupt = |e: crate::chunk::ChunkError| QueryError::Corrupt(format!("head chunk: {e}"));
    let samples = crate::chunk::num_samples(encoding, data).map_err(corrupt)?;
    if shown >= samples {
        return decode(encoding, data, range, out).map_err(corrupt);
    }
    let mut all = Columns::default();
    decode(encoding, data, TimeRange::ALL, &mut all).map_err(corrupt)?;
    let last = all.timestamps.get(shown.wrapping_sub(1)).copied();
    let Some(last) = last else { return Ok(()) };
    let range = TimeRange { min: range.min, max: range.max.min(last) };
    decode(encoding, data, range, out).map_err(corrupt)
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
        // Mostly all have, and what is shared is not copied then.
        let mut gone: Vec<SeriesId> = Vec::new();
        for run in ids.chunk_by(|a, b| page_number(*a) == page_number(*b)) {
            match self.head.pages.get(page_number(run[0])) {
                Some(page) => {
                    let records = page.lock();
                    let has = |id: &SeriesId| self.has_samples(&records, place(*id), range);
                    gone.extend(run.iter().filter(|id| !has(id)));
                }
                None => gone.extend_from_slice(run),
            }
        }
        if !gone.is_empty() {
            subtract(Arc::make_mut(ids), gone.as_slice());
        }
        Ok(())
    }

    fn label_ordered(&self) -> bool {
        false
    }

    /// In the order of refs.
    fn arrange(&self, ids: &mut SeriesIds) {
        if self.head.order.is_kept() {
            return;
        }
        let mut by_ref: Vec<(u64, SeriesId)> = Vec::with_capacity(ids.len());
        for run in ids.chunk_by(|a, b| page_number(*a) == page_number(*b)) {
            let page = self.head.pages.get(page_number(run[0]));
            let records = page.map(|page| page.lock());
            let series_ref = |id| records.as_ref().map_or(0, |r| r.cold[place(id)].series_ref);
            by_ref.extend(run.iter().map(|&id| (series_ref(id), id)));
        }
        // Stable: it makes use of the runs that are in order.
        by_ref.sort();
        Arc::make_mut(ids).iter_mut().zip(by_ref).for_each(|(id, (_, next))| *id = next);
    }

    fn sort_by_labels(
        &self,
        mut ids: Vec<SeriesId>,
        cancel: &CancelToken,
    ) -> Result<Vec<SeriesId>, QueryError> {
        if let Some(reason) = cancel.reason() {
            return Err(QueryError::Cancelled(reason));
        }
        // Nobody creates a series meanwhile: many are sorted piece by piece, and then merged.
        for ids in ids.chunks_mut(SORTED_AT_ONCE) {
            let index = self.head.index();
            ids.sort_by(|a, b| index.compare(*a, *b));
        }
        if ids.len() <= SORTED_AT_ONCE {
            return Ok(ids);
        }
        let mut labelled = Vec::with_capacity(ids.len());
        for id in ids {
            labelled.push((self.labels(id)?, id));
        }
        labelled.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(labelled.into_iter().map(|(_, id)| id).collect())
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
        let newest = self.newest(id);
        let inside = self.inside(range);
        match newest {
            Some((t, v)) if inside.contains(t) => {
                out.push_float(t, v);
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
