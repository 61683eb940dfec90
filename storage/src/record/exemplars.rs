//! Exemplar records (type 4): deltas to the first one's series and time, then value and labels.

use model::SeriesRef;

use super::{Base, Entries, LabelPairs, RecordError, RecordType, put_labels};
use crate::encoding::{DecBuf, DecodeError, EncBuf};

/// One exemplar of a series.
#[derive(Clone, Copy, Debug)]
pub struct RefExemplar<'a> {
    pub series: SeriesRef,
    /// Milliseconds since the epoch.
    pub t: i64,
    pub v: f64,
    /// The exemplar's own labels.
    pub labels: LabelPairs<'a>,
}

/// An exemplar record behind its type byte.
#[derive(Clone, Copy, Debug)]
pub struct ExemplarsRecord<'a>(pub(super) &'a [u8]);

impl<'a> ExemplarsRecord<'a> {
    /// Checks the record and gives its exemplars.
    pub fn entries(self) -> Result<Entries<'a, RefExemplar<'a>>, RecordError> {
        let after = |(count, err)| RecordError::After(count, "exemplars", err);
        let mut buf = DecBuf::new(self.0);
        let mut base = Base::default();
        if !buf.is_empty() {
            base.series = buf.be64().map_err(|err| after((0, err)))?;
            base.t = buf.be64_signed().map_err(|err| after((0, err)))?;
        }
        Entries::check(buf, base, read).map_err(after)
    }
}

fn read<'a>(buf: &mut DecBuf<'a>, base: Base) -> Result<RefExemplar<'a>, DecodeError> {
    Ok(RefExemplar {
        series: SeriesRef(base.series.wrapping_add_signed(buf.varint()?)),
        t: base.t.wrapping_add(buf.varint()?),
        v: buf.be_f64()?,
        labels: LabelPairs::read(buf)?,
    })
}

/// Appends one exemplar record to a buffer.
pub struct ExemplarsEncoder<'o> {
    out: &'o mut Vec<u8>,
    first: Option<Base>,
}

impl<'o> ExemplarsEncoder<'o> {
    /// Begins a record at the end of `out`.
    pub fn new(out: &'o mut Vec<u8>) -> ExemplarsEncoder<'o> {
        out.push(RecordType::Exemplars as u8);
        ExemplarsEncoder { out, first: None }
    }

    /// Adds an exemplar with `count` labels, sorted by name.
    pub fn push<'l>(
        &mut self,
        series: SeriesRef,
        t: i64,
        v: f64,
        count: usize,
        labels: impl IntoIterator<Item = (&'l str, &'l str)>,
    ) {
        let first = *self.first.get_or_insert_with(|| {
            self.out.put_be64(series.0);
            self.out.put_be64_signed(t);
            Base { series: series.0, t }
        });
        self.out.put_varint(series.0.wrapping_sub(first.series) as i64);
        self.out.put_varint(t.wrapping_sub(first.t));
        self.out.put_be_f64(v);
        put_labels(self.out, count, labels);
    }
}
