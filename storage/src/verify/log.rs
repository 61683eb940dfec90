//! Judging logs: every page, every record, and the refs that records use before a series record has
//! introduced them. After damage in a segment the next one is read on.

use std::path::{Path, PathBuf};

use model::{FloatHistogram, Histogram};

use super::head_chunks::HeadChunks;
use super::{KnownRefs, Verifier, labels_hash};
use crate::file_error::FileError;
use crate::fs::FileKind;
use crate::record::{
    HistogramBatch, Record, RecordError, RecordType, RefMmapMarker, RefSample, RefTombstone,
};
use crate::wal::{Position, Reader, checkpoint, segment_path};

/// Judges the records of a log that are not a log's; the reason when one is bad.
pub(super) type Judge<'j> = &'j mut dyn FnMut(&[u8]) -> Result<(), String>;

/// Refs of a segment that nothing introduced: how many entries, and the first.
#[derive(Default)]
struct Unknown {
    entries: u64,
    first: Option<(u64, u64)>,
}

/// Vectors that are kept between records.
#[derive(Default)]
struct Buffers {
    samples: Vec<RefSample>,
    tombstones: Vec<RefTombstone>,
    markers: Vec<RefMmapMarker>,
    histograms: HistogramBatch<Histogram>,
    float_histograms: HistogramBatch<FloatHistogram>,
}

/// What one segment is judged by.
struct Segment<'s> {
    refs: &'s mut KnownRefs,
    chunks: Option<&'s HeadChunks>,
    own: Option<Judge<'s>>,
    unknown: Unknown,
    lost_markers: u64,
    buffers: &'s mut Buffers,
}

impl Verifier<'_> {
    /// The latest checkpoint and the segments behind it.
    pub(super) fn write_ahead_log(&mut self, dir: &Path, refs: &mut KnownRefs) {
        let checkpoints = match checkpoint::list(&*self.fs, dir) {
            Ok(found) => found,
            Err(error) => return self.fault(error),
        };
        let mut behind = None;
        for (i, one) in checkpoints.iter().enumerate() {
            if i + 1 < checkpoints.len() {
                let path = one.dir.display();
                self.note(format!("{path}: replaced by a later checkpoint, can be removed"));
                continue;
            }
            self.log(&one.dir, None, refs, None, None);
            behind = one.index.checked_add(1);
        }
        self.log(dir, behind, refs, None, None);
    }

    /// The log of late samples; `chunks` are the references of `chunks_head`.
    pub(super) fn write_behind_log(
        &mut self,
        dir: &Path,
        refs: &mut KnownRefs,
        chunks: &HeadChunks,
    ) {
        self.log(dir, None, refs, Some(chunks), None);
    }

    /// A log whose records are judged by `own`.
    pub(super) fn own_log(&mut self, dir: &Path, own: Judge<'_>) {
        self.log(dir, None, &mut KnownRefs::new(), None, Some(own));
    }

    fn log(
        &mut self,
        dir: &Path,
        first: Option<u64>,
        refs: &mut KnownRefs,
        chunks: Option<&HeadChunks>,
        mut own: Option<Judge<'_>>,
    ) {
        let entries = match self.fs.list(dir) {
            Ok(entries) => entries,
            Err(error) => return self.fault(FileError::io("list", dir)(error)),
        };
        let files = entries.iter().filter(|e| e.kind == FileKind::File);
        let digits = files.filter(|e| e.name.bytes().all(|b| b.is_ascii_digit()));
        let mut numbers: Vec<(u64, PathBuf)> =
            digits.filter_map(|e| Some((e.name.parse().ok()?, dir.join(&e.name)))).collect();
        numbers.sort_unstable();
        let covered = numbers.iter().filter(|(n, _)| first.is_some_and(|first| *n < first)).count();
        if covered > 0 {
            let dir = dir.display();
            self.note(format!("{dir}: {covered} segments that the checkpoint covers"));
        }
        numbers.drain(..covered);
        if let (Some(first), Some((found, _))) = (first, numbers.first())
            && first != *found
        {
            self.fault(format!(
                "{}: missing behind the checkpoint",
                segment_path(dir, first).display()
            ));
        }
        for pair in numbers.windows(2).filter(|p| p[0].0.checked_add(1) != Some(p[1].0)) {
            let missing = segment_path(dir, pair[0].0.saturating_add(1));
            self.fault(format!("{}: segments are not sequential", missing.display()));
        }
        let mut buffers = Buffers::default();
        for (number, path) in numbers {
            self.counts.segments += 1;
            self.count_file(&path);
            let mut segment = Segment {
                refs,
                chunks,
                // Borrowed anew for each segment.
                own: own.as_mut().map(|own| &mut **own as Judge<'_>),
                unknown: Unknown::default(),
                lost_markers: 0,
                buffers: &mut buffers,
            };
            self.segment(dir, (number, &path), &mut segment);
            let Segment { unknown, lost_markers, .. } = segment;
            let path = path.display();
            if let Some((series, offset)) = unknown.first {
                let entries = unknown.entries;
                self.note(format!(
                    "{path}: {entries} entries of unknown series, first series {series} at offset {offset}"
                ));
            }
            if lost_markers > 0 {
                self.note(format!("{path}: {lost_markers} markers of chunks that are not there"));
            }
        }
    }

    fn segment(&mut self, dir: &Path, file: (u64, &Path), segment: &mut Segment<'_>) {
        let mut reader = Reader::open_segment(self.fs.clone(), dir, file, 0);
        let mut unknown_types = 0u64;
        loop {
            let (position, judged) = match reader.next_entry() {
                Ok(Some(entry)) => {
                    let judged = match &mut segment.own {
                        Some(own) => own(entry.record).map(|()| true),
                        None => segment.record(entry.record, entry.position),
                    };
                    (entry.position, judged)
                }
                Ok(None) => break,
                Err(error) => {
                    self.fault(error);
                    break;
                }
            };
            self.counts.records += 1;
            match judged {
                Ok(known) => unknown_types += u64::from(!known),
                Err(reason) => {
                    let (path, offset) = (file.1.to_owned(), position.start);
                    self.fault(FileError::Corrupt { what: "log record", path, offset, reason });
                }
            }
        }
        if unknown_types > 0 {
            let path = file.1.display();
            self.note(format!("{path}: {unknown_types} records of unknown types"));
        }
    }
}

impl Segment<'_> {
    /// Judges a record; whether its type is known.
    fn record(&mut self, record: &[u8], position: Position) -> Result<bool, String> {
        let text = |e: RecordError| e.to_string();
        let buffers = std::mem::take(self.buffers);
        let Buffers {
            mut samples,
            mut tombstones,
            mut markers,
            mut histograms,
            mut float_histograms,
        } = buffers;
        let judged = (|| {
            match Record::classify(record) {
                Record::Series(series) => {
                    for one in series.entries().map_err(text)? {
                        self.introduce(one.series.0, &one)?;
                    }
                }
                Record::Samples(found) => {
                    found.decode(&mut samples).map_err(text)?;
                    samples.iter().for_each(|s| self.used(s.series.0, position));
                }
                Record::Tombstones(found) => {
                    found.decode(&mut tombstones).map_err(text)?;
                    tombstones.iter().for_each(|t| self.used(t.series.0, position));
                }
                Record::Exemplars(found) => {
                    found.entries().map_err(text)?.for_each(|e| self.used(e.series.0, position));
                }
                Record::MmapMarkers(found) => {
                    found.decode(&mut markers).map_err(text)?;
                    for marker in &markers {
                        self.used(marker.series.0, position);
                        let there = self.chunks.is_none_or(|c| c.contains_key(&marker.chunk));
                        // 0 says that there is no chunk.
                        self.lost_markers += u64::from(!there && marker.chunk != 0);
                    }
                }
                Record::Metadata(found) => {
                    found.entries().map_err(text)?.for_each(|m| self.used(m.series.0, position));
                }
                Record::Histograms(found) => {
                    found.decode(&mut histograms).map_err(text)?;
                    histograms.samples().iter().for_each(|h| self.used(h.series.0, position));
                }
                Record::FloatHistograms(found) => {
                    found.decode(&mut float_histograms).map_err(text)?;
                    let all = float_histograms.samples().iter();
                    all.for_each(|h| self.used(h.series.0, position));
                }
                Record::Unknown => return Ok(RecordType::of(record).is_some()),
            }
            Ok(true)
        })();
        *self.buffers = Buffers { samples, tombstones, markers, histograms, float_histograms };
        judged
    }

    fn introduce(&mut self, series: u64, one: &crate::record::RefSeries<'_>) -> Result<(), String> {
        let hash = labels_hash(one.labels.iter())
            .ok_or_else(|| format!("series {series} has no labels, or not in order"))?;
        match self.refs.insert(series, hash) {
            Some(known) if known != hash => Err(format!("series {series} had other labels before")),
            _ => Ok(()),
        }
    }

    fn used(&mut self, series: u64, position: Position) {
        if !self.refs.contains_key(&series) {
            self.unknown.entries += 1;
            self.unknown.first.get_or_insert((series, position.start));
        }
    }
}
