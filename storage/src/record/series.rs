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

    /// Replaces the content of `out` by the record's series; an error leaves it empty.
    pub fn decode(self, out: &mut SeriesBatch) -> Result<(), RecordError> {
        out.clear();
        let mut buf = DecBuf::new(self.0);
        while !buf.is_empty() {
            if let Err(error) = out.read(&mut buf) {
                out.clear();
                return Err(RecordError::Decode(error));
            }
        }
        Ok(())
    }
}

/// The series of one record, their labels in the form of [`model::Labels::as_bytes`] one behind the
/// other: what a start takes from a record in one go.
#[derive(Debug, Default)]
pub struct SeriesBatch {
    entries: Vec<BatchEntry>,
    bytes: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
struct BatchEntry {
    series: SeriesRef,
    hash: u64,
    end: usize,
}

/// A series of a [`SeriesBatch`].
#[derive(Clone, Copy, Debug)]
pub struct BatchSeries<'b> {
    pub series: SeriesRef,
    /// [`model::Labels::hash64`] of the labels.
    pub hash: u64,
    /// [`model::Labels::as_bytes`] of the labels.
    pub labels: &'b [u8],
}

impl SeriesBatch {
    /// The series in the order of the record.
    pub fn iter(&self) -> impl Iterator<Item = BatchSeries<'_>> {
        let mut start = 0;
        self.entries.iter().map(move |e| {
            let labels = self.bytes.get(start..e.end).unwrap_or_default();
            start = e.end;
            BatchSeries { series: e.series, hash: e.hash, labels }
        })
    }

    /// Number of series.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Forgets everything but the memory.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.bytes.clear();
    }

    /// Takes a series off the front of `buf`, reference first.
    pub(crate) fn read(&mut self, buf: &mut DecBuf<'_>) -> Result<(), DecodeError> {
        let series = SeriesRef(buf.be64()?);
        let start = self.bytes.len();
        match plain(*buf)? {
            Some(labels) => {
                buf.skip(labels.skip + labels.bytes.len())?;
                self.bytes.extend_from_slice(labels.bytes);
            }
            None => {
                let labels = LabelPairs::read(buf)?.to_labels();
                self.bytes.extend_from_slice(labels.as_bytes());
            }
        }
        let hash = xxhash_rust::xxh64::xxh64(&self.bytes[start..], 0);
        self.entries.push(BatchEntry { series, hash, end: self.bytes.len() });
        Ok(())
    }
}

/// Labels that stand in a record as they do in [`model::Labels`]: sorted, none empty, every text
/// shorter than 128 bytes.
struct Plain<'a> {
    /// Bytes of the count in front.
    skip: usize,
    bytes: &'a [u8],
}

fn plain(mut buf: DecBuf<'_>) -> Result<Option<Plain<'_>>, DecodeError> {
    let before = buf.len();
    let count = buf.uvarint_usize()?;
    let skip = before - buf.len();
    let all = buf.rest();
    let mut last: &[u8] = &[];
    for at in 0..count {
        let mut text = || {
            let len = buf.u8()?;
            if len < 0x80 { buf.bytes(usize::from(len)).map(Some) } else { Ok(None) }
        };
        let (Some(name), Some(value)) = (text()?, text()?) else { return Ok(None) };
        if value.is_empty() || (at > 0 && last >= name) {
            return Ok(None);
        }
        last = name;
    }
    let bytes = &all[..all.len() - buf.len()];
    // Lengths below 128 are characters of their own, so the texts between them are whole if all of
    // it is.
    std::str::from_utf8(bytes).map_err(|_| DecodeError::InvalidUtf8)?;
    Ok(Some(Plain { skip, bytes }))
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
