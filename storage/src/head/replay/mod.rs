//! Replay: a head from its directory. Chunks of `chunks_head` first, then checkpoint and log, then
//! the log of late samples.
//!
//! One thread decodes. This one applies what concerns series as such, in log order (new series,
//! refs that mean the same labels, tombstones, exemplars, metadata), and rewrites the refs of samples
//! to slots; threads that share the pages among them make the records and put the samples in. What must hold afterwards:
//! every sample that was ever acknowledged and is not in a block can be read, unless the log was
//! corrupt before it; refs of the log and of `chunks_head` are never given out again. A sample that
//! is not newer than the last of its series is in a chunk already, or lost to a newer one when it was
//! logged; either way it is left out, as the commit left it out.

mod chunk_snapshot;
mod chunks;
pub(super) mod decode;
mod late;
mod pool;
mod series;
mod shards;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::{Exemplar, Metadata, TimeRange};

use self::chunks::Found;
use self::decode::{Decoded, HistogramEntry, Spent};
use self::pool::Pool;
use self::series::Redirect;
use self::shards::{Shards, SlotFloat, SlotHistogram};
use super::index::BulkMemory;
use super::refs::RefSnapshot;
use super::series::Slot;
use super::{Head, write};
use crate::db::{HeadSnapshot, ReplayProgress};
use crate::file_error::FileError;
use crate::fs::Fs;
use crate::record::{RefSample, RefTombstone};
use crate::wal::{Reader, WalError, repair};

/// A tombstone of this range says that the series itself was removed.
const EVERYTHING: TimeRange = TimeRange::ALL;

/// What a replay has to say for the log: most of it is what went wrong and was mended.
#[derive(Debug, Default)]
pub(crate) struct Mended {
    /// `chunks_head` files that were removed.
    pub chunks: Option<FileError>,
    /// Prometheus's snapshot took the log's place.
    pub from_snapshot: bool,
    /// Why a snapshot was not used.
    pub snapshot: Option<String>,
    /// Where the log was cut.
    pub wal: Option<String>,
    pub wbl: Option<String>,
}

/// The state of a replay.
struct Replay<'h> {
    head: &'h Head,
    refs: RefSnapshot,
    found: Found,
    /// Refs of series records whose labels had another ref already.
    redirect: HashMap<u64, Redirect>,
    next_slot: Slot,
    free_slots: Vec<Slot>,
    memory: BulkMemory,
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
        let mut replay = Replay::new(self, dir, min_valid);
        mended.chunks = replay.chunks();
        // Without all of its chunks a snapshot is not whole; the log is.
        if self.options.snapshot == HeadSnapshot::Prometheus && mended.chunks.is_none() {
            match replay.find_chunk_snapshot(fs, dir) {
                Ok(found) => mended.from_snapshot = found,
                Err(error) => {
                    mended.snapshot = Some(error.to_string());
                    self.forget();
                    replay = Replay::new(self, dir, min_valid);
                    mended.chunks = replay.chunks();
                }
            }
        }
        if !mended.from_snapshot {
            mended.wal = replay.wal(fs, progress)?;
        }
        mended.wbl = replay.wbl(fs, &dir.join("wbl"), progress)?;
        replay.finish();
        Ok(mended)
    }
}

impl<'h> Replay<'h> {
    fn new(head: &'h Head, dir: &Path, min_valid: i64) -> Replay<'h> {
        head.times.raise_min_valid(min_valid);
        Replay {
            head,
            refs: RefSnapshot::default(),
            found: Found::default(),
            redirect: HashMap::new(),
            next_slot: 0,
            free_slots: Vec::new(),
            memory: BulkMemory::default(),
            min_valid,
            wal_dir: dir.join("wal"),
        }
    }

    /// Takes in what `chunks_head` has. A ref that only its files know, because the end of the log is
    /// gone, is never given out again: the next start would give the new series these chunks.
    fn chunks(&mut self) -> Option<FileError> {
        let failed = self.found.load(self.head, self.min_valid);
        self.head.reserve_ref(self.found.last_ref());
        failed
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
        let (spent, floats) = (Spent::default(), Pool::default());
        let head = self.head;
        let done = std::thread::scope(|scope| {
            let mut shards = Shards::start(scope, head, &floats)?;
            let done =
                decode::run(reader, &spent, |d| self.record(d, &mut shards, &spent, progress));
            shards.finish(head);
            done
        });
        match done {
            Ok(()) => Ok(None),
            Err(error) => self.mend(fs, &dir, error).map(Some),
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

    fn record(
        &mut self,
        decoded: Decoded,
        shards: &mut Shards<'_>,
        spent: &Spent,
        progress: &ReplayProgress,
    ) {
        match decoded {
            Decoded::Segment(dir, number) => {
                if dir == self.wal_dir {
                    progress.read(number);
                }
            }
            Decoded::Series(series) => {
                self.series(&series, shards);
                spent.series.give(series);
            }
            Decoded::Samples(samples) => {
                self.samples(&samples, shards);
                spent.samples.give(samples);
            }
            Decoded::Histograms(histograms) => self.histograms(histograms, shards),
            Decoded::Tombstones(stones) => self.tombstones(&stones, shards),
            Decoded::Exemplars(exemplars) => self.exemplars(exemplars),
            Decoded::Metadata(metadata) => {
                shards.settle();
                self.metadata(metadata);
            }
            Decoded::Markers(_) => {}
        }
    }

    fn samples(&mut self, samples: &[RefSample], shards: &mut Shards<'_>) {
        let mut unknown = 0;
        for s in samples {
            if s.t < self.min_valid {
                continue;
            }
            match self.resolve(s.series.0, s.t) {
                Some((_, slot)) => {
                    shards.float(SlotFloat { slot, t: s.t, start_t: s.start_t, v: s.v });
                }
                None => unknown += 1,
            }
        }
        self.head.metrics.unknown_sample_refs.add(unknown);
    }

    fn histograms(&mut self, histograms: Vec<HistogramEntry>, shards: &mut Shards<'_>) {
        for HistogramEntry { series_ref, t, start_t, value } in histograms {
            if t < self.min_valid {
                continue;
            }
            match self.resolve(series_ref, t) {
                Some((_, slot)) => shards.histogram(SlotHistogram { slot, t, start_t, value }),
                None => self.head.metrics.unknown_histogram_refs.add(1),
            }
        }
    }

    fn tombstones(&mut self, stones: &[RefTombstone], shards: &mut Shards<'_>) {
        let mut removed = Vec::new();
        for stone in stones {
            self.head.reserve_ref(stone.series.0);
            let range = TimeRange { min: stone.min_t, max: stone.max_t };
            if range == EVERYTHING {
                removed.extend(self.resolve(stone.series.0, i64::MIN));
            } else if range.max >= self.min_valid {
                match self.resolve(stone.series.0, range.max) {
                    Some((series_ref, _)) => write(&self.head.tombstones).add(series_ref, range),
                    None => self.head.metrics.unknown_tombstone_refs.add(1),
                }
            }
        }
        if !removed.is_empty() {
            removed.sort_unstable();
            removed.dedup();
            shards.barrier();
            self.remove(&removed);
        }
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

    fn finish(self) {
        for (series_ref, redirect) in self.redirect {
            if let Some(until) = redirect.until {
                self.head.keep_in_log(series_ref, until);
            }
        }
        let mut state = self.head.lock_commit();
        state.next_slot = self.next_slot;
        state.free_slots = self.free_slots;
        drop(state);
        self.head.begin_behind_blocks(self.min_valid);
    }
}
