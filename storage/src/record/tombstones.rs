//! Tombstone records (type 3): samples of a series in a range of time are deleted.

use model::SeriesRef;

use super::{RecordError, RecordType};
use crate::encoding::{DecBuf, DecodeError, EncBuf};

/// One deletion; both ends of the range included, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefTombstone {
    pub series: SeriesRef,
    pub min_t: i64,
    pub max_t: i64,
}

/// A tombstone record behind its type byte.
#[derive(Clone, Copy, Debug)]
pub struct TombstonesRecord<'a>(pub(super) &'a [u8]);

impl TombstonesRecord<'_> {
    /// Replaces the content of `out` by the record's deletions; an error leaves it empty.
    pub fn decode(self, out: &mut Vec<RefTombstone>) -> Result<(), RecordError> {
        out.clear();
        let done = decode(DecBuf::new(self.0), out);
        if done.is_err() {
            out.clear();
        }
        Ok(done?)
    }
}

fn decode(mut buf: DecBuf<'_>, out: &mut Vec<RefTombstone>) -> Result<(), DecodeError> {
    while !buf.is_empty() {
        let series = SeriesRef(buf.be64()?);
        out.push(RefTombstone { series, min_t: buf.varint()?, max_t: buf.varint()? });
    }
    Ok(())
}

/// Appends one tombstone record to a buffer.
pub struct TombstonesEncoder<'o> {
    out: &'o mut Vec<u8>,
}

impl<'o> TombstonesEncoder<'o> {
    /// Begins a record at the end of `out`.
    pub fn new(out: &'o mut Vec<u8>) -> TombstonesEncoder<'o> {
        out.push(RecordType::Tombstones as u8);
        TombstonesEncoder { out }
    }

    /// Adds a deletion.
    pub fn push(&mut self, tombstone: RefTombstone) {
        self.out.put_be64(tombstone.series.0);
        self.out.put_varint(tombstone.min_t);
        self.out.put_varint(tombstone.max_t);
    }
}
