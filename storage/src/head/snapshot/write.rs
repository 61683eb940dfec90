//! Writing: header, label names and pairs, then page by page the labels and the state of its series,
//! then what concerns few of them.

use std::path::Path;

use model::SeriesRef;

use super::{Header, SnapshotError, VERSION, kind};
use crate::encoding::EncBuf;
use crate::fs::Fs;
use crate::head::apply::Series;
use crate::head::image;
use crate::head::symbols::PairId;
use crate::head::{Head, lock, read};
use crate::record::{ExemplarsEncoder, RefTombstone, TombstonesEncoder};
use crate::wal::{Compression, LogPosition, SegmentWriter};

/// A segment of a snapshot.
const SEGMENT_BYTES: u64 = 128 << 20;
/// Strings, exemplars and the like in one record, in bytes.
const RECORD_BYTES: usize = 64 << 10;

pub(super) fn write(
    head: &Head,
    fs: &dyn Fs,
    dir: &Path,
    (min_valid, wbl): (i64, Option<LogPosition>),
) -> Result<(), SnapshotError> {
    let mut out = Writer {
        head,
        segments: SegmentWriter::create(fs, dir, SEGMENT_BYTES, Compression::None)?,
        record: Vec::new(),
        series: 0,
    };
    out.header(min_valid, wbl)?;
    let pairs = out.symbols()?;
    out.pages(&pairs)?;
    out.rest()?;
    out.record.put_u8(kind::END);
    out.record.put_uvarint(out.series);
    out.end()?;
    Ok(out.segments.finish()?)
}

struct Writer<'h, 'f> {
    head: &'h Head,
    segments: SegmentWriter<'f>,
    record: Vec<u8>,
    series: u64,
}

impl Writer<'_, '_> {
    fn end(&mut self) -> Result<(), SnapshotError> {
        self.segments.log(&self.record)?;
        self.record.clear();
        Ok(())
    }

    /// Ends the record and begins one of the same kind when this one is large.
    fn split(&mut self, kind: u8) -> Result<(), SnapshotError> {
        if self.record.len() > RECORD_BYTES {
            self.end()?;
            self.record.put_u8(kind);
        }
        Ok(())
    }

    fn header(&mut self, min_valid: i64, wbl: Option<LogPosition>) -> Result<(), SnapshotError> {
        let head = self.head;
        let header = Header {
            min_valid,
            chunk_range: head.options.min_block_range_ms,
            times: (head.times.min(), head.times.max()),
            late: head.late_bounds(),
            last_ref: head.last_ref(),
            next_slot: head.lock_commit().next_slot,
            series: head.index().all().len(),
            wbl,
        };
        header.put(&mut self.record);
        self.end()
    }

    /// Names and pairs; by pair id its number in the snapshot.
    fn symbols(&mut self) -> Result<Vec<u32>, SnapshotError> {
        let head = self.head;
        let index = head.index();
        let symbols = &index.symbols;
        self.record.put_u8(kind::NAMES);
        for name in symbols.names() {
            self.record.put_uvarint_str(symbols.name(name));
            self.split(kind::NAMES)?;
        }
        self.end()?;
        let mut numbers = vec![u32::MAX; symbols.pair_bound()];
        let mut next = 0;
        self.record.put_u8(kind::PAIRS);
        for name in symbols.names() {
            for &pair in symbols.pairs_of(name) {
                self.record.put_uvarint(u64::from(name));
                self.record.put_uvarint_str(symbols.pair(pair).1);
                numbers[pair as usize] = next;
                next += 1;
                self.split(kind::PAIRS)?;
            }
        }
        self.end()?;
        Ok(numbers)
    }

    fn pages(&mut self, numbers: &[u32]) -> Result<(), SnapshotError> {
        let head = self.head;
        let index = head.index();
        let hashes = index.short_hashes();
        let (mut state, mut scratch) = (Vec::new(), Vec::new());
        let mut before: Vec<u32> = Vec::new();
        for (first_slot, page) in head.pages.iter() {
            let mut records = page.lock();
            self.record.put_u8(kind::LABELS);
            self.record.put_uvarint(u64::from(first_slot));
            state.clear();
            state.put_u8(kind::STATE);
            state.put_uvarint(u64::from(first_slot));
            let empty = (self.record.len(), state.len());
            before.clear();
            let mut last_ref = 0u64;
            for place in 0..records.cold.len() {
                let series_ref = records.cold[place].series_ref;
                let slot = first_slot + place as u32;
                // One that garbage collection unlinked is out of the index already.
                if series_ref == 0 || !index.all().contains(slot) {
                    continue;
                }
                self.series += 1;
                self.record.put_u8(place as u8);
                self.record.put_be32(hashes.get(slot as usize).copied().unwrap_or(0));
                put_pairs(&mut self.record, index.pairs_of_slot(slot), numbers, &mut before)?;
                state.put_u8(place as u8);
                state.put_varint(series_ref.wrapping_sub(last_ref) as i64);
                last_ref = series_ref;
                let series = Series { page, records: &mut records, place };
                if !image::put(&series, &mut state, &mut scratch) {
                    return Err(SnapshotError::Unusable("chunks could not be written"));
                }
            }
            if (self.record.len(), state.len()) != empty {
                self.segments.log(&self.record)?;
                self.segments.log(&state)?;
            }
            self.record.clear();
        }
        Ok(())
    }

    /// Refs the log must keep, tombstones, exemplars.
    fn rest(&mut self) -> Result<(), SnapshotError> {
        let head = self.head;
        self.record.put_u8(kind::KEPT);
        for (series_ref, until) in lock(&head.kept_in_log).iter() {
            self.record.put_uvarint(*series_ref);
            self.record.put_varint(*until);
            self.split(kind::KEPT)?;
        }
        self.end()?;
        let tombstones = read(&head.tombstones);
        if !tombstones.is_empty() {
            let mut encoder = TombstonesEncoder::new(&mut self.record);
            for (series, intervals) in tombstones.iter() {
                for range in intervals.as_slice() {
                    let series = SeriesRef(series);
                    encoder.push(RefTombstone { series, min_t: range.min, max_t: range.max });
                }
            }
            self.end()?;
        }
        let exemplars = head.exemplars_by_ref();
        for batch in exemplars.chunks(1000) {
            let mut encoder = ExemplarsEncoder::new(&mut self.record);
            for (series_ref, e) in batch {
                let labels = &e.labels;
                let series = SeriesRef(*series_ref);
                encoder.push(series, e.timestamp_ms, e.value, labels.len(), labels.iter());
            }
            self.end()?;
        }
        Ok(())
    }
}

/// The pairs of a series, each less the one the series before had at the same position.
fn put_pairs(
    out: &mut Vec<u8>,
    pairs: &[PairId],
    numbers: &[u32],
    before: &mut Vec<u32>,
) -> Result<(), SnapshotError> {
    out.put_uvarint(pairs.len() as u64);
    if before.len() < pairs.len() {
        before.resize(pairs.len(), 0);
    }
    for (&pair, before) in pairs.iter().zip(before) {
        let number = numbers.get(pair as usize).copied().filter(|n| *n != u32::MAX);
        let number = number.ok_or(SnapshotError::Unusable("a label is not in the table"))?;
        out.put_varint(i64::from(number) - i64::from(*before));
        *before = number;
    }
    Ok(())
}

impl Header {
    fn put(&self, out: &mut Vec<u8>) {
        out.put_u8(kind::HEADER);
        out.put_u8(VERSION);
        out.put_varint(self.min_valid);
        out.put_varint(self.chunk_range);
        for (min, max) in [self.times, self.late] {
            out.put_varint(min);
            out.put_varint(max);
        }
        out.put_uvarint(self.last_ref);
        out.put_uvarint(u64::from(self.next_slot));
        out.put_uvarint(self.series);
        match self.wbl {
            None => out.put_u8(0),
            Some(end) => {
                out.put_u8(1);
                out.put_uvarint(end.segment);
                out.put_uvarint(end.offset);
            }
        }
    }
}
