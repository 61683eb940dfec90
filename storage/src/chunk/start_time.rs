//! Start timestamps inside XOR2 and histogram-with-start chunks: a header byte says whether the
//! first sample has one (top bit) and from which sample on every one does (low seven bits, 0 =
//! never). Stored as the distance from the time of the sample before, later as its change.
//! Layout in `docs/format/chunk-encodings.md`.

use super::ChunkError;
use crate::encoding::{BitReader, BitSink, varbit};

/// The sample from which on start times are always written, because the header counts no further.
const LAST_CHANGE: u32 = 0x7f;
const FIRST_KNOWN: u8 = 0x80;

/// Writing side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct StartWriter {
    header: u8,
    start: i64,
    /// Distance of the last written one from the sample before it.
    diff: i64,
}

impl StartWriter {
    /// Writes what sample `index` at `t` (the one before at `prev_t`) needs and gives the header byte.
    #[inline]
    pub(super) fn write<S: BitSink>(
        &mut self,
        sink: &mut S,
        index: u32,
        prev_t: i64,
        t: i64,
        start: i64,
    ) -> u8 {
        if index == 0 {
            if start != 0 {
                sink.write_varint(t.wrapping_sub(start));
                self.header = FIRST_KNOWN;
            }
        } else {
            let diff = prev_t.wrapping_sub(start);
            if self.header & !FIRST_KNOWN != 0 {
                varbit::put_int(sink, diff.wrapping_sub(self.diff));
                self.diff = diff;
            } else if start != self.start || index == LAST_CHANGE {
                varbit::put_int(sink, diff);
                self.header |= index as u8;
                self.diff = diff;
            }
        }
        self.start = start;
        self.header
    }
}

/// Reading side.
#[derive(Clone, Copy, Debug)]
pub(super) struct StartReader {
    first_known: bool,
    changes_from: u32,
    start: i64,
    diff: i64,
}

impl StartReader {
    /// Reads what `header` announces.
    pub(super) fn new(header: u8) -> StartReader {
        StartReader {
            first_known: header & FIRST_KNOWN != 0,
            changes_from: u32::from(header & !FIRST_KNOWN),
            start: 0,
            diff: 0,
        }
    }

    /// Whether the chunk has any start time.
    pub(super) fn any(&self) -> bool {
        self.first_known || self.changes_from != 0
    }

    /// The start time of sample `index` at `t`, 0 = unknown.
    #[inline]
    pub(super) fn read(
        &mut self,
        r: &mut BitReader<'_>,
        index: u32,
        prev_t: i64,
        t: i64,
    ) -> Result<i64, ChunkError> {
        if index == 0 {
            if self.first_known {
                self.start = t.wrapping_sub(r.varint()?);
            }
        } else if self.changes_from != 0 && index >= self.changes_from {
            let change = varbit::read_int(r)?;
            self.diff =
                if index == self.changes_from { change } else { self.diff.wrapping_add(change) };
            self.start = prev_t.wrapping_sub(self.diff);
        }
        Ok(self.start)
    }

    /// The writer that would have written what was read.
    pub(super) fn to_writer(self) -> StartWriter {
        let known = if self.first_known { FIRST_KNOWN } else { 0 };
        StartWriter { header: known | self.changes_from as u8, start: self.start, diff: self.diff }
    }
}
