//! Saving logs: segments without a fault are copied, of others every record that can be read is
//! written anew. Numbers that were missing are closed up, as a log with a gap is not read.

use std::path::{Path, PathBuf};

use model::{FloatHistogram, Histogram};

use super::{RepairError, Repairer, copy};
use crate::file_error::FileError;
use crate::fs::FileKind;
use crate::record::{HistogramBatch, Record, RecordError};
use crate::wal::{Compression, SegmentWriter, checkpoint, salvage, segment_path};

/// Where a segment is written anew before it gets its name.
const MAKING: &str = "making.tmp";

impl Repairer<'_> {
    /// The latest checkpoint and the segments behind it.
    pub(super) fn write_ahead_log(&mut self, from: &Path, to: &Path) -> Result<(), RepairError> {
        let last = match checkpoint::last(&*self.fs, from) {
            Ok(last) => last,
            Err(error) => {
                self.lost(format!("checkpoint: {error}"));
                None
            }
        };
        let Some(last) = last else { return self.log(from, to, None) };
        self.log(&last.dir, &checkpoint::dir(to, last.index), None)?;
        self.log(from, to, last.index.checked_add(1))
    }

    /// The segments of a directory from number `first` on; they begin with that number.
    pub(super) fn log(
        &mut self,
        from: &Path,
        to: &Path,
        first: Option<u64>,
    ) -> Result<(), RepairError> {
        let fs = self.fs.clone();
        fs.create_dir_all(to).map_err(FileError::io("create", to))?;
        let entries = fs.list(from).map_err(FileError::io("list", from))?;
        let files = entries.into_iter().filter(|e| e.kind == FileKind::File);
        let digits = files.filter(|e| e.name.bytes().all(|b| b.is_ascii_digit()));
        let mut found: Vec<(u64, PathBuf)> =
            digits.filter_map(|e| Some((e.name.parse().ok()?, from.join(e.name)))).collect();
        found.sort_unstable();
        found.retain(|(n, _)| first.is_none_or(|first| *n >= first));
        let mut number = first.or(found.first().map(|f| f.0)).unwrap_or(0);
        for (old, path) in found {
            if old != number {
                let new = segment_path(to, number);
                self.lost(format!("{}: the segments before are missing", path.display()));
                self.mended(format!("{}: is now {}", path.display(), new.display()));
            }
            self.segment(from, (old, &path), to, number)?;
            number = number.saturating_add(1);
        }
        fs.sync_dir(to).map_err(FileError::io("sync", to))?;
        Ok(())
    }

    fn segment(
        &mut self,
        dir: &Path,
        file: (u64, &Path),
        to: &Path,
        number: u64,
    ) -> Result<(), RepairError> {
        let fs = self.fs.clone();
        let target = segment_path(to, number);
        let mut faults = Vec::new();
        let mut check = Check::default();
        let mut bad = Vec::new();
        let whole = salvage::<RepairError>(
            &fs,
            dir,
            file,
            &mut |entry| {
                if let Err(error) = check.record(entry.record) {
                    bad.push((entry.position.start, error.to_string()));
                }
                Ok(())
            },
            &mut |damage| faults.push(damage.to_string()),
        );
        match whole {
            Ok(()) => {}
            Err(error) => {
                self.lost(error);
                return Ok(empty(&fs, &target)?);
            }
        }
        if faults.is_empty() && bad.is_empty() {
            copy::file(&*fs, file.1, &target)?;
            self.saved.segments_copied += 1;
            return Ok(());
        }
        // All of it goes to one segment, however large.
        let making = to.join(MAKING);
        let mut writer = SegmentWriter::create(&*fs, &making, u64::MAX, Compression::Snappy)?;
        let mut records = 0u64;
        salvage::<RepairError>(
            &fs,
            dir,
            file,
            &mut |entry| {
                if check.record(entry.record).is_ok() {
                    writer.log(entry.record)?;
                    records += 1;
                }
                Ok(())
            },
            &mut |_| {},
        )?;
        writer.finish()?;
        let made = segment_path(&making, 0);
        fs.rename(&made, &target).map_err(FileError::io("rename", &made))?;
        fs.remove_dir_all(&making).map_err(FileError::io("remove", &making))?;
        self.saved.segments_rewritten += 1;
        let path = file.1.display();
        faults.extend(bad.iter().map(|(at, why)| format!("{path}: record at offset {at}: {why}")));
        faults.into_iter().for_each(|fault| self.lost(fault));
        self.mended(format!("{path}: written anew, {records} records"));
        Ok(())
    }
}

/// A segment without a record, in place of one that cannot be read at all.
fn empty(fs: &std::sync::Arc<dyn crate::fs::Fs>, path: &Path) -> Result<(), FileError> {
    let made = fs.open(path, crate::fs::OpenMode::CreateNew);
    made.map_err(FileError::io("create", path))?.sync().map_err(FileError::io("sync", path))
}

/// Decodes records into vectors that it keeps.
#[derive(Default)]
struct Check {
    samples: Vec<crate::record::RefSample>,
    tombstones: Vec<crate::record::RefTombstone>,
    markers: Vec<crate::record::RefMmapMarker>,
    histograms: HistogramBatch<Histogram>,
    float_histograms: HistogramBatch<FloatHistogram>,
}

impl Check {
    /// Whether a start could read it.
    fn record(&mut self, record: &[u8]) -> Result<(), RecordError> {
        match Record::classify(record) {
            Record::Series(r) => r.entries().map(drop),
            Record::Samples(r) => r.decode(&mut self.samples),
            Record::Tombstones(r) => r.decode(&mut self.tombstones),
            Record::Exemplars(r) => r.entries().map(drop),
            Record::MmapMarkers(r) => r.decode(&mut self.markers),
            Record::Metadata(r) => r.entries().map(drop),
            Record::Histograms(r) => r.decode(&mut self.histograms),
            Record::FloatHistograms(r) => r.decode(&mut self.float_histograms),
            Record::Unknown => Ok(()),
        }
    }
}
