//! A start from Prometheus's snapshot: in place of the log, not of `chunks_head` and not of the log
//! of late samples.

use std::path::Path;
use std::sync::Arc;

use super::{Replay, decode};
use crate::chunk::cut::range_end;
use crate::fs::Fs;
use crate::head::apply::{Done, Series};
use crate::head::chunk_snapshot::{self, Stored, StoredOpen};
use crate::head::index::{Bulk, Found};
use crate::head::replay::shards::Worker;
use crate::head::series::{MAX_SLOTS, Slot, page_number, place};
use crate::head::snapshot::{SnapshotError, log_end};
use crate::head::write;
use crate::record::{Record, SeriesBatch};

/// Series entered in the index at a time.
const BATCH: usize = 1024;
/// Refs are handed out from the next multiple of this on. The snapshot does not say which ones were
/// used by series that are gone; so many never were.
const REF_GAP: u64 = 1 << 32;

impl Replay<'_> {
    /// Loads the snapshot that fits the log; `false` when there is none.
    pub(super) fn find_chunk_snapshot(
        &mut self,
        fs: &Arc<dyn Fs>,
        dir: &Path,
    ) -> Result<bool, SnapshotError> {
        let Some(end) = log_end(fs.as_ref(), &self.wal_dir)? else { return Ok(false) };
        let Some(found) = chunk_snapshot::find(fs.as_ref(), dir, end)? else { return Ok(false) };
        self.chunk_snapshot(fs, &found)?;
        self.head.metrics.snapshot_loads.add(1);
        Ok(true)
    }

    /// Loads the series, tombstones and exemplars of a snapshot.
    fn chunk_snapshot(&mut self, fs: &Arc<dyn Fs>, dir: &Path) -> Result<(), SnapshotError> {
        let mut batch = SeriesBatch::default();
        let mut open: Vec<Option<StoredOpen>> = Vec::new();
        let mut exemplars = Vec::new();
        let mut last_ref = self.head.last_ref();
        let mut whole = false;
        chunk_snapshot::read_records(fs, dir, |record| {
            match chunk_snapshot::parse(record, &mut batch)? {
                Stored::Series(chunk) => {
                    open.push(chunk);
                    if open.len() == BATCH {
                        last_ref = last_ref.max(self.stored_series(&mut batch, &mut open)?);
                    }
                }
                Stored::Tombstones(stored) => {
                    // They come once, behind all series: the only sign that none is missing.
                    whole = true;
                    let mut tombstones = write(&self.head.tombstones);
                    for (series, intervals) in stored.iter() {
                        intervals
                            .as_slice()
                            .iter()
                            .for_each(|range| tombstones.add(series, *range));
                    }
                }
                Stored::Exemplars(record) => exemplars.push(record),
            }
            Ok(())
        })?;
        last_ref = last_ref.max(self.stored_series(&mut batch, &mut open)?);
        if !whole {
            return Err(SnapshotError::Unusable("its end is missing"));
        }
        for record in exemplars {
            if let Record::Exemplars(r) = Record::classify(&record) {
                self.head.keep_exemplars(&decode::exemplars(r)?);
            }
        }
        self.head.reserve_ref((last_ref / REF_GAP + 1) * REF_GAP);
        // Nor does it say under which other refs the log has samples of its series.
        self.head.keep_all_in_log(self.head.times.max());
        Ok(())
    }

    /// Creates the series gathered and opens their chunks; the highest ref.
    fn stored_series(
        &mut self,
        batch: &mut SeriesBatch,
        open: &mut Vec<Option<StoredOpen>>,
    ) -> Result<u64, SnapshotError> {
        let mut created: Vec<(Slot, u64)> = Vec::with_capacity(batch.len());
        {
            let mut index = self.head.index_mut();
            let mut bulk = Bulk::new(&mut index, &mut self.memory);
            for entry in batch.iter() {
                let slot = self.next_slot;
                let free = || ((slot as usize) < MAX_SLOTS).then_some(slot);
                let found = bulk.find_or_add(entry.hash, entry.labels, free);
                if found != Found::Added(slot) || entry.series.0 == 0 || entry.labels.is_empty() {
                    bulk.finish();
                    return Err(SnapshotError::Unusable("a series is there twice"));
                }
                self.next_slot += 1;
                created.push((slot, entry.series.0));
            }
            bulk.finish();
        }
        self.head.create_slots(&created);
        let mut worker = Worker::new(self.head);
        let mut done = Done::NOTHING;
        for (&(slot, series_ref), stored) in created.iter().zip(open.drain(..)) {
            if let Some(attached) = self.found.take(series_ref) {
                worker.attach(slot, attached);
            }
            if let Some(stored) = stored {
                self.stored_chunk(slot, stored, &mut done)?;
            }
        }
        batch.clear();
        self.head.add_done(worker.done().and(done));
        Ok(created.iter().map(|(_, series_ref)| *series_ref).max().unwrap_or(0))
    }

    fn stored_chunk(
        &self,
        slot: Slot,
        stored: StoredOpen,
        done: &mut Done,
    ) -> Result<(), SnapshotError> {
        let StoredOpen { mut image, data, stale } = stored;
        let range = chunk_snapshot::times(&image);
        if range.max < self.min_valid {
            // In blocks, all of it.
            return Ok(());
        }
        image.next_at = range_end(image.min_t, self.head.options.min_block_range_ms);
        let page = self.head.pages.get(page_number(slot));
        let page = page.ok_or(SnapshotError::Unusable("there is no such page"))?;
        let mut records = page.lock();
        let mut series = Series { page, records: &mut records, place: place(slot) };
        series.restore_open(image, &data, &mut model::Columns::default())?;
        series.records.hot[place(slot)].stale = stale;
        done.stale += i64::from(stale);
        done.chunks_created += 1;
        done.min_t = done.min_t.min(range.min);
        done.max_t = done.max_t.max(range.max);
        Ok(())
    }
}
