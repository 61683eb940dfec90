//! Pieces: the chunks of a series that a read needs, found under its page's lock and decoded after it.

use model::{Columns, EncodedChunk, QueryError, TimeRange};

use super::HeadView;
use crate::chunk::{CutRule, EncodeOptions, decode, encode};
use crate::head::apply::hidden_samples;
use crate::head::ooo::{OooSeries, columns_of};
use crate::head::parts::{Part, span_of};
use crate::head::series::{MappedChunk, OpenKind, Records, Slot, page_number, place};

/// A chunk to decode, found under the lock.
pub(super) enum Piece {
    Mapped(MappedChunk),
    Copy(EncodedChunk),
}

impl Piece {
    pub(super) fn range(&self) -> TimeRange {
        match self {
            Piece::Mapped(c) => TimeRange { min: c.min_t, max: c.max_t() },
            Piece::Copy(c) => c.range,
        }
    }
}

/// What a read needs of a series, copied under the lock.
pub(super) struct Found {
    /// Ascending; `usize` is how many samples of it show.
    pub(super) pieces: Vec<(Piece, usize)>,
    pub(super) ooo: Option<OooSeries>,
    pub(super) series_ref: u64,
}

impl HeadView {
    /// Collects what has samples inside `range`.
    pub(super) fn find(&self, slot: Slot, range: TimeRange) -> Option<Found> {
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
    pub(super) fn decode(
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

    pub(super) fn bytes(&self, piece: Piece) -> Result<EncodedChunk, QueryError> {
        match piece {
            Piece::Copy(chunk) => Ok(chunk),
            Piece::Mapped(mapped) => self.head.chunks.read(&mapped),
        }
    }

    /// What came late and lies inside `range`, chunk by chunk. Histograms that are not in a chunk
    /// yet are read as if they were: that settles what their hints say of each other.
    pub(super) fn late_parts(
        &self,
        ooo: &OooSeries,
        range: TimeRange,
    ) -> Result<Vec<Part>, QueryError> {
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
