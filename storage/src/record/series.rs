//! Series records (type 1): a series gets its reference.

use model::SeriesRef;

use super::{Base, Entries, LabelPairs, RecordError, RecordType, put_labels};
use crate::encoding::{DecBuf, DecodeError, EncBuf};

/// One new series.
#[derive(Clone, Copy, Debug)]
pub struct RefSeries<'a> {
    pub series: SeriesRef,
    pub labels: LabelPairs<'a>,
}

/// A series record behind its type byte.
#[derive(Clone, Copy, Debug)]
pub struct SeriesRecord<'a>(pub(super) &'a [u8]);

impl<'a> SeriesRecord<'a> {
    /// Checks the record and gives its series.
    pub fn entries(self) -> Result<Entries<'a, RefSeries<'a>>, RecordError> {
        Entries::check(DecBuf::new(self.0), Base::default(), read)
            .map_err(|(_, err)| RecordError::Decode(err))
    }
}

fn read<'a>(buf: &mut DecBuf<'a>, _: Base) -> Result<RefSeries<'a>, DecodeError> {
    Ok(RefSeries { series: SeriesRef(buf.be64()?), labels: LabelPairs::read(buf)? })
}

/// Appends one series record to a buffer.
pub struct SeriesEncoder<'o> {
    out: &'o mut Vec<u8>,
}

impl<'o> SeriesEncoder<'o> {
    /// Begins a record at the end of `out`.
    pub fn new(out: &'o mut Vec<u8>) -> SeriesEncoder<'o> {
        out.push(RecordType::Series as u8);
        SeriesEncoder { out }
    }

    /// Adds a series with `count` labels, sorted by name.
    pub fn push<'l>(
        &mut self,
        series: SeriesRef,
        count: usize,
        labels: impl IntoIterator<Item = (&'l str, &'l str)>,
    ) {
        self.out.put_be64(series.0);
        put_labels(self.out, count, labels);
    }
}
