//! Record: what the write-ahead log (WAL) and the write-behind log (WBL) say, one payload at a time.
//!
//! The first byte names the type, the rest is one family's layout, one file each here, described in
//! `docs/format/wal-records.md`. Byte for byte Prometheus's encoding, both ways. Decoding checks a
//! whole record before it hands anything out, so a bad one is never half applied; it borrows from
//! the record or refills vectors that the caller keeps.

mod entries;
mod exemplars;
mod histogram_payload;
mod histograms;
mod label_pairs;
mod metadata;
mod mmap_markers;
mod samples;
mod series;
mod tombstones;

use model::{FloatHistogram, Histogram};

use crate::encoding::DecodeError;

pub use entries::Entries;
pub use exemplars::{ExemplarsEncoder, ExemplarsRecord, RefExemplar};
pub use histogram_payload::HistogramPayload;
pub use histograms::{
    HistogramBatch, HistogramKind, HistogramsEncoder, HistogramsRecord, RefHistogram,
};
pub use label_pairs::{LabelPairs, put_labels};
pub use metadata::{MetadataEncoder, MetadataRecord, RefMetadata};
pub use mmap_markers::{MmapMarkersEncoder, MmapMarkersRecord, RefMmapMarker};
pub use samples::{RefSample, SamplesEncoder, SamplesRecord, SamplesVersion};
pub use series::{BatchSeries, RefSeries, SeriesBatch, SeriesEncoder, SeriesRecord};
pub use tombstones::{RefTombstone, TombstonesEncoder, TombstonesRecord};

/// The types of records. Numbers are those on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum RecordType {
    Series = 1,
    Samples = 2,
    Tombstones = 3,
    Exemplars = 4,
    MmapMarkers = 5,
    Metadata = 6,
    HistogramSamples = 7,
    FloatHistogramSamples = 8,
    CustomBucketsHistogramSamples = 9,
    CustomBucketsFloatHistogramSamples = 10,
    SamplesV2 = 11,
    HistogramSamplesV2 = 12,
    FloatHistogramSamplesV2 = 13,
}

impl RecordType {
    const ALL: [RecordType; 13] = [
        RecordType::Series,
        RecordType::Samples,
        RecordType::Tombstones,
        RecordType::Exemplars,
        RecordType::MmapMarkers,
        RecordType::Metadata,
        RecordType::HistogramSamples,
        RecordType::FloatHistogramSamples,
        RecordType::CustomBucketsHistogramSamples,
        RecordType::CustomBucketsFloatHistogramSamples,
        RecordType::SamplesV2,
        RecordType::HistogramSamplesV2,
        RecordType::FloatHistogramSamplesV2,
    ];

    /// The type of a record; `None` for an empty one or a type of some other version.
    pub fn of(record: &[u8]) -> Option<RecordType> {
        let number = usize::from(*record.first()?);
        RecordType::ALL.get(number.checked_sub(1)?).copied()
    }

    /// The name in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            RecordType::Series => "series",
            RecordType::Samples => "samples",
            RecordType::Tombstones => "tombstones",
            RecordType::Exemplars => "exemplars",
            RecordType::MmapMarkers => "mmapmarkers",
            RecordType::Metadata => "metadata",
            RecordType::HistogramSamples => "histogram_samples",
            RecordType::FloatHistogramSamples => "float_histogram_samples",
            RecordType::CustomBucketsHistogramSamples => "custom_buckets_histogram_samples",
            RecordType::CustomBucketsFloatHistogramSamples => {
                "custom_buckets_float_histogram_samples"
            }
            RecordType::SamplesV2 => "samples_v2",
            RecordType::HistogramSamplesV2 => "histogram_samples_v2",
            RecordType::FloatHistogramSamplesV2 => "float_histogram_samples_v2",
        }
    }
}

/// A record sorted by family, not decoded yet.
#[derive(Clone, Copy, Debug)]
pub enum Record<'a> {
    Series(SeriesRecord<'a>),
    Samples(SamplesRecord<'a>),
    Tombstones(TombstonesRecord<'a>),
    Exemplars(ExemplarsRecord<'a>),
    MmapMarkers(MmapMarkersRecord<'a>),
    Metadata(MetadataRecord<'a>),
    Histograms(HistogramsRecord<'a, Histogram>),
    FloatHistograms(HistogramsRecord<'a, FloatHistogram>),
    /// Empty, or of a type this version does not know: readers pass over it.
    Unknown,
}

impl<'a> Record<'a> {
    /// Sorts a record by its first byte.
    pub fn classify(record: &'a [u8]) -> Record<'a> {
        let body = record.get(1..).unwrap_or_default();
        match RecordType::of(record) {
            None => Record::Unknown,
            Some(RecordType::Series) => Record::Series(SeriesRecord(body)),
            Some(RecordType::Samples) => {
                Record::Samples(SamplesRecord { version: SamplesVersion::V1, body })
            }
            Some(RecordType::SamplesV2) => {
                Record::Samples(SamplesRecord { version: SamplesVersion::V2, body })
            }
            Some(RecordType::Tombstones) => Record::Tombstones(TombstonesRecord(body)),
            Some(RecordType::Exemplars) => Record::Exemplars(ExemplarsRecord(body)),
            Some(RecordType::MmapMarkers) => Record::MmapMarkers(MmapMarkersRecord(body)),
            Some(RecordType::Metadata) => Record::Metadata(MetadataRecord(body)),
            Some(RecordType::HistogramSamples) => {
                Record::Histograms(HistogramsRecord::new(HistogramKind::Exponential, body))
            }
            Some(RecordType::CustomBucketsHistogramSamples) => {
                Record::Histograms(HistogramsRecord::new(HistogramKind::CustomBuckets, body))
            }
            Some(RecordType::HistogramSamplesV2) => {
                Record::Histograms(HistogramsRecord::new(HistogramKind::V2, body))
            }
            Some(RecordType::FloatHistogramSamples) => {
                Record::FloatHistograms(HistogramsRecord::new(HistogramKind::Exponential, body))
            }
            Some(RecordType::CustomBucketsFloatHistogramSamples) => {
                Record::FloatHistograms(HistogramsRecord::new(HistogramKind::CustomBuckets, body))
            }
            Some(RecordType::FloatHistogramSamplesV2) => {
                Record::FloatHistograms(HistogramsRecord::new(HistogramKind::V2, body))
            }
        }
    }
}

/// A record whose checksum was right but whose content is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Series, tombstones, metadata.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// Families that say how far they came: number, plural name, cause.
    #[error("decode error after {0} {1}: {2}")]
    After(usize, &'static str, DecodeError),
}

/// What a family's entries are deltas to.
#[derive(Clone, Copy, Debug, Default)]
struct Base {
    series: u64,
    t: i64,
}

/// Appends a varint to a stack buffer that has room for it; returns the new end. Samples are
/// encoded in one go this way instead of byte by byte into a vector.
#[inline(always)]
fn put_varint(buf: &mut [u8; 48], mut at: usize, v: i64) -> usize {
    let mut u = crate::encoding::zigzag(v);
    while u >= 0x80 {
        buf[at] = u as u8 | 0x80;
        u >>= 7;
        at += 1;
    }
    buf[at] = u as u8;
    at + 1
}

/// Start-time markers of the V2 layouts.
mod start {
    use super::put_varint;
    use crate::encoding::{DecBuf, DecodeError};

    /// The sample has no start time.
    const NONE: u8 = 0;
    /// That of the sample before.
    const SAME: u8 = 1;
    /// A delta to that of the first sample follows.
    const EXPLICIT: u8 = 2;

    #[inline]
    pub(super) fn read(buf: &mut DecBuf<'_>, prev: i64, first: i64) -> Result<i64, DecodeError> {
        match buf.u8()? {
            NONE => Ok(0),
            SAME => Ok(prev),
            _ => Ok(first.wrapping_add(buf.varint()?)),
        }
    }

    /// The marker, if it needs nothing behind it.
    #[inline]
    pub(super) fn short(start_t: i64, prev: i64) -> Option<u8> {
        match start_t {
            0 => Some(NONE),
            _ if start_t == prev => Some(SAME),
            _ => None,
        }
    }

    /// At most eleven bytes.
    #[inline]
    pub(super) fn put(buf: &mut [u8; 48], at: usize, start_t: i64, prev: i64, first: i64) -> usize {
        match short(start_t, prev) {
            Some(marker) => {
                buf[at] = marker;
                at + 1
            }
            None => {
                buf[at] = EXPLICIT;
                put_varint(buf, at + 1, start_t.wrapping_sub(first))
            }
        }
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use tests::reencode;
