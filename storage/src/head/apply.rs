//! Apply: a sample that was judged good, into its series' open chunk.
//!
//! What must hold: the page is locked; times ascend within a series; an open chunk is never empty;
//! a full chunk goes to `chunks_head`, or waits in memory while that cannot be written.

use model::columns::HistogramValue;
use model::value::is_stale_nan;
use model::{EncodedChunk, TimeRange, Value};

use super::batch::HistogramType;
use super::mmap::HeadChunks;
use super::open::{BoxedChunk, as_value, encoding_of};
use super::series::{Cold, Hot, MappedChunk, OpenKind, Page, Records};
use super::tail::TailSink;
use crate::chunk::cut::{Ends, OpenChunk, float_cut, range_end};
use crate::chunk::xor::XorState;
use crate::chunk::{ChunkError, Encoding};

/// What one commit, or replay, applies with.
pub(crate) struct Apply<'a> {
    /// Number of the commit; 0 in replay, seen by every view.
    pub commit: u64,
    /// Watermarks of the open views, ascending; those opened later see every earlier commit.
    pub watermarks: Vec<u64>,
    pub chunk_range: i64,
    pub samples_per_chunk: usize,
    /// New float chunks are XOR2.
    pub xor2: bool,
    /// Float chunks must be able to hold start timestamps.
    pub start_timestamps: bool,
    /// New histogram chunks are of the encodings with start timestamps.
    pub histogram_st: bool,
    pub chunks: &'a HeadChunks,
    /// What was done.
    pub done: Done,
}

impl Apply<'_> {
    /// When the float chunks of a series end.
    #[inline]
    fn ends(&self, series_ref: u64) -> Ends {
        Ends { width: self.chunk_range, samples: self.samples_per_chunk, series: series_ref }
    }
}

/// Sums of one [`Apply`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Done {
    pub chunks_created: u64,
    pub chunks_mapped: u64,
    /// Series that became stale less those that stopped being so.
    pub stale: i64,
    /// Times of what was added in order; nothing was while `min_t > max_t`.
    pub min_t: i64,
    pub max_t: i64,
}

impl Done {
    /// Nothing yet.
    pub const NOTHING: Done =
        Done { chunks_created: 0, chunks_mapped: 0, stale: 0, min_t: i64::MAX, max_t: i64::MIN };

    /// Both together.
    pub fn and(self, other: Done) -> Done {
        Done {
            chunks_created: self.chunks_created + other.chunks_created,
            chunks_mapped: self.chunks_mapped + other.chunks_mapped,
            stale: self.stale + other.stale,
            min_t: self.min_t.min(other.min_t),
            max_t: self.max_t.max(other.max_t),
        }
    }
}

/// One series behind its page's lock.
pub(crate) struct Series<'a> {
    pub page: &'a Page,
    pub records: &'a mut Records,
    pub place: usize,
}

impl Series<'_> {
    fn hot(&self) -> &Hot {
        &self.records.hot[self.place]
    }

    fn cold(&self) -> &Cold {
        &self.records.cold[self.place]
    }

    fn both(&mut self) -> (&mut Hot, &mut Cold) {
        (&mut self.records.hot[self.place], &mut self.records.cold[self.place])
    }

    /// Time of the last in-order sample.
    pub fn last_t(&self) -> Option<i64> {
        match self.hot().open {
            OpenKind::Xor => Some(self.hot().xor.last_t()),
            OpenKind::Boxed => self.cold().boxed().map(BoxedChunk::last_t),
            OpenKind::None => (self.cold().unwritten().last().map(|c| c.range.max))
                .or_else(|| self.cold().chunks.last().map(|c| c.max_t())),
        }
    }

    /// Time of the first in-order sample.
    pub fn first_t(&self) -> Option<i64> {
        let chunk = self.cold().chunks.first().map(|c| c.min_t);
        let waiting = || self.cold().unwritten().first().map(|c| c.range.min);
        let open = || (self.hot().open != OpenKind::None).then_some(self.hot().min_t);
        chunk.or_else(waiting).or_else(open)
    }

    /// Whether the last sample is this float. Without an open chunk nobody knows; then yes, so that
    /// a sample repeated after a restart is no error.
    pub fn last_is_float(&self, v: f64) -> bool {
        match self.hot().open {
            OpenKind::Xor => self.hot().xor.last_value().to_bits() == v.to_bits(),
            OpenKind::Boxed => (self.cold().boxed().and_then(BoxedChunk::last_float))
                .is_some_and(|last| last.to_bits() == v.to_bits()),
            OpenKind::None => true,
        }
    }

    /// Whether the last sample is this histogram; as with floats, yes when nobody knows.
    pub fn last_is_histogram(&self, h: &HistogramValue) -> bool {
        match (self.hot().open, self.cold().last_histogram()) {
            (OpenKind::None, _) => true,
            (_, Some(last)) => super::open::same_histogram(last, h),
            _ => false,
        }
    }

    /// The type of the last sample if it is a histogram.
    pub fn last_histogram_kind(&self) -> Option<HistogramType> {
        match self.last_encoding()? {
            Encoding::Xor | Encoding::Xor2 => None,
            Encoding::Histogram | Encoding::HistogramSt => Some(HistogramType::Integer),
            Encoding::FloatHistogram | Encoding::FloatHistogramSt => Some(HistogramType::Float),
        }
    }

    /// The encoding of the newest in-order chunk, open or full.
    pub fn last_encoding(&self) -> Option<Encoding> {
        match self.hot().open {
            OpenKind::Xor => Some(Encoding::Xor),
            OpenKind::Boxed => self.cold().boxed().map(BoxedChunk::encoding),
            OpenKind::None => {
                let waiting = self.cold().unwritten().last().map(|c| c.encoding);
                let byte = waiting.or_else(|| self.cold().chunks.last().map(|c| c.encoding));
                byte.and_then(|b| Encoding::from_u8(b).ok())
            }
        }
    }

    /// Adds a float behind the last sample.
    #[inline]
    pub fn push_float(
        &mut self,
        apply: &mut Apply<'_>,
        t: i64,
        start_t: i64,
        v: f64,
    ) -> Result<(), ChunkError> {
        let hot = &mut self.records.hot[self.place];
        if hot.open == OpenKind::Xor && !apply.start_timestamps {
            let open = OpenChunk {
                min_time: hot.min_t,
                max_time: hot.xor.last_t(),
                samples: usize::from(hot.xor.samples()),
                bytes: hot.tail.len_bytes(),
            };
            let ends = apply.ends(self.records.cold[self.place].series_ref);
            if float_cut(&mut hot.next_at, open, t, ends) || too_long(hot.min_t, t) {
                self.close(apply);
                self.open_float(apply, t);
            }
        } else {
            self.prepare_float(apply, t);
        }
        let hot = &mut self.records.hot[self.place];
        if hot.open == OpenKind::Xor {
            let mut sink = TailSink { tail: &mut hot.tail, slab: &mut self.records.slab };
            hot.xor.append(&mut sink, t, v);
        } else if let Some(open) = self.records.cold[self.place].extra_mut().open.as_mut() {
            open.push(None, t, start_t, Value::Float(v))?;
        }
        self.after_push(apply, t, is_stale_nan(v));
        Ok(())
    }

    /// The rarer cases of making room for a float: no open chunk, or one of another kind.
    #[cold]
    fn prepare_float(&mut self, apply: &mut Apply<'_>, t: i64) {
        let (hot, cold) = self.both();
        let fits = match (hot.open, cold.boxed()) {
            (OpenKind::Boxed, Some(open)) if open.encoding() == Encoding::Xor2 => {
                let state = open.state(hot.min_t);
                let ends = apply.ends(cold.series_ref);
                !float_cut(&mut hot.next_at, state, t, ends) && !too_long(hot.min_t, t)
            }
            _ => false,
        };
        if !fits {
            self.close(apply);
            self.open_float(apply, t);
        }
        if let Some(extra) = &mut self.both().1.extra {
            extra.last_histogram = None;
        }
    }

    fn open_float(&mut self, apply: &mut Apply<'_>, t: i64) {
        let xor2 = apply.xor2 || apply.start_timestamps;
        let (hot, cold) = self.both();
        hot.xor = XorState::default();
        hot.open = if xor2 { OpenKind::Boxed } else { OpenKind::Xor };
        if xor2 {
            cold.extra_mut().open = Some(BoxedChunk::new(Encoding::Xor2));
        }
        self.opened(apply, t);
    }

    fn opened(&mut self, apply: &mut Apply<'_>, t: i64) {
        let (hot, _) = self.both();
        hot.min_t = t;
        hot.next_at = range_end(t, apply.chunk_range);
        apply.done.chunks_created += 1;
    }

    /// Adds a histogram behind the last sample.
    pub fn push_histogram(
        &mut self,
        apply: &mut Apply<'_>,
        t: i64,
        start_t: i64,
        value: &HistogramValue,
    ) -> Result<(), ChunkError> {
        let encoding = encoding_of(value, apply.histogram_st);
        let (hot, cold) = self.both();
        let open = cold.extra_mut().open.as_mut().filter(|_| hot.open == OpenKind::Boxed);
        let fits = open.is_some_and(|open| {
            open.encoding() == encoding
                && !too_long(hot.min_t, t)
                && !open.histogram_cut(&mut hot.next_at, hot.min_t, t, apply.chunk_range)
        });
        if fits {
            let Some(open) = cold.extra_mut().open.as_mut() else { return Ok(()) };
            if let Some(next) = open.push(None, t, start_t, as_value(value))? {
                self.close(apply);
                self.open_boxed(apply, t, next);
            }
        } else {
            // Encoded before the old chunk is closed: a histogram that cannot be encoded changes
            // nothing.
            let mut next = BoxedChunk::new(encoding);
            next.push(cold.boxed(), t, start_t, as_value(value))?;
            self.close(apply);
            self.open_boxed(apply, t, next);
        }
        let stale = match value {
            HistogramValue::Integer(h) => is_stale_nan(h.sum),
            HistogramValue::Float(h) => is_stale_nan(h.sum),
        };
        self.both().1.extra_mut().last_histogram = Some(value.clone());
        self.after_push(apply, t, stale);
        Ok(())
    }

    /// Makes a chunk that has its first sample the open one.
    fn open_boxed(&mut self, apply: &mut Apply<'_>, t: i64, chunk: BoxedChunk) {
        let (hot, cold) = self.both();
        hot.open = OpenKind::Boxed;
        cold.extra_mut().open = Some(chunk);
        self.opened(apply, t);
    }

    #[inline]
    fn after_push(&mut self, apply: &mut Apply<'_>, t: i64, stale: bool) {
        let hot = &mut self.records.hot[self.place];
        if hot.stale != stale {
            apply.done.stale += if stale { 1 } else { -1 };
            hot.stale = stale;
        }
        if hot.commit_id == apply.commit {
            hot.commit_count += 1;
        } else {
            let before = (hot.commit_id, hot.commit_count);
            hot.commit_id = apply.commit;
            hot.commit_count = 1;
            if apply.watermarks.first().is_some_and(|low| before.0 > *low)
                || !self.records.earlier.is_empty()
            {
                remember(self.records, self.place as u8, before, &apply.watermarks);
            }
        }
        self.page.set_last_t(self.place, t);
        apply.done.min_t = apply.done.min_t.min(t);
        apply.done.max_t = apply.done.max_t.max(t);
    }

    /// Writes full chunks that had to stay in memory.
    pub fn write_waiting(&mut self, apply: &mut Apply<'_>) {
        let (_, cold) = self.both();
        let series_ref = cold.series_ref;
        let mut written = Vec::new();
        let Some(extra) = &mut cold.extra else { return };
        while let Some(chunk) = extra.unwritten.first() {
            let Some(mapped) = apply.chunks.write(series_ref, chunk, false) else { break };
            written.push(mapped);
            extra.unwritten.remove(0);
        }
        if let Some(ooo) = &mut extra.ooo {
            while let Some(chunk) = ooo.unwritten.first() {
                let Some(mapped) = apply.chunks.write(series_ref, chunk, true) else { break };
                ooo.chunks.push(mapped);
                ooo.unwritten.remove(0);
            }
        }
        apply.done.chunks_mapped += written.len() as u64;
        cold.chunks.extend(&written);
    }

    /// Adds chunks of `chunks_head` behind everything the series has; nothing is open.
    pub fn keep_chunks(&mut self, chunks: &[MappedChunk]) {
        let (_, cold) = self.both();
        cold.chunks.extend(chunks);
        if let Some(last) = chunks.last() {
            self.page.set_last_t(self.place, last.max_t());
        }
    }

    /// Adds a chunk of `chunks_head` that overlaps others.
    pub fn keep_late_chunk(&mut self, chunk: MappedChunk) {
        self.both().1.extra_mut().ooo.get_or_insert_default().chunks.push(chunk);
    }

    /// Closes the open chunk, if there is one, and hands it to `chunks_head`.
    pub fn close(&mut self, apply: &mut Apply<'_>) {
        let hot = &mut self.records.hot[self.place];
        let full = match std::mem::replace(&mut hot.open, OpenKind::None) {
            OpenKind::None => return,
            OpenKind::Xor => {
                let mut data = Vec::new();
                hot.tail.copy_to(&self.records.slab, hot.xor.samples(), &mut data);
                hot.tail.clear(&mut self.records.slab);
                let range = TimeRange { min: hot.min_t, max: hot.xor.last_t() };
                EncodedChunk { range, encoding: Encoding::Xor as u8, data }
            }
            OpenKind::Boxed => {
                let min = hot.min_t;
                let Some(open) = self.both().1.extra_mut().open.take() else { return };
                let range = TimeRange { min, max: open.last_t() };
                EncodedChunk { range, encoding: open.encoding() as u8, data: open.finish() }
            }
        };
        let (_, cold) = self.both();
        let can_write = cold.unwritten().is_empty();
        match can_write.then(|| apply.chunks.write(cold.series_ref, &full, false)).flatten() {
            Some(mapped) => {
                cold.chunks.push(mapped);
                apply.done.chunks_mapped += 1;
            }
            None => cold.extra_mut().unwritten.push(full),
        }
    }
}

/// Whether a chunk from `min_t` to `t` would span more than `MappedChunk::span_ms` can say.
fn too_long(min_t: i64, t: i64) -> bool {
    t.abs_diff(min_t) > u64::from(u32::MAX)
}

/// Notes an earlier commit of a place that some view must not see, and forgets those all see.
/// Commits that no view tells apart become one, so there are never more than views.
#[cold]
fn remember(records: &mut Records, place: u8, (id, count): (u64, u32), watermarks: &[u64]) {
    let list = records.earlier.entry(place).or_default();
    match watermarks.first() {
        Some(&low) if id > low => {
            list.retain(|(id, _)| *id > low);
            let apart = |last: u64| watermarks.iter().any(|w| last <= *w && *w < id);
            match list.last_mut() {
                Some(last) if !apart(last.0) => *last = (id, last.1.saturating_add(count)),
                _ => list.push((id, count)),
            }
        }
        _ => {
            records.earlier.remove(&place);
        }
    }
}

/// Samples of a place that a view with this watermark must not see: the last ones of the series.
pub(crate) fn hidden_samples(records: &Records, place: usize, watermark: u64) -> usize {
    let hot = &records.hot[place];
    if hot.commit_id <= watermark {
        return 0;
    }
    let earlier = records.earlier.get(&(place as u8)).map_or(0, |commits| {
        commits.iter().filter(|(id, _)| *id > watermark).map(|(_, n)| *n as usize).sum()
    });
    hot.commit_count as usize + earlier
}
