//! LabelPairs: the labels inside a record, borrowed.
//!
//! Layout: count (uvarint), then for each label name and value, each behind its length (uvarint).

use std::fmt;

use model::Labels;

use crate::encoding::{DecBuf, DecodeError, EncBuf};

/// Longer names and values cannot be part of [`Labels`], nor could they in Prometheus.
const MAX_TEXT_BYTES: usize = (1 << 24) - 1;

/// The labels of a series or exemplar as they stand in a record: valid UTF-8, in the writer's order
/// (sorted, if the writer was sane).
#[derive(Clone, Copy)]
pub struct LabelPairs<'a> {
    pairs: DecBuf<'a>,
    count: usize,
}

impl<'a> LabelPairs<'a> {
    /// Takes labels off the front of `buf` and checks them.
    pub(crate) fn read(buf: &mut DecBuf<'a>) -> Result<LabelPairs<'a>, DecodeError> {
        let count = buf.uvarint_usize()?;
        let pairs = *buf;
        for _ in 0..count {
            text(buf)?;
            text(buf)?;
        }
        Ok(LabelPairs { pairs, count })
    }

    /// Number of labels.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is no label.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Names and values in the order of the record.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let mut rest = self.pairs;
        (0..self.count).map_while(move |_| Some((text(&mut rest).ok()?, text(&mut rest).ok()?)))
    }

    /// Whether names ascend strictly and no value is empty, as in every [`Labels`].
    pub fn is_canonical(&self) -> bool {
        let mut last: Option<&str> = None;
        self.iter().all(|(name, value)| {
            let fine = !value.is_empty() && last.is_none_or(|last| last < name);
            last = Some(name);
            fine
        })
    }

    /// A label set of its own.
    pub fn to_labels(&self) -> Labels {
        match self.is_canonical() {
            true => Labels::from_sorted(self.iter()),
            false => Labels::from_pairs(self.iter()),
        }
    }
}

impl fmt::Debug for LabelPairs<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

fn text<'a>(buf: &mut DecBuf<'a>) -> Result<&'a str, DecodeError> {
    let text = buf.uvarint_str()?;
    if text.len() > MAX_TEXT_BYTES { Err(DecodeError::InvalidSize) } else { Ok(text) }
}

/// Appends labels; `count` is how many `pairs` gives.
pub fn put_labels<'l>(
    out: &mut Vec<u8>,
    count: usize,
    pairs: impl IntoIterator<Item = (&'l str, &'l str)>,
) {
    out.put_uvarint(count as u64);
    let mut put = 0;
    for (name, value) in pairs {
        out.put_uvarint_str(name);
        out.put_uvarint_str(value);
        put += 1;
    }
    debug_assert_eq!(put, count, "as many labels as announced");
}
