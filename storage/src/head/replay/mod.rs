//! Replay: a head from its directory. Chunks of `chunks_head` first, then checkpoint and log, then
//! the log of late samples.
//!
//! One thread decodes, this one applies, in log order. What must hold afterwards: every sample that
//! was ever acknowledged and is not in a block can be read, unless the log was corrupt before it;
//! refs of the log and of `chunks_head` are never given out again. A sample that is not newer than
//! the last of its series is in a chunk already, or lost to a newer one when it was logged; either
//! way it is left out, as the commit left it out.

mod decode;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::columns::HistogramValue;
use model::value::is_stale_nan;
use model::{Exemplar, FloatHistogram, Histogram, Metadata, TimeRange};

use self::decode::{Decoded, HistogramEntry, SeriesEntry};
use super::append::NewSeries;
use super::apply::{Apply, Series};
use super::batch::HistogramType;
use super::mmap::mapped;
use super::ooo::{OooSample, OooValue};
use super::refs::RefSnapshot;
use super::series::{MappedChunk, Slot, page_number, place};
use super::{Head, write};
use crate::db::ReplayProgress;
use crate::file_error::FileError;
use crate::fs::Fs;
use crate::record::{RefMmapMarker, RefSample, RefTombstone};
use crate::wal::{Reader, WalError, repair};

/// A tombstone of this range says that the series itself was removed.
const EVERYTHING: TimeRange = TimeRange::ALL;

/// What went wrong and was mended, for the log.
#[derive(Debug, Default)]
pub(crate) struct Mended {
    /// `chunks_head` files that were removed.
    pub chunks: Option<FileError>,
    /// Where the log was cut.
    pub wal: Option<String>,
    pub wbl: Option<String>,
}

type Chunks = HashMap<u64, Vec<MappedChunk>>;

/// The state of a replay.
struct Replay<'h> {
    head: &'h Head,
    apply: Apply<'h>,
    refs: RefSnapshot,
    /// Chunks of `chunks_head` whose series has not been met yet.
    chunks: Chunks,
    late_chunks: Chunks,
    /// Refs of series records whose labels had another ref already.
    redirect: HashMap<u64, u64>,
    next_slot: Slot,
    free_slots: Vec<Slot>,
    min_valid: i64,
    wal_dir: PathBuf,
}

impl Head {
    /// Fills an empty head. In-order samples before `min_valid` are in blocks and left out.
    pub(crate) fn replay(
        &self,
        fs: &Arc<dyn Fs>,
        dir: &Path,
        min_valid: i64,
        progress: &ReplayProgress,
    ) -> Result<Mended, WalError> {
        let mut mended = Mended::default();
        self.times.raise_min_valid(min_valid);
        let mut replay = Replay {
            head: self,
            apply: self.apply(0),
            refs: RefSnapshot::default(),
            chunks: Chunks::new(),
            late_chunks: Chunks::new(),
            redirect: HashMap::new(),
            next_slot: 0,
            free_slots: Vec::new(),
            min_valid,
            wal_dir: dir.join("wal"),
        };
        mended.chunks = replay.load_chunks();
        mended.wal = replay.wal(fs, progress)?;
        mended.wbl = replay.wbl(fs, &dir.join("wbl"), progress)?;
        replay.finish();
        Ok(mended)
    }
}

impl Replay<'_> {
    /// Reads what `chunks_head` has. After a corruption its file and all later ones are removed;
    /// their samples are in the log.
    fn load_chunks(&mut self) -> Option<FileError> {
        let mut failed = None;
        for entry in self.head.chunks.files().entries() {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            };
            self.head.chunks.found(entry.at.0);
            let Some(chunk) = mapped(&entry) else { continue };
            if !entry.out_of_order && chunk.max_t() < self.min_valid {
                continue;
            }
            let chunks = if entry.out_of_order { &mut self.late_chunks } else { &mut self.chunks };
            chunks.entry(entry.series.0).or_default().push(chunk);
        }
        let error = failed?;
        self.head.metrics.mmap_chunk_corruptions.add(1);
        let from = error.file_number().unwrap_or(0);
        // Chunks of removed files must not be referred to, whether the removal works or not.
        let below = crate::chunk::ChunkRef::new(from, 0).0;
        for chunks in [&mut self.chunks, &mut self.late_chunks] {
            chunks.values_mut().for_each(|list| list.retain(|c| c.chunk_ref < below));
        }
        Some(self.head.chunks.files().drop_from(from).err().unwrap_or(error))
    }

    fn wal(
        &mut self,
        fs: &Arc<dyn Fs>,
        progress: &ReplayProgress,
    ) -> Result<Option<String>, WalError> {
        let dir = self.wal_dir.clone();
        let reader = Reader::replay(fs.clone(), &dir)?;
        if let Some((first, last)) = reader.remaining(&dir) {
            progress.start(first, last);
        }
        match decode::run(reader, |decoded| self.record(decoded, progress)) {
            Ok(()) => Ok(None),
            Err(error) => self.mend(fs, &dir, error).map(Some),
        }
    }

    fn wbl(
        &mut self,
        fs: &Arc<dyn Fs>,
        dir: &Path,
        progress: &ReplayProgress,
    ) -> Result<Option<String>, WalError> {
        if crate::wal::segments(fs.as_ref(), dir)?.is_empty() {
            return Ok(None);
        }
        let reader = Reader::replay(fs.clone(), dir)?;
        if let Some((first, last)) = reader.remaining(dir) {
            progress.start(first, last);
        }
        match decode::run(reader, |decoded| self.late_record(decoded, progress)) {
            Ok(()) => Ok(None),
            Err(error) => self.mend(fs, dir, error).map(Some),
        }
    }

    /// Cuts a corrupt log at the bad record; everything else is an error.
    fn mend(&self, fs: &Arc<dyn Fs>, dir: &Path, error: WalError) -> Result<String, WalError> {
        self.head.metrics.wal_corruptions.add(1);
        match error {
            WalError::Corruption(damage) => {
                repair(fs.as_ref(), dir, &damage)?;
                Ok(damage.to_string())
            }
            other => Err(other),
        }
    }

    fn record(&mut self, decoded: Decoded, progress: &ReplayProgress) {
        match decoded {
            Decoded::Segment(dir, number) => {
                if dir == self.wal_dir {
                    progress.read(number);
                }
            }
            Decoded::Series(series) => self.series(series),
            Decoded::Samples(samples) => self.samples(&samples),
            Decoded::Histograms(histograms) => self.histograms(&histograms),
            Decoded::Tombstones(stones) => self.tombstones(&stones),
            Decoded::Exemplars(exemplars) => self.exemplars(exemplars),
            Decoded::Metadata(metadata) => self.metadata(metadata),
            Decoded::Markers(_) => {}
        }
    }

    fn series(&mut self, entries: Vec<SeriesEntry>) {
        let mut created = Vec::with_capacity(entries.len());
        for entry in entries {
            self.head.reserve_ref(entry.series_ref);
            if entry.labels.is_empty() || entry.series_ref == 0 {
                continue;
            }
            let slot = self.head.index().find(entry.hash, &entry.labels);
            let Some(slot) = slot else {
                self.create(entry, &mut created);
                continue;
            };
            match self.head.series_ref(slot) {
                Some(known) if known != entry.series_ref => {
                    self.redirect.insert(entry.series_ref, known);
                    self.attach(slot, entry.series_ref);
                }
                _ => {}
            }
        }
        for (slot, series_ref) in created {
            self.attach(slot, series_ref);
        }
    }

    fn create(&mut self, entry: SeriesEntry, created: &mut Vec<(Slot, u64)>) {
        let slot = self.free_slots.pop().unwrap_or_else(|| {
            self.next_slot += 1;
            self.next_slot - 1
        });
        let SeriesEntry { series_ref, labels, hash } = entry;
        if self.head.pages.get_or_make(page_number(slot)).is_none() {
            return;
        }
        self.head.create(&[(slot, NewSeries { series_ref, labels, hash })]);
        created.push((slot, series_ref));
    }

    /// Gives a series the chunks that `chunks_head` has under a ref.
    fn attach(&mut self, slot: Slot, series_ref: u64) {
        let chunks = self.chunks.remove(&series_ref).unwrap_or_default();
        let late = self.late_chunks.remove(&series_ref).unwrap_or_default();
        if chunks.is_empty() && late.is_empty() {
            return;
        }
        let Some(page) = self.head.pages.get(page_number(slot)) else { return };
        let mut records = page.lock();
        let mut series = Series { page, records: &mut records, place: place(slot) };
        let metrics = &self.head.metrics;
        metrics.chunks.add((chunks.len() + late.len()) as u64);
        metrics.chunks_created.add((chunks.len() + late.len()) as u64);
        for chunk in chunks {
            if series.last_t().is_some_and(|last| last >= chunk.min_t) {
                // Nothing that was stored may be lost: it is merged when read.
                series.keep_late_chunk(chunk);
                self.head.extend_late(chunk.min_t, chunk.max_t());
                continue;
            }
            series.close(&mut self.apply);
            series.keep_chunk(chunk);
            self.apply.done.min_t = self.apply.done.min_t.min(chunk.min_t);
            self.apply.done.max_t = self.apply.done.max_t.max(chunk.max_t());
        }
        for chunk in late {
            series.keep_late_chunk(chunk);
            self.head.extend_late(chunk.min_t, chunk.max_t());
        }
    }

    /// The series a ref of the log means; its records must outlive what still uses the other ref.
    fn resolve(&mut self, series_ref: u64, t: i64) -> Option<(u64, Slot)> {
        let mut series_ref = series_ref;
        if !self.redirect.is_empty()
            && let Some(&known) = self.redirect.get(&series_ref)
        {
            self.head.keep_in_log(series_ref, t);
            series_ref = known;
        }
        Some((series_ref, self.head.refs.lookup(&mut self.refs, series_ref)?))
    }

    fn samples(&mut self, samples: &[RefSample]) {
        let mut rest = samples;
        let mut unknown = 0;
        while let Some(first) = rest.first() {
            let Some((_, slot)) = self.resolve(first.series.0, first.t) else {
                unknown += 1;
                rest = &rest[1..];
                continue;
            };
            let number = page_number(slot);
            let Some(page) = self.head.pages.get(number) else { return };
            let mut records = page.lock();
            let mut slot = Some(slot);
            while let Some(s) = rest.first() {
                let at = match slot.take() {
                    Some(slot) => slot,
                    None => match self.resolve(s.series.0, s.t) {
                        Some((_, slot)) if page_number(slot) == number => slot,
                        _ => break,
                    },
                };
                rest = &rest[1..];
                if s.t >= self.min_valid {
                    let series = Series { page, records: &mut records, place: place(at) };
                    self.float(series, s);
                }
            }
        }
        self.head.metrics.unknown_sample_refs.add(unknown);
    }

    fn float(&mut self, mut series: Series<'_>, s: &RefSample) {
        if series.last_t().is_some_and(|last| s.t <= last) {
            return;
        }
        // A sample that cannot be encoded was not stored when it was logged either.
        let _ = match series.last_histogram_kind().filter(|_| is_stale_nan(s.v)) {
            None => series.push_float(&mut self.apply, s.t, s.start_t, s.v),
            Some(HistogramType::Integer | HistogramType::IntegerCustom) => {
                let h = Histogram { sum: s.v, ..Histogram::default() };
                let value = HistogramValue::Integer(Box::new(h));
                series.push_histogram(&mut self.apply, s.t, s.start_t, &value)
            }
            Some(HistogramType::Float | HistogramType::FloatCustom) => {
                let h = FloatHistogram { sum: s.v, ..FloatHistogram::default() };
                let value = HistogramValue::Float(Box::new(h));
                series.push_histogram(&mut self.apply, s.t, s.start_t, &value)
            }
        };
    }

    fn histograms(&mut self, histograms: &[HistogramEntry]) {
        for h in histograms {
            if h.t < self.min_valid {
                continue;
            }
            let Some((_, slot)) = self.resolve(h.series_ref, h.t) else {
                self.head.metrics.unknown_histogram_refs.add(1);
                continue;
            };
            let Some(page) = self.head.pages.get(page_number(slot)) else { continue };
            let mut records = page.lock();
            let mut series = Series { page, records: &mut records, place: place(slot) };
            if series.last_t().is_none_or(|last| h.t > last) {
                let _ = series.push_histogram(&mut self.apply, h.t, h.start_t, &h.value);
            }
        }
    }

    fn tombstones(&mut self, stones: &[RefTombstone]) {
        for stone in stones {
            self.head.reserve_ref(stone.series.0);
            let range = TimeRange { min: stone.min_t, max: stone.max_t };
            if range != EVERYTHING && range.max < self.min_valid {
                continue;
            }
            match self
                .resolve(stone.series.0, if range == EVERYTHING { i64::MIN } else { range.max })
            {
                Some((series_ref, slot)) if range == EVERYTHING => self.remove(series_ref, slot),
                Some((series_ref, _)) => write(&self.head.tombstones).add(series_ref, range),
                None if range == EVERYTHING => {}
                None => self.head.metrics.unknown_tombstone_refs.add(1),
            }
        }
    }

    /// Takes a series out of the head; nobody reads yet.
    fn remove(&mut self, series_ref: u64, slot: Slot) {
        let mut index = self.head.index_mut();
        index.unlink(&[slot]);
        index.release(&[slot]);
        drop(index);
        self.head.refs.remove(&[series_ref]);
        if let Some(page) = self.head.pages.get(page_number(slot)) {
            page.reset(place(slot), 0);
        }
        self.head.metrics.series.sub(1);
        self.free_slots.push(slot);
    }

    fn exemplars(&mut self, exemplars: Vec<(u64, Exemplar)>) {
        let min_valid = self.min_valid;
        let kept: Vec<(u64, Exemplar)> = exemplars
            .into_iter()
            .filter(|(_, e)| e.timestamp_ms >= min_valid)
            .filter_map(|(series_ref, e)| {
                let found = self.resolve(series_ref, e.timestamp_ms);
                self.head.metrics.unknown_exemplar_refs.add(u64::from(found.is_none()));
                Some((found?.0, e))
            })
            .collect();
        self.head.keep_exemplars(&kept);
    }

    fn metadata(&mut self, metadata: Vec<(u64, Metadata)>) {
        let kept: Vec<(u64, Metadata)> = metadata
            .into_iter()
            .filter_map(|(series_ref, m)| {
                let found = self.resolve(series_ref, i64::MIN);
                self.head.metrics.unknown_metadata_refs.add(u64::from(found.is_none()));
                Some((found?.0, m))
            })
            .collect();
        self.head.keep_metadata(&kept);
    }

    fn late_record(&mut self, decoded: Decoded, progress: &ReplayProgress) {
        match decoded {
            Decoded::Segment(_, number) => progress.read(number),
            Decoded::Samples(samples) => {
                for s in &samples {
                    let value = OooValue::Float(s.v);
                    let sample = OooSample { t: s.t, start_t: s.start_t, value };
                    self.late_sample(s.series.0, sample);
                }
            }
            Decoded::Histograms(histograms) => {
                for h in histograms {
                    let value = OooValue::Histogram(h.value);
                    let sample = OooSample { t: h.t, start_t: h.start_t, value };
                    self.late_sample(h.series_ref, sample);
                }
            }
            Decoded::Markers(markers) => markers.iter().for_each(|m| self.marker(m)),
            _ => {}
        }
    }

    fn late_sample(&mut self, series_ref: u64, sample: OooSample) {
        let t = sample.t;
        let Some((_, slot)) = self.resolve(series_ref, i64::MIN) else {
            self.head.metrics.unknown_sample_refs.add(1);
            return;
        };
        let Some(page) = self.head.pages.get(page_number(slot)) else { return };
        let mut records = page.lock();
        let ooo = records.cold[place(slot)].extra_mut().ooo.get_or_insert_default();
        ooo.insert(sample);
        drop(records);
        self.head.extend_late(t, t);
    }

    /// What the log said of the series so far is in a chunk. If that chunk is not there, because its
    /// buffer died with the process or it is in a block by now, the samples stay: what a block has
    /// too is merged when read.
    fn marker(&mut self, marker: &RefMmapMarker) {
        let Some((_, slot)) = self.resolve(marker.series.0, i64::MIN) else { return };
        let Some(page) = self.head.pages.get(page_number(slot)) else { return };
        let mut records = page.lock();
        let extra = records.cold[place(slot)].extra.as_mut();
        if let Some(ooo) = extra.and_then(|e| e.ooo.as_mut())
            && ooo.chunks.iter().any(|c| c.chunk_ref == marker.chunk)
        {
            ooo.samples.clear();
        }
    }

    fn finish(self) {
        let mut state = self.head.lock_commit();
        state.next_slot = self.next_slot;
        state.free_slots = self.free_slots;
        drop(state);
        self.head.add_done(self.apply.done);
        // Chunks reach below what blocks hold; the head begins behind them.
        if self.head.times.is_set() && self.head.times.min() < self.min_valid {
            self.head.times.truncate(self.min_valid);
        }
    }
}
