//! Wal: a log open for writing.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::metrics::add;
use super::page::{Framed, PAGE_SIZE};
use super::prepared::Scratch;
use super::state::{KEEP_CAPACITY, Piece, State, frame_pieces, next_index, pieces_len};
use super::sync::{self, SYNC_EARLY};
use super::tail::Published;
use super::{
    LogPosition, Options, SegmentRef, SyncPolicy, WalError, WalMetrics, checkpoint, segment_path,
    segments,
};
use crate::fs::{File, Fs, OpenMode, atomic};

/// A log open for writing. All methods may be called from several threads; records of one `log`
/// stand together, and what one thread logs stands in that thread's order.
pub struct Wal {
    pub(super) shared: Arc<Shared>,
}

/// What the log and its background thread share.
pub(super) struct Shared {
    pub(super) fs: Arc<dyn Fs>,
    pub(super) dir: PathBuf,
    pub(super) options: Options,
    pub(super) state: Mutex<State>,
    /// Something in the state changed that somebody may be waiting for.
    pub(super) changed: Condvar,
    published: Arc<Published>,
    scratch: Mutex<Vec<Scratch>>,
    pub(super) metrics: WalMetrics,
}

impl Wal {
    /// Opens the log in `dir` (made when absent) and begins a new segment behind those that are
    /// there. They have been read, and repaired where needed, before.
    pub fn open(fs: Arc<dyn Fs>, dir: &Path, options: Options) -> Result<Wal, WalError> {
        if options.segment_size == 0 || !options.segment_size.is_multiple_of(PAGE_SIZE) {
            return Err(WalError::InvalidSegmentSize);
        }
        atomic::create_dir_all(fs.as_ref(), dir).map_err(WalError::io("mkdir", dir))?;
        // Also when it was there: an earlier start may have ended before it was durable.
        let parent = atomic::parent(dir);
        fs.sync_dir(parent).map_err(WalError::io("sync", parent))?;
        let last_checkpoint = checkpoint::last(fs.as_ref(), dir)?.map(|last| last.index);
        let existing = segments(fs.as_ref(), dir)?;
        if options.sync != SyncPolicy::Off {
            // A killed process leaves a tail that is written but not durable.
            existing.iter().try_for_each(|found| sync_existing(fs.as_ref(), dir, found))?;
        }
        let index = next_index(&existing, last_checkpoint);
        let file = create_segment(fs.as_ref(), dir, index)?;
        let shared = Arc::new(Shared {
            fs,
            dir: dir.to_owned(),
            options,
            state: Mutex::new(State::new(index, file)),
            changed: Condvar::new(),
            published: Arc::default(),
            scratch: Mutex::default(),
            metrics: WalMetrics::default(),
        });
        shared.publish(&shared.lock());
        sync::start(&shared);
        Ok(Wal { shared })
    }

    /// Appends records; when this returns, a killed process loses none of them (and a power cut
    /// neither, under [`SyncPolicy::Always`]). After an error none of them is in the log, unless
    /// together they are larger than a segment. A full disk is an error like any other: the log
    /// works again when there is space.
    pub fn log(&self, records: &[&[u8]]) -> Result<LogPosition, WalError> {
        let position = self.append(self.prepare(records.iter().copied()))?;
        self.settle(position)?;
        Ok(position)
    }

    /// Makes everything logged so far durable.
    pub fn sync(&self) -> Result<(), WalError> {
        let position = self.shared.lock().position();
        self.shared.sync_until(position)
    }

    /// Ends the current segment, even an empty one, and begins the next; returns its number.
    pub fn next_segment(&self) -> Result<u64, WalError> {
        let state = self.shared.ready()?;
        Ok(self.shared.rotate(state)?.segment)
    }

    /// Removes the segments before `before`; the current one stays in any case.
    pub fn truncate(&self, before: u64) -> Result<(), WalError> {
        let metrics = &self.shared.metrics;
        add(&metrics.truncations, 1);
        let current = self.last_segment();
        let done = segments(self.shared.fs.as_ref(), &self.shared.dir).and_then(|segments| {
            for segment in segments.iter().filter(|s| s.index < before && s.index < current) {
                let path = self.shared.dir.join(&segment.name);
                self.shared.fs.remove_file(&path).map_err(WalError::io("remove", &path))?;
            }
            Ok(())
        });
        if done.is_err() {
            add(&metrics.truncations_failed, 1);
        }
        done
    }

    /// Syncs and closes the log: every later use is an error.
    pub fn close(&self) -> Result<(), WalError> {
        let position = self.shared.lock().position();
        let synced = self.shared.sync_until(position);
        self.shared.shut();
        synced
    }

    /// Number of the segment being written.
    pub fn last_segment(&self) -> u64 {
        self.shared.lock().segment
    }

    /// Behind the last record.
    pub fn end(&self) -> LogPosition {
        self.shared.lock().position()
    }

    /// Bytes of all files of the log: `storage_size_bytes`.
    pub fn size(&self) -> Result<u64, WalError> {
        let dir = &self.shared.dir;
        self.shared.fs.dir_size(dir).map_err(WalError::io("read", dir))
    }

    /// The log's directory.
    pub fn dir(&self) -> &Path {
        &self.shared.dir
    }

    /// The options it was opened with.
    pub fn options(&self) -> &Options {
        &self.shared.options
    }

    /// What it counts.
    pub fn metrics(&self) -> &WalMetrics {
        &self.shared.metrics
    }

    pub(super) fn tail_parts(&self) -> (Arc<dyn Fs>, Arc<Path>, Arc<Published>) {
        let shared = &self.shared;
        (shared.fs.clone(), shared.dir.as_path().into(), shared.published.clone())
    }
}

impl Drop for Wal {
    /// Ends the background thread. What was logged is written; only `close` syncs it.
    fn drop(&mut self) {
        self.shared.shut();
    }
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn wait<'s>(&self, state: MutexGuard<'s, State>) -> MutexGuard<'s, State> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn publish(&self, state: &State) {
        self.metrics.current_segment.store(state.segment, Ordering::Relaxed);
        self.published.publish(state.position());
    }

    /// The state, when it may be written: open, nothing torn, nothing to log again.
    fn ready(&self) -> Result<MutexGuard<'_, State>, WalError> {
        let mut state = self.lock();
        if state.closed {
            return Err(WalError::Closed);
        }
        if state.stopped.is_some() {
            self.recover(&mut state)?;
        }
        self.cut_torn(&mut state)?;
        Ok(state)
    }

    pub(super) fn log(&self, mut pieces: &[Piece<'_>]) -> Result<LogPosition, WalError> {
        let mut state = self.ready()?;
        let size = self.options.segment_size;
        // All of them into one segment, if one can hold them.
        while state.end > 0
            && state.end + pieces_len(state.end, pieces) > size
            && pieces_len(0, pieces) <= size
        {
            state = self.rotate(state)?;
        }
        while !pieces.is_empty() {
            let mut framed = Framed::default();
            let mut buffer = std::mem::take(&mut state.buffer);
            buffer.clear();
            let count = frame_pieces(&mut buffer, state.end, pieces, size, &mut framed);
            let (done, rest) = pieces.split_at(count);
            let written = self.write(&mut state, &buffer, done);
            if buffer.capacity() <= KEEP_CAPACITY {
                state.buffer = buffer;
            }
            written?;
            add(&self.metrics.record_part_writes, framed.parts);
            add(&self.metrics.record_part_bytes, framed.part_bytes);
            pieces = rest;
            if !pieces.is_empty() {
                state = self.rotate(state)?;
            }
        }
        self.publish(&state);
        Ok(state.position())
    }

    /// Writes records, framed in `bytes`, behind the end: all or none of them.
    fn write(&self, state: &mut State, bytes: &[u8], pieces: &[Piece<'_>]) -> Result<(), WalError> {
        if let Err(err) = state.file.write_all_at(bytes, state.end) {
            add(&self.metrics.writes_failed, 1);
            state.torn = true;
            // If this fails too, it is tried again before the next write.
            let _ = self.cut_torn(state);
            return Err(WalError::io("write", &segment_path(&self.dir, state.segment))(err));
        }
        let pages = |offset: u64| offset / PAGE_SIZE;
        let idle = !state.has_work();
        let before = state.end;
        state.end += bytes.len() as u64;
        add(&self.metrics.page_flushes, 1);
        add(&self.metrics.completed_pages, pages(state.end) - pages(before));
        if self.options.sync == SyncPolicy::Off {
            return Ok(());
        }
        let was = state.unsynced.len();
        state.unsynced.add(before, pieces);
        let near_end = self.near_end();
        let ends_soon = before < near_end && state.end >= near_end;
        if idle || ends_soon || (was < SYNC_EARLY && state.unsynced.len() >= SYNC_EARLY) {
            self.changed.notify_all();
        }
        Ok(())
    }

    /// Cuts off what a failed write left behind the last record.
    fn cut_torn(&self, state: &mut State) -> Result<(), WalError> {
        if state.torn {
            let path = segment_path(&self.dir, state.segment);
            state.file.truncate(state.end).map_err(WalError::io("truncate", &path))?;
            state.torn = false;
        }
        Ok(())
    }

    /// Begins the next segment. Unless the policy is `Off` the ended one is durable first, so
    /// that no power cut takes something out of the middle of the log.
    fn rotate<'s>(
        &'s self,
        mut state: MutexGuard<'s, State>,
    ) -> Result<MutexGuard<'s, State>, WalError> {
        let ending = state.segment;
        while state.syncing {
            state = self.wait(state);
        }
        if state.closed {
            return Err(WalError::Closed);
        }
        if state.stopped.is_some() {
            self.recover(&mut state)?;
        }
        self.cut_torn(&mut state)?;
        if state.segment != ending {
            return Ok(state);
        }
        if self.options.sync != SyncPolicy::Off && state.synced < state.end {
            let upto = state.end;
            if let Err(err) = self.sync_file(state.file.as_ref()) {
                // What was not durable is logged again in a new segment: that is the next one.
                self.fail_sync(&mut state, &err)?;
                return Ok(state);
            }
            state.mark_synced(upto);
        }
        let next = ending + 1;
        let file = create_segment(self.fs.as_ref(), &self.dir, next)?;
        let ended = state.file.clone();
        state.begin(next, file);
        if self.options.sync == SyncPolicy::Off {
            self.end_unsynced(&mut state, ended);
        }
        self.publish(&state);
        Ok(state)
    }

    /// Has an ended segment synced, now or by the background thread.
    fn end_unsynced(&self, state: &mut State, ended: Arc<dyn File>) {
        if state.thread {
            state.ended.push(ended);
            self.changed.notify_all();
        } else {
            // As in Prometheus, a failure here is only counted: nothing was promised.
            let _ = self.sync_file(ended.as_ref());
        }
    }

    pub(super) fn scratch_pool(&self) -> MutexGuard<'_, Vec<Scratch>> {
        self.scratch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Refuses everything from now on and waits until the background thread has gone.
    fn shut(&self) {
        let mut state = self.lock();
        state.closed = true;
        self.changed.notify_all();
        self.published.close();
        while state.thread || state.syncing {
            state = self.wait(state);
        }
    }
}

/// Makes a segment of an earlier process durable. Where syncing fails, another try would prove
/// nothing: the segment is written anew.
fn sync_existing(fs: &dyn Fs, dir: &Path, segment: &SegmentRef) -> Result<(), WalError> {
    let path = dir.join(&segment.name);
    let file = fs.open(&path, OpenMode::Read).map_err(WalError::io("open", &path))?;
    if file.sync().is_ok() {
        return Ok(());
    }
    let bytes = fs.read(&path).map_err(WalError::io("read", &path))?;
    atomic::write(fs, &path, &bytes).map_err(WalError::io("write", &path))
}

/// Makes an empty segment whose name is durable. One left by a failed attempt is used again.
pub(super) fn create_segment(
    fs: &dyn Fs,
    dir: &Path,
    index: u64,
) -> Result<Arc<dyn File>, WalError> {
    let path = segment_path(dir, index);
    let file = fs.open(&path, OpenMode::Truncate).map_err(WalError::io("open", &path))?;
    fs.sync_dir(dir).map_err(WalError::io("sync", dir))?;
    Ok(file)
}
