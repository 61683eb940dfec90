//! Metadata records (type 6): type, unit and help of a series' metric family. Fields are named, so
//! that readers can pass over those they do not know.

use model::{MetricType, SeriesRef};

use super::{Base, Entries, RecordError, RecordType};
use crate::encoding::{DecBuf, DecodeError, EncBuf};

const UNIT: &str = "UNIT";
const HELP: &str = "HELP";

/// The metadata of one series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefMetadata<'a> {
    pub series: SeriesRef,
    /// The type's number on disk; see [`RefMetadata::metric_type`].
    pub type_number: u8,
    pub unit: &'a str,
    pub help: &'a str,
}

impl RefMetadata<'_> {
    /// The metric type; numbers of other versions count as unknown.
    pub fn metric_type(&self) -> MetricType {
        match self.type_number {
            1 => MetricType::Counter,
            2 => MetricType::Gauge,
            3 => MetricType::Histogram,
            4 => MetricType::GaugeHistogram,
            5 => MetricType::Summary,
            6 => MetricType::Info,
            7 => MetricType::StateSet,
            _ => MetricType::Unknown,
        }
    }
}

/// A metadata record behind its type byte.
#[derive(Clone, Copy, Debug)]
pub struct MetadataRecord<'a>(pub(super) &'a [u8]);

impl<'a> MetadataRecord<'a> {
    /// Checks the record and gives its entries.
    pub fn entries(self) -> Result<Entries<'a, RefMetadata<'a>>, RecordError> {
        Entries::check(DecBuf::new(self.0), Base::default(), read)
            .map_err(|(_, err)| RecordError::Decode(err))
    }
}

fn read<'a>(buf: &mut DecBuf<'a>, _: Base) -> Result<RefMetadata<'a>, DecodeError> {
    let series = SeriesRef(buf.uvarint()?);
    let mut entry = RefMetadata { series, type_number: buf.u8()?, unit: "", help: "" };
    for _ in 0..buf.uvarint()? {
        let name = buf.uvarint_bytes()?;
        if name == UNIT.as_bytes() {
            entry.unit = buf.uvarint_str()?;
        } else if name == HELP.as_bytes() {
            entry.help = buf.uvarint_str()?;
        } else {
            buf.uvarint_bytes()?;
        }
    }
    Ok(entry)
}

/// Appends one metadata record to a buffer.
pub struct MetadataEncoder<'o> {
    out: &'o mut Vec<u8>,
}

impl<'o> MetadataEncoder<'o> {
    /// Begins a record at the end of `out`.
    pub fn new(out: &'o mut Vec<u8>) -> MetadataEncoder<'o> {
        out.push(RecordType::Metadata as u8);
        MetadataEncoder { out }
    }

    /// Adds the metadata of a series.
    pub fn push(&mut self, entry: RefMetadata<'_>) {
        self.out.put_uvarint(entry.series.0);
        self.out.put_u8(entry.type_number);
        self.out.put_uvarint(2);
        self.out.put_uvarint_str(UNIT);
        self.out.put_uvarint_str(entry.unit);
        self.out.put_uvarint_str(HELP);
        self.out.put_uvarint_str(entry.help);
    }
}
