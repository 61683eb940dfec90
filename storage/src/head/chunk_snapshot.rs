//! ChunkSnapshot: Prometheus's snapshot of the head, `chunk_snapshot.<segment>.<offset>`, under its
//! feature `memory-snapshot-on-shutdown`. Layout in `docs/format/head-snapshot.md`.
//!
//! It has series, their open chunks, tombstones and exemplars; full chunks come from `chunks_head`,
//! late samples from their log. Unlike Prometheus we use it only if the log ends where it was
//! written.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::TimeRange;
use model::columns::HistogramValue;
use model::value::is_stale_nan;

use super::image::{Last, OpenImage};
use super::snapshot::{SnapshotError, io_at};
use super::{Head, read};
use crate::chunk::Encoding;
use crate::encoding::{DecBuf, EncBuf};
use crate::fs::{FileKind, Fs, atomic};
use crate::head::apply::Series;
use crate::record::{ExemplarsEncoder, HistogramPayload, RecordType, SeriesBatch, put_labels};
use crate::tombstones::{self, Tombstones};
use crate::wal::{Compression, LogPosition, PAGE_SIZE, SegmentWriter};

const PREFIX: &str = "chunk_snapshot.";
const SERIES: u8 = 1;
const TOMBSTONES: u8 = 2;
const EXEMPLARS: u8 = 3;
const SEGMENT_BYTES: u64 = 128 << 20;
/// Exemplars of a record.
const EXEMPLAR_BATCH: usize = 10_000;
/// Samples in front of the last one, which are not used any more: time and value each.
const UNUSED_SAMPLES: usize = 3 * 16;

/// Where the log ended, by the directory's name.
pub(crate) fn position(name: &str) -> Option<LogPosition> {
    let (segment, offset) = name.strip_prefix(PREFIX)?.split_once('.')?;
    Some(LogPosition { segment: segment.parse().ok()?, offset: offset.parse().ok()? })
}

fn list(fs: &dyn Fs, dir: &Path) -> Result<Vec<(LogPosition, PathBuf)>, SnapshotError> {
    let entries = fs.list(dir).map_err(io_at(dir))?;
    let dirs = entries.into_iter().filter(|e| e.kind == FileKind::Dir);
    Ok(dirs.filter_map(|e| Some((position(&e.name)?, dir.join(&e.name)))).collect())
}

/// Whether a snapshot made at `at` is of a log that ends at `end`. Prometheus fills the last page
/// when it stops, and its offset counts that.
pub(crate) fn fits(at: LogPosition, end: LogPosition) -> bool {
    at.segment == end.segment
        && (at.offset == end.offset || at.offset == end.offset.next_multiple_of(PAGE_SIZE))
}

/// The snapshot of a log that ends at `end`.
pub(super) fn find(
    fs: &dyn Fs,
    dir: &Path,
    end: LogPosition,
) -> Result<Option<PathBuf>, SnapshotError> {
    let fitting = list(fs, dir)?.into_iter().filter(|(at, _)| fits(*at, end));
    Ok(fitting.max().map(|(_, path)| path))
}

/// Removes all such snapshots but one, durably.
pub(crate) fn remove_all_but(
    fs: &dyn Fs,
    dir: &Path,
    kept: Option<&Path>,
) -> Result<(), SnapshotError> {
    let mut removed = false;
    for (_, path) in list(fs, dir)?.into_iter().filter(|(_, path)| Some(path.as_path()) != kept) {
        fs.remove_dir_all(&path).map_err(io_at(&path))?;
        removed = true;
    }
    if removed { fs.sync_dir(dir).map_err(io_at(dir)) } else { Ok(()) }
}

impl Head {
    /// Writes the snapshot of a head whose log is closed and ends at `end`. Nothing is committed any
    /// more and `chunks_head` is on disk.
    pub(crate) fn write_chunk_snapshot(
        &self,
        fs: &dyn Fs,
        dir: &Path,
        end: LogPosition,
        compression: Compression,
    ) -> Result<(), SnapshotError> {
        let finished = dir.join(format!("{PREFIX}{:06}.{:010}", end.segment, end.offset));
        let mut temporary = finished.clone().into_os_string();
        temporary.push(".tmp");
        let temporary = PathBuf::from(temporary);
        let written = self
            .write_to(fs, &temporary, compression)
            .and_then(|()| atomic::replace(fs, &temporary, &finished).map_err(io_at(&finished)));
        if written.is_err() {
            // Best effort: the first error is the one to report, and the next start cleans up.
            let _ = fs.remove_dir_all(&temporary);
        }
        written?;
        remove_all_but(fs, dir, Some(&finished))
    }

    fn write_to(
        &self,
        fs: &dyn Fs,
        dir: &Path,
        compression: Compression,
    ) -> Result<(), SnapshotError> {
        let mut segments = SegmentWriter::create(fs, dir, SEGMENT_BYTES, compression)?;
        let (mut record, mut data) = (Vec::new(), Vec::new());
        let index = self.index();
        for (first_slot, page) in self.pages.iter() {
            let mut records = page.lock();
            for place in 0..records.cold.len() {
                let slot = first_slot + place as u32;
                if records.cold[place].series_ref == 0 || !index.all().contains(slot) {
                    continue;
                }
                let series = Series { page, records: &mut records, place };
                let cold = &series.records.cold[place];
                if !cold.unwritten().is_empty()
                    || cold.ooo().is_some_and(|ooo| !ooo.unwritten.is_empty())
                {
                    return Err(SnapshotError::Unusable("chunks could not be written"));
                }
                record.clear();
                record.put_u8(SERIES);
                record.put_be64(cold.series_ref);
                let labels = index.labels(slot);
                put_labels(&mut record, labels.len(), labels.iter());
                record.put_be64(0);
                data.clear();
                match series.open_image(&mut data) {
                    None => record.put_uvarint(0),
                    Some(open) => put_open(&open, &data, &mut record),
                }
                segments.log(&record)?;
            }
        }
        drop(index);
        record.clear();
        record.put_u8(TOMBSTONES);
        record.put_uvarint_bytes(&tombstones::encode(&read(&self.tombstones)));
        segments.log(&record)?;
        for batch in self.exemplars_by_ref().chunks(EXEMPLAR_BATCH) {
            record.clear();
            let mut encoder = ExemplarsEncoder::new(&mut record);
            for (series_ref, e) in batch {
                let (series, labels) = (model::SeriesRef(*series_ref), &e.labels);
                encoder.push(series, e.timestamp_ms, e.value, labels.len(), labels.iter());
            }
            record[0] = EXEMPLARS;
            segments.log(&record)?;
        }
        Ok(segments.finish()?)
    }
}

fn put_open(open: &OpenImage, data: &[u8], out: &mut Vec<u8>) {
    out.put_uvarint(1);
    out.put_be64_signed(open.min_t);
    out.put_be64_signed(open.max_t);
    out.put_u8(open.encoding as u8);
    out.put_uvarint_bytes(data);
    match &open.last {
        Last::Float(v) => {
            out.put_bytes(&[0; UNUSED_SAMPLES]);
            out.put_be64_signed(0);
            out.put_be_f64(*v);
        }
        Last::Histogram(HistogramValue::Integer(h)) => h.put(out),
        Last::Histogram(HistogramValue::Float(h)) => h.put(out),
    }
}

/// An open chunk read back, with its data and whether its series is stale.
pub(crate) struct StoredOpen {
    pub image: OpenImage,
    pub data: Vec<u8>,
    pub stale: bool,
}

/// A record read back.
pub(crate) enum Stored {
    /// A series was added to the batch.
    Series(Option<StoredOpen>),
    Tombstones(Tombstones),
    /// An exemplar record as the log has it.
    Exemplars(Vec<u8>),
}

/// Takes a record apart. The labels of a series are added to `batch`.
pub(crate) fn parse(record: &[u8], batch: &mut SeriesBatch) -> Result<Stored, SnapshotError> {
    let mut buf = DecBuf::new(record);
    match buf.u8()? {
        SERIES => {
            batch.read(&mut buf)?;
            buf.skip(8)?;
            let open = if buf.uvarint()? == 0 { None } else { Some(read_open(&mut buf)?) };
            if !buf.is_empty() {
                return Err(SnapshotError::Unusable("unexpected bytes left in entry"));
            }
            Ok(Stored::Series(open))
        }
        TOMBSTONES => {
            let decoded = tombstones::decode(buf.uvarint_bytes()?);
            decoded
                .map(Stored::Tombstones)
                .map_err(|_| SnapshotError::Unusable("tombstones cannot be decoded"))
        }
        EXEMPLARS => {
            let mut record = record.to_vec();
            record[0] = RecordType::Exemplars as u8;
            Ok(Stored::Exemplars(record))
        }
        _ => Err(SnapshotError::Unusable("unsupported snapshot record type")),
    }
}

fn read_open(buf: &mut DecBuf<'_>) -> Result<StoredOpen, SnapshotError> {
    let (min_t, max_t) = (buf.be64_signed()?, buf.be64_signed()?);
    let encoding = Encoding::from_u8(buf.u8()?).map_err(super::image::ImageError::from)?;
    let data = buf.uvarint_bytes()?.to_vec();
    let (last, stale) = match encoding {
        Encoding::Xor | Encoding::Xor2 => {
            buf.skip(UNUSED_SAMPLES + 8)?;
            let v = buf.be_f64()?;
            (Last::Float(v), is_stale_nan(v))
        }
        histogram => {
            let h = super::image::read_histogram(histogram, buf)?;
            let sum = match &h {
                HistogramValue::Integer(h) => h.sum,
                HistogramValue::Float(h) => h.sum,
            };
            (Last::Histogram(h), is_stale_nan(sum))
        }
    };
    // Where the chunk ends is not part of it: its range's end at the latest.
    let image = OpenImage { encoding, min_t, max_t, next_at: max_t, predicted: false, last };
    Ok(StoredOpen { image, data, stale })
}

/// Reads every record of a snapshot.
pub(super) fn read_records(
    fs: &Arc<dyn Fs>,
    dir: &Path,
    mut with: impl FnMut(&[u8]) -> Result<(), SnapshotError>,
) -> Result<(), SnapshotError> {
    let range = crate::wal::SegmentRange { dir: dir.to_owned(), first: None, last: None };
    let mut reader = crate::wal::Reader::open(fs.clone(), &[range])?;
    while let Some(entry) = reader.next_entry()? {
        with(entry.record)?;
    }
    Ok(())
}

/// The times of an open chunk.
pub(super) fn times(open: &OpenImage) -> TimeRange {
    TimeRange { min: open.min_t, max: open.max_t }
}
