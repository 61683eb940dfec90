//! Mmap marker records (type 5, WBL only): the out-of-order samples of a series logged so far are
//! in a chunk of `chunks_head`.

use model::SeriesRef;

use super::{RecordError, RecordType};
use crate::encoding::{DecBuf, DecodeError, EncBuf};

/// One marker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefMmapMarker {
    pub series: SeriesRef,
    /// The chunk: file number in the upper 32 bits, offset in it in the lower.
    pub chunk: u64,
}

/// A marker record behind its type byte.
#[derive(Clone, Copy, Debug)]
pub struct MmapMarkersRecord<'a>(pub(super) &'a [u8]);

impl MmapMarkersRecord<'_> {
    /// Replaces the content of `out` by the record's markers; an error leaves it empty.
    pub fn decode(self, out: &mut Vec<RefMmapMarker>) -> Result<(), RecordError> {
        out.clear();
        decode(DecBuf::new(self.0), out).map_err(|err| {
            let after = out.len();
            out.clear();
            RecordError::After(after, "mmap markers", err)
        })
    }
}

fn decode(mut buf: DecBuf<'_>, out: &mut Vec<RefMmapMarker>) -> Result<(), DecodeError> {
    while !buf.is_empty() {
        out.push(RefMmapMarker { series: SeriesRef(buf.be64()?), chunk: buf.be64()? });
    }
    Ok(())
}

/// Appends one marker record to a buffer.
pub struct MmapMarkersEncoder<'o> {
    out: &'o mut Vec<u8>,
}

impl<'o> MmapMarkersEncoder<'o> {
    /// Begins a record at the end of `out`.
    pub fn new(out: &'o mut Vec<u8>) -> MmapMarkersEncoder<'o> {
        out.push(RecordType::MmapMarkers as u8);
        MmapMarkersEncoder { out }
    }

    /// Adds a marker.
    pub fn push(&mut self, marker: RefMmapMarker) {
        self.out.put_be64(marker.series.0);
        self.out.put_be64(marker.chunk);
    }
}
