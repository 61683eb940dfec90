//! Checkpoints: what is still needed of segments that are about to be removed, in a directory
//! `checkpoint.<last segment covered>` of the log, itself made of segments.
//! `docs/format/checkpoint.md` describes it.
//!
//! A checkpoint appears by a rename, complete and durable; what a crash leaves of one being made
//! has the suffix `.tmp` and is removed before the next one.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::{FloatHistogram, Histogram, SeriesRef};

use super::{Compression, DEFAULT_SEGMENT_SIZE, Reader, SegmentRange, SegmentWriter, WalError};
use crate::fs::{FileKind, Fs, atomic};
use crate::record::{
    ExemplarsEncoder, ExemplarsRecord, HistogramBatch, HistogramPayload, HistogramsEncoder,
    HistogramsRecord, MetadataEncoder, Record, RecordError, RefMetadata, RefSample, RefTombstone,
    SamplesEncoder, SamplesRecord, SeriesEncoder, TombstonesEncoder,
};

const PREFIX: &str = "checkpoint.";
const TEMPORARY_SUFFIX: &str = ".tmp";

/// A finished checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The last segment it covers.
    pub index: u64,
    pub dir: PathBuf,
}

/// What a checkpoint keeps.
pub struct Keep<'k> {
    /// Whether a series' labels, tombstones and metadata are still needed; the answer for a series
    /// must not change while the checkpoint is made.
    pub series: &'k dyn Fn(SeriesRef) -> bool,
    /// Samples and exemplars before this time are dropped, and tombstones that end before it.
    pub min_t: i64,
}

/// What went into a checkpoint: processed in all, and dropped of those.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CheckpointStats {
    pub series: Counts,
    /// Floats and histograms.
    pub samples: Counts,
    pub tombstones: Counts,
    pub exemplars: Counts,
    pub metadata: Counts,
}

/// Entries of one family.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub total: u64,
    pub dropped: u64,
}

impl Counts {
    fn add(&mut self, total: usize, kept: usize) {
        self.total += total as u64;
        self.dropped += (total - kept) as u64;
    }
}

/// The directory of a checkpoint.
pub fn dir(wal_dir: &Path, index: u64) -> PathBuf {
    wal_dir.join(format!("{PREFIX}{index:08}"))
}

/// The finished checkpoints of a log, oldest first.
pub fn list(fs: &dyn Fs, wal_dir: &Path) -> Result<Vec<Checkpoint>, WalError> {
    let entries = match fs.list(wal_dir) {
        Ok(entries) => entries,
        Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(err) => return Err(WalError::io("open", wal_dir)(err)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let Some(number) = entry.name.strip_prefix(PREFIX) else { continue };
        if entry.kind != FileKind::Dir {
            return Err(WalError::CheckpointNotADirectory(entry.name));
        }
        if let Ok(index) = number.parse() {
            found.push(Checkpoint { index, dir: wal_dir.join(&entry.name) });
        }
    }
    found.sort_by_key(|checkpoint| checkpoint.index);
    Ok(found)
}

/// The latest finished checkpoint.
pub fn last(fs: &dyn Fs, wal_dir: &Path) -> Result<Option<Checkpoint>, WalError> {
    Ok(list(fs, wal_dir)?.pop())
}

/// Removes the checkpoints before `index`.
pub fn delete_before(fs: &dyn Fs, wal_dir: &Path, index: u64) -> Result<(), WalError> {
    for checkpoint in list(fs, wal_dir)? {
        if checkpoint.index < index {
            fs.remove_dir_all(&checkpoint.dir).map_err(WalError::io("remove", &checkpoint.dir))?;
        }
    }
    Ok(())
}

/// Removes what crashes left of checkpoints being made.
pub fn delete_temporary(fs: &dyn Fs, wal_dir: &Path) -> Result<(), WalError> {
    let entries = match fs.list(wal_dir) {
        Ok(entries) => entries,
        Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(err) => return Err(WalError::io("open", wal_dir)(err)),
    };
    for entry in entries {
        let temporary = entry.name.starts_with(PREFIX) && entry.name.ends_with(TEMPORARY_SUFFIX);
        if temporary && entry.kind == FileKind::Dir {
            let path = wal_dir.join(&entry.name);
            fs.remove_dir_all(&path).map_err(WalError::io("remove", &path))?;
        }
    }
    Ok(())
}

/// Makes the checkpoint that covers segments up to `to`: of the last checkpoint and the segments
/// behind it, from `from` at the latest, it holds what `keep` keeps, and the last metadata of each
/// series at its end. Records of which everything is kept are copied as they are. Corruption is an
/// error, as nobody could say which series were lost.
pub fn create(
    fs: &Arc<dyn Fs>,
    wal_dir: &Path,
    (from, to): (u64, u64),
    keep: &Keep<'_>,
    compression: Compression,
) -> Result<CheckpointStats, WalError> {
    let mut ranges = Vec::new();
    let mut first = from;
    if let Some(last) = last(fs.as_ref(), wal_dir)? {
        let expected = last.index.saturating_add(1);
        if from > expected {
            return Err(WalError::CheckpointGap { expected, requested: from });
        }
        first = expected;
        ranges.push(SegmentRange { dir: last.dir, first: None, last: None });
    }
    ranges.push(SegmentRange { dir: wal_dir.to_owned(), first: Some(first), last: Some(to) });
    let reader = Reader::open(fs.clone(), &ranges)?;

    delete_temporary(fs.as_ref(), wal_dir)?;
    let finished = dir(wal_dir, to);
    let mut temporary = finished.clone().into_os_string();
    temporary.push(TEMPORARY_SUFFIX);
    let temporary = PathBuf::from(temporary);
    let made = write(fs.as_ref(), &temporary, reader, keep, compression).and_then(|stats| {
        let replaced = atomic::replace(fs.as_ref(), &temporary, &finished);
        replaced.map_err(WalError::io("rename", &temporary))?;
        Ok(stats)
    });
    if made.is_err() {
        // Best effort: the first error is the one to report, and the next start cleans up.
        let _ = fs.remove_dir_all(&temporary);
    }
    made
}

fn write(
    fs: &dyn Fs,
    dir: &Path,
    mut reader: Reader,
    keep: &Keep<'_>,
    compression: Compression,
) -> Result<CheckpointStats, WalError> {
    let mut writer = SegmentWriter::create(fs, dir, DEFAULT_SEGMENT_SIZE, compression)?;
    let mut filter = Filter::new(keep);
    let mut source = PathBuf::new();
    loop {
        let entry = reader.next_entry()?;
        let Some(entry) = entry else { break };
        let position = entry.position;
        match filter.apply(entry.record) {
            Ok(Verdict::Copy) => writer.log(entry.record)?,
            Ok(Verdict::Rewritten) => writer.log(&filter.out)?,
            Ok(Verdict::Drop) => {}
            Err(err) => {
                source.extend(reader.current().map(|(dir, _)| dir));
                return Err(position.corruption(&source, err).into());
            }
        }
    }
    if filter.write_metadata() {
        writer.log(&filter.out)?;
    }
    writer.finish()?;
    Ok(filter.stats)
}

/// What becomes of a record.
enum Verdict {
    Copy,
    /// What is kept stands in `Filter::out`.
    Rewritten,
    Drop,
}

impl Verdict {
    fn of(total: usize, kept: usize) -> Verdict {
        match kept {
            0 => Verdict::Drop,
            _ if kept == total => Verdict::Copy,
            _ => Verdict::Rewritten,
        }
    }
}

/// The last metadata of a series.
struct LastMetadata {
    type_number: u8,
    unit: String,
    help: String,
}

/// Decides record by record; keeps its vectors between them.
struct Filter<'k> {
    keep: &'k Keep<'k>,
    stats: CheckpointStats,
    out: Vec<u8>,
    samples: Vec<RefSample>,
    tombstones: Vec<RefTombstone>,
    histograms: HistogramBatch<Histogram>,
    float_histograms: HistogramBatch<FloatHistogram>,
    metadata: BTreeMap<u64, LastMetadata>,
}

impl<'k> Filter<'k> {
    fn new(keep: &'k Keep<'k>) -> Filter<'k> {
        Filter {
            keep,
            stats: CheckpointStats::default(),
            out: Vec::new(),
            samples: Vec::new(),
            tombstones: Vec::new(),
            histograms: HistogramBatch::default(),
            float_histograms: HistogramBatch::default(),
            metadata: BTreeMap::new(),
        }
    }

    fn apply(&mut self, record: &[u8]) -> Result<Verdict, RecordError> {
        self.out.clear();
        match Record::classify(record) {
            Record::Series(series) => {
                let entries = series.entries()?;
                let kept = |entry: &crate::record::RefSeries<'_>| (self.keep.series)(entry.series);
                let (total, left) = (entries.count(), entries.filter(kept).count());
                self.stats.series.add(total, left);
                if left > 0 && left < total {
                    let mut out = SeriesEncoder::new(&mut self.out);
                    for entry in entries.filter(kept) {
                        out.push(entry.series, entry.labels.len(), entry.labels.iter());
                    }
                }
                Ok(Verdict::of(total, left))
            }
            Record::Samples(samples) => self.samples(samples),
            Record::Tombstones(tombstones) => {
                tombstones.decode(&mut self.tombstones)?;
                let total = self.tombstones.len();
                let keep = self.keep;
                self.tombstones.retain(|t| (keep.series)(t.series) && t.max_t >= keep.min_t);
                self.stats.tombstones.add(total, self.tombstones.len());
                let mut out = TombstonesEncoder::new(&mut self.out);
                self.tombstones.iter().for_each(|tombstone| out.push(*tombstone));
                Ok(Verdict::of(total, self.tombstones.len()))
            }
            Record::Exemplars(exemplars) => self.exemplars(exemplars),
            Record::Metadata(metadata) => {
                let mut total = 0;
                let mut new = 0;
                for entry in metadata.entries()? {
                    total += 1;
                    new += usize::from(self.remember(entry));
                }
                self.stats.metadata.add(total, new);
                Ok(Verdict::Drop)
            }
            Record::Histograms(histograms) => {
                let batch = &mut self.histograms;
                let counts = filter_histograms(histograms, batch, &mut self.out, self.keep.min_t)?;
                self.stats.samples.add(counts.0, counts.1);
                Ok(Verdict::of(counts.0, counts.1))
            }
            Record::FloatHistograms(histograms) => {
                let batch = &mut self.float_histograms;
                let counts = filter_histograms(histograms, batch, &mut self.out, self.keep.min_t)?;
                self.stats.samples.add(counts.0, counts.1);
                Ok(Verdict::of(counts.0, counts.1))
            }
            // Markers belong to the WBL, which has no checkpoints; types of other versions cannot
            // be judged. Prometheus leaves both out.
            Record::MmapMarkers(_) | Record::Unknown => Ok(Verdict::Drop),
        }
    }

    fn samples(&mut self, record: SamplesRecord<'_>) -> Result<Verdict, RecordError> {
        record.decode(&mut self.samples)?;
        let total = self.samples.len();
        let min_t = self.keep.min_t;
        self.samples.retain(|sample| sample.t >= min_t);
        let left = self.samples.len();
        self.stats.samples.add(total, left);
        if left > 0 && left < total {
            let mut out = SamplesEncoder::new(&mut self.out, record.version());
            self.samples.iter().for_each(|sample| out.push(*sample));
        }
        Ok(Verdict::of(total, left))
    }

    fn exemplars(&mut self, record: ExemplarsRecord<'_>) -> Result<Verdict, RecordError> {
        let entries = record.entries()?;
        let mut out = ExemplarsEncoder::new(&mut self.out);
        let (mut total, mut left) = (0, 0);
        for entry in entries {
            total += 1;
            if entry.t >= self.keep.min_t {
                left += 1;
                let labels = entry.labels;
                out.push(entry.series, entry.t, entry.v, labels.len(), labels.iter());
            }
        }
        self.stats.exemplars.add(total, left);
        Ok(Verdict::of(total, left))
    }

    /// Keeps the metadata of a series unless the series is dropped; whether it is the first.
    fn remember(&mut self, entry: RefMetadata<'_>) -> bool {
        if !(self.keep.series)(entry.series) {
            return false;
        }
        let RefMetadata { series, type_number, unit, help } = entry;
        let last = LastMetadata { type_number, unit: unit.to_owned(), help: help.to_owned() };
        self.metadata.insert(series.0, last).is_none()
    }

    /// Writes the record of all last metadata; false when there is none.
    fn write_metadata(&mut self) -> bool {
        self.out.clear();
        let mut out = MetadataEncoder::new(&mut self.out);
        for (series, LastMetadata { type_number, unit, help }) in &self.metadata {
            let type_number = *type_number;
            out.push(RefMetadata { series: SeriesRef(*series), type_number, unit, help });
        }
        !self.metadata.is_empty()
    }
}

/// Writes what is kept of a histogram record to `out`; how many there were and how many are left.
fn filter_histograms<H: HistogramPayload>(
    record: HistogramsRecord<'_, H>,
    batch: &mut HistogramBatch<H>,
    out: &mut Vec<u8>,
    min_t: i64,
) -> Result<(usize, usize), RecordError> {
    record.decode(batch)?;
    let total = batch.samples().len();
    let kept = || batch.samples().iter().filter(|sample| sample.t >= min_t);
    let left = kept().count();
    if left > 0 && left < total {
        let mut out = HistogramsEncoder::new(out, record.kind());
        kept().for_each(|s| out.push(s.series, s.start_t, s.t, &s.histogram));
    }
    Ok((total, left))
}

#[cfg(test)]
mod tests;
