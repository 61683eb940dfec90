//! Syncing: when what was logged becomes durable, and what happens when that fails.
//!
//! A failed fdatasync says nothing about which bytes reached the disk, and the next one may succeed
//! without them: the system forgets what it could not write. So bytes are kept in memory until a
//! sync has covered them. When one fails, they are logged again in a new segment, which is synced;
//! then the old segment is cut back to what is known to be durable. In this order no moment loses
//! what a killed process would have kept. Until it succeeds the log accepts nothing.

use std::io;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Instant;

use super::metrics::add;
use super::page::Framed;
use super::state::{State, frame_pieces};
use super::writer::{Shared, create_segment};
use super::{LogPosition, SyncPolicy, WalError, segment_path};
use crate::fs::File;

/// With more bytes than this not durable, a sync does not wait for its interval.
pub(super) const SYNC_EARLY: usize = 8 << 20;

impl Shared {
    /// Syncs one file and counts it.
    pub(super) fn sync_file(&self, file: &dyn File) -> io::Result<()> {
        let begun = Instant::now();
        let synced = file.sync();
        self.metrics.syncs.observe(begun.elapsed());
        if synced.is_err() {
            add(&self.metrics.syncs_failed, 1);
        }
        synced
    }

    /// Returns when everything up to `position` is durable. Callers that come while a sync is
    /// going on share the next one.
    pub(super) fn sync_until(&self, position: LogPosition) -> Result<(), WalError> {
        let mut state = self.lock();
        loop {
            while state.syncing {
                state = self.wait(state);
            }
            if state.stopped.is_some() {
                self.recover(&mut state)?;
            }
            // A segment that has ended is durable, or is being logged again.
            if state.segment > position.segment || state.synced >= position.offset {
                return Ok(());
            }
            state = self.sync_round(state)?;
        }
    }

    /// Syncs what is written, without the lock while the disk works.
    pub(super) fn sync_round<'s>(
        &'s self,
        mut state: MutexGuard<'s, State>,
    ) -> Result<MutexGuard<'s, State>, WalError> {
        state.syncing = true;
        let (file, upto) = (state.file.clone(), state.end);
        drop(state);
        let synced = self.sync_file(file.as_ref());
        let mut state = self.lock();
        state.syncing = false;
        let done = match synced {
            Ok(()) => {
                state.mark_synced(upto);
                Ok(())
            }
            Err(err) => self.fail_sync(&mut state, &err),
        };
        self.changed.notify_all();
        done.map(|()| state)
    }

    /// After a failed sync of the current segment.
    pub(super) fn fail_sync(&self, state: &mut State, err: &io::Error) -> Result<(), WalError> {
        if self.options.sync == SyncPolicy::Off {
            let path = segment_path(&self.dir, state.segment);
            return Err(WalError::io("sync", &path)(io::Error::new(err.kind(), err.to_string())));
        }
        state.stopped = Some(err.to_string().into());
        self.recover(state)
    }

    /// Logs again, in a new segment, what is not known to be durable.
    pub(super) fn recover(&self, state: &mut State) -> Result<(), WalError> {
        match self.log_again(state) {
            Ok(()) => {
                state.stopped = None;
                self.publish(state);
                Ok(())
            }
            Err(err) => {
                let reason: Arc<str> = err.to_string().into();
                state.stopped = Some(reason.clone());
                Err(WalError::Stopped(reason))
            }
        }
    }

    fn log_again(&self, state: &mut State) -> Result<(), WalError> {
        let next = state.segment + 1;
        let mut bytes = Vec::new();
        frame_pieces(&mut bytes, 0, &state.unsynced.pieces(), u64::MAX, &mut Framed::default());
        let path = segment_path(&self.dir, next);
        let file = create_segment(self.fs.as_ref(), &self.dir, next)?;
        let written = file.write_all_at(&bytes, 0).map_err(WalError::io("write", &path));
        let made = written
            .and_then(|()| self.sync_file(file.as_ref()).map_err(WalError::io("sync", &path)));
        if made.is_err() {
            // Best effort: half of it would look like damage at the next start.
            let _ = self.fs.remove_file(&path);
        }
        made?;
        // Damage in the old segment would have the new one thrown away at the next start.
        let path = segment_path(&self.dir, state.segment);
        state.file.truncate(state.synced).map_err(WalError::io("truncate", &path))?;
        self.sync_file(state.file.as_ref()).map_err(WalError::io("sync", &path))?;
        state.begin(next, file);
        state.end = bytes.len() as u64;
        state.synced = state.end;
        Ok(())
    }
}

/// Starts the background thread, if the options give a way to.
pub(super) fn start(shared: &Arc<Shared>) {
    let Some(spawn) = &shared.options.spawn else { return };
    if shared.options.sync == SyncPolicy::Always {
        return;
    }
    shared.lock().thread = true;
    let worker = shared.clone();
    let caller = std::thread::current().id();
    let work = move || {
        // Whoever has no thread left may run it on the caller's, which must go on.
        if std::thread::current().id() == caller {
            worker.lock().thread = false;
        } else {
            worker.work();
        }
    };
    spawn("wal-sync", Box::new(work));
}

impl Shared {
    fn work(&self) {
        let mut state = self.lock();
        while !state.closed {
            if state.has_work() {
                state = self.work_once(state);
            } else {
                state = self.wait(state);
            }
        }
        let ended = std::mem::take(&mut state.ended);
        drop(state);
        for file in ended {
            // As in Prometheus, a failure here is only counted: nothing was promised.
            let _ = self.sync_file(file.as_ref());
        }
        self.lock().thread = false;
        self.changed.notify_all();
    }

    /// Bytes of a segment from which on it is about to end.
    pub(super) fn near_end(&self) -> u64 {
        self.options.segment_size - self.options.segment_size / 64
    }

    fn work_once<'s>(&'s self, mut state: MutexGuard<'s, State>) -> MutexGuard<'s, State> {
        let SyncPolicy::Interval(interval) = self.options.sync else {
            let ended = std::mem::take(&mut state.ended);
            if ended.is_empty() {
                return self.wait(state);
            }
            drop(state);
            for file in ended {
                let _ = self.sync_file(file.as_ref());
            }
            return self.lock();
        };
        // Near its end a segment is synced once more, so that little is left to sync when it ends:
        // commits wait for that.
        let near_end = self.near_end();
        let hurry = |state: &State| {
            let early = state.unsynced.len() >= SYNC_EARLY
                || (state.end >= near_end && state.synced < near_end);
            state.closed || (state.stopped.is_none() && early)
        };
        (state, _) = self
            .changed
            .wait_timeout_while(state, interval, |state| !hurry(state))
            .unwrap_or_else(PoisonError::into_inner);
        if state.syncing {
            return self.wait(state);
        }
        if state.closed || !state.has_work() {
            return state;
        }
        let done = match state.stopped.is_some() {
            true => self.recover(&mut state).map(|()| state),
            false => self.sync_round(state),
        };
        // A failure is in the metrics and in the state: every `log` reports it.
        done.unwrap_or_else(|_| self.lock())
    }
}
