//! State: the segment a log is writing and what of it is durable. One lock guards it.

use std::collections::VecDeque;
use std::sync::Arc;

use super::page::{Framed, frame, framed_len};
use super::{LogPosition, SegmentRef};
use crate::fs::File;

/// A record ready to be framed: compressed or not, borrowed from its caller.
#[derive(Clone, Copy)]
pub(super) struct Piece<'a> {
    pub(super) data: &'a [u8],
    /// Compression bits.
    pub(super) flags: u8,
}

/// Bytes that `pieces` take in a segment from `start` on.
pub(super) fn pieces_len(start: u64, pieces: &[Piece<'_>]) -> u64 {
    pieces.iter().fold(start, |at, piece| at + framed_len(at, piece.data.len())) - start
}

/// Appends pieces to `out`, which will stand at `start`, until the segment would become larger
/// than `segment_size`; at least one, if the segment is empty. Returns how many.
pub(super) fn frame_pieces(
    out: &mut Vec<u8>,
    start: u64,
    pieces: &[Piece<'_>],
    segment_size: u64,
    framed: &mut Framed,
) -> usize {
    for (count, piece) in pieces.iter().enumerate() {
        let end = start + out.len() as u64;
        if end > 0 && end + framed_len(end, piece.data.len()) > segment_size {
            return count;
        }
        let more = frame(out, start, piece.data, piece.flags);
        framed.parts += more.parts;
        framed.part_bytes += more.part_bytes;
    }
    pieces.len()
}

/// What the lock guards.
pub(super) struct State {
    pub(super) segment: u64,
    pub(super) file: Arc<dyn File>,
    /// Behind the last whole record in the file.
    pub(super) end: u64,
    /// Bytes of the segment known to be durable; a record's end.
    pub(super) synced: u64,
    /// The records from `synced` to `end`, to log them again if a sync fails. Empty under
    /// `SyncPolicy::Off`.
    pub(super) unsynced: Unsynced,
    /// A write failed and left something behind `end` that must be cut off first.
    pub(super) torn: bool,
    /// Somebody syncs `file` without holding the lock; the segment does not change meanwhile.
    pub(super) syncing: bool,
    /// Why the last attempt to log `unsynced` again failed; it is tried again before anything else.
    pub(super) stopped: Option<Arc<str>>,
    /// Ended segments waiting to be synced, under `SyncPolicy::Off`.
    pub(super) ended: Vec<Arc<dyn File>>,
    pub(super) closed: bool,
    /// The background thread lives.
    pub(super) thread: bool,
    /// Framed bytes on their way to the file.
    pub(super) buffer: Vec<u8>,
}

impl State {
    pub(super) fn new(segment: u64, file: Arc<dyn File>) -> State {
        State {
            segment,
            file,
            end: 0,
            synced: 0,
            unsynced: Unsynced::default(),
            torn: false,
            syncing: false,
            stopped: None,
            ended: Vec::new(),
            closed: false,
            thread: false,
            buffer: Vec::new(),
        }
    }

    pub(super) fn position(&self) -> LogPosition {
        LogPosition { segment: self.segment, offset: self.end }
    }

    /// Whether a background thread has something to do.
    pub(super) fn has_work(&self) -> bool {
        self.synced < self.end || !self.ended.is_empty() || self.stopped.is_some()
    }

    /// Makes `file` the empty segment that is written from now on.
    pub(super) fn begin(&mut self, segment: u64, file: Arc<dyn File>) {
        (self.segment, self.file) = (segment, file);
        (self.end, self.synced, self.torn) = (0, 0, false);
        self.unsynced.clear();
    }

    /// Everything up to `upto` is durable.
    pub(super) fn mark_synced(&mut self, upto: u64) {
        self.unsynced.forget(upto);
        self.synced = upto;
    }
}

/// Records in the order of the log, as they were logged (compressed or not).
#[derive(Default)]
pub(super) struct Unsynced {
    bytes: Vec<u8>,
    records: VecDeque<Unframed>,
}

/// One record of `Unsynced`: its bytes follow those of the record before.
struct Unframed {
    len: usize,
    flags: u8,
    /// Where it ends in the segment.
    end: u64,
}

impl Unsynced {
    /// Adds records that stand at `start` in the segment.
    pub(super) fn add(&mut self, start: u64, pieces: &[Piece<'_>]) {
        let mut end = start;
        for piece in pieces {
            end += framed_len(end, piece.data.len());
            self.bytes.extend_from_slice(piece.data);
            self.records.push_back(Unframed { len: piece.data.len(), flags: piece.flags, end });
        }
    }

    /// Bytes held.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The records again.
    pub(super) fn pieces(&self) -> Vec<Piece<'_>> {
        let mut rest: &[u8] = &self.bytes;
        let pieces = self.records.iter().map(|record| {
            let (data, behind) = rest.split_at(record.len);
            rest = behind;
            Piece { data, flags: record.flags }
        });
        pieces.collect()
    }

    /// Forgets the records that end at or before `upto`.
    fn forget(&mut self, upto: u64) {
        let mut bytes = 0;
        while let Some(record) = self.records.pop_front_if(|record| record.end <= upto) {
            bytes += record.len;
        }
        self.bytes.drain(..bytes);
        if self.bytes.is_empty() && self.bytes.capacity() > KEEP_CAPACITY {
            self.bytes = Vec::new();
        }
    }

    fn clear(&mut self) {
        self.forget(u64::MAX);
    }
}

/// Buffers larger than this are given back when empty.
pub(super) const KEEP_CAPACITY: usize = 4 << 20;

/// The segment to write first: behind all segments and behind what a checkpoint covers.
pub(super) fn next_index(segments: &[SegmentRef], checkpoint: Option<u64>) -> u64 {
    let after_segments = segments.last().map_or(0, |last| last.index.saturating_add(1));
    after_segments.max(checkpoint.map_or(0, |index| index.saturating_add(1)))
}
